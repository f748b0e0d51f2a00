"""Findings about a data set: their codes, severities and order."""

from collections.abc import Iterable
from dataclasses import dataclass

SEVERITIES = ("error", "warning", "note")

# The severity of each code. An error prevents training or would end it; a note is often about something intended.
CODES = {
    "layout": "error",
    "unreadable": "error",
    "unmatched": "error",
    "missing": "error",
    "same-name": "error",
    "unequal-size": "error",
    "no-halves": "error",
    "format": "error",
    "kind": "error",
    "label-ids": "error",
    "mask-values": "error",
    "halves": "warning",
    "leak": "warning",
    "near-duplicate": "warning",
    "duplicate": "warning",
    "swapped": "warning",
    "offset": "warning",
    "misregistered": "warning",
    "label-gaps": "warning",
    "black": "warning",
    "constant": "warning",
    "odd-size": "warning",
    "turned": "warning",
    "almost-constant": "note",
    "blended-labels": "note",
    "known-colours": "note",
    "few-decide": "note",
    "animated": "note",
    "other-files": "note",
    "small": "note",
    "no-validation": "note",
}


@dataclass(frozen=True)
class Item:
    """One place of a finding: the files, or the names of drawn pairs, and details about it."""

    files: tuple[str, ...]
    detail: str = ""

    def __str__(self) -> str:
        return " = ".join(self.files) + (f": {self.detail}" if self.detail else "")


@dataclass(frozen=True)
class Finding:
    """One finding. `code` is for programs and does not change; `message` and `remedy` are for people."""

    code: str
    severity: str
    message: str
    remedy: str
    items: tuple[Item, ...] = ()

    @property
    def count(self) -> int:
        """The number of places; at least 1."""
        return max(1, len(self.items))

    @property
    def summary(self) -> str:
        """The message with its first place, on one line."""
        if not self.items:
            return self.message
        more = f" and {len(self.items) - 1:,} more" if len(self.items) > 1 else ""
        return f"{self.message} ({self.items[0]}{more})"


def finding(code: str, message: str, remedy: str, items: Iterable[Item] = (), severity: str | None = None) -> Finding:
    """Make a finding, with the severity of its code unless another is given."""
    return Finding(code, severity or CODES[code], message, remedy, tuple(items))


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings, the worst first: by severity, then in the order of `CODES`."""
    codes = list(CODES)
    return sorted(findings, key=lambda item: (SEVERITIES.index(item.severity), codes.index(item.code)))
