"""What a check says: one screen for people, one object for programs."""

import textwrap
from dataclasses import dataclass

from pix2pix.check.findings import SEVERITIES, Finding
from pix2pix.check.resources import Needs
from pix2pix.data.cache.state import show_bytes
from pix2pix.text import show_text

_WIDTH = 110
_SHOWN = {"unmatched": 10}  # files named on the screen, else
_SHOWN_ELSE = 3


@dataclass(frozen=True)
class Split:
    """One split as it was found: how many pairs, their sizes (H x W), and what inputs and targets are, in words."""

    pairs: int
    size: str
    input: str
    target: str


@dataclass(frozen=True)
class Report:
    """What was found. `findings` are worst first; `fails` says whether training would fail; `sheet` is its file."""

    data: str
    layout: str
    splits: dict[str, Split]
    findings: list[Finding]
    needs: Needs
    sheet: str | None = None

    @property
    def fails(self) -> bool:
        return any(finding.severity == "error" for finding in self.findings)

    @property
    def counts(self) -> dict[str, int]:
        """How many findings of each severity."""
        return {name: sum(one.severity == name for one in self.findings) for name in SEVERITIES}

    def to_dict(self) -> dict:
        """For `--json`: every finding with every file, in the order of the screen.

        Keys: `data`, `layout`, `fails`, `splits` {name: {pairs, size, input, target}}, `findings` [{code, severity,
        count, message, remedy, items: [{files, detail}]}], `needs` {levels, parameters, cache_bytes, train_bytes},
        `sheet`.
        """
        return {
            "data": self.data,
            "layout": self.layout,
            "fails": self.fails,
            "splits": {name: vars(split) for name, split in self.splits.items()},
            "findings": [
                {
                    **{key: getattr(one, key) for key in ("code", "severity", "count", "message", "remedy")},
                    "items": [{"files": list(item.files), "detail": item.detail} for item in one.items],
                }
                for one in self.findings
            ],
            "needs": vars(self.needs),
            "sheet": self.sheet,
        }

    def __str__(self) -> str:
        return "\n".join(
            map(
                show_text,
                [f"{self.data}: {self.layout}", *self._table(), *self._findings(), *self._needs(), self._end()],
            )
        )

    def _table(self) -> list[str]:
        rows = [("split", "pairs", "size", "input", "target")]
        rows += [
            (name, f"{split.pairs:,}", split.size, split.input, split.target) for name, split in self.splits.items()
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        return [
            f"  {name:<{widths[0]}}  {pairs:>{widths[1]}}  {size:<{widths[2]}}  {input:<{widths[3]}}  {target}"
            for name, pairs, size, input, target in rows
        ]

    def _findings(self) -> list[str]:
        lines = []
        for one in self.findings:
            remedy = f"; {one.remedy}" if one.remedy else ""
            lines += textwrap.wrap(
                f"{one.severity} [{one.code}] {one.message}{remedy}", _WIDTH, subsequent_indent="  ",
                break_long_words=False, break_on_hyphens=False,
            )  # fmt: skip
            shown = _SHOWN.get(one.code, _SHOWN_ELSE)
            lines += [f"    {item}" for item in one.items[:shown]]
            if len(one.items) > shown:
                lines.append(f"    and {len(one.items) - shown:,} more: --json names them")
        return lines

    def _needs(self) -> list[str]:
        depth = f"a U-Net of {self.needs.levels} levels" if self.needs.levels else "a ResNet"
        return [
            f"training needs {depth}, {self.needs.parameters:,} weights with its discriminator, about "
            f"{show_bytes(self.needs.train_bytes)} for them and their work, {show_bytes(self.needs.cache_bytes)} to "
            "keep the pictures",
            *([f"pairs as the networks will see them: {self.sheet}"] if self.sheet else []),
        ]

    def _end(self) -> str:
        counts = [f"{count} {name}{'s' * (count != 1)}" for name, count in self.counts.items() if count]
        words = ", ".join(counts) or "nothing to say against it"
        return f"{words}: training would fail" if self.fails else f"{words}: ready to train"
