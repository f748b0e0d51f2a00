"""What can be said about a data set, and in which order."""

from collections.abc import Iterable
from dataclasses import dataclass

SEVERITIES = ("error", "warning", "note")

# What can be found. An error keeps training from starting, or would end it; a note may well be as it should.
CODES = {
    "layout": "error",
    "unreadable": "error",
    "unmatched": "error",
    "missing": "error",
    "same-name": "error",
    "unequal-size": "error",
    "no-halves": "error",
    "format": "error",
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
    "few-decide": "note",
    "animated": "note",
    "small": "note",
    "no-validation": "note",
}


@dataclass(frozen=True)
class Item:
    """A place where something was found: the files, or the names of drawn pairs, and what is particular to it."""

    files: tuple[str, ...]
    detail: str = ""

    def __str__(self) -> str:
        return " = ".join(self.files) + (f": {self.detail}" if self.detail else "")


@dataclass(frozen=True)
class Finding:
    """One thing to say. `code` is for programs and stays what it is; `message` and `remedy` are for people."""

    code: str
    severity: str
    message: str
    remedy: str
    items: tuple[Item, ...] = ()

    @property
    def count(self) -> int:
        """How many places it was found in; at least 1."""
        return max(1, len(self.items))


def finding(code: str, message: str, remedy: str, items: Iterable[Item] = (), severity: str | None = None) -> Finding:
    return Finding(code, severity or CODES[code], message, remedy, tuple(items))


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Worst first: by severity, then as `CODES` has them."""
    codes = list(CODES)
    return sorted(findings, key=lambda one: (SEVERITIES.index(one.severity), codes.index(one.code)))


def counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
