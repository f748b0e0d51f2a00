"""The report of a check: one screen for people, one JSON object for programs."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pix2pix.check.findings import SEVERITIES, Finding
from pix2pix.check.resources import Resources
from pix2pix.data.cache.state import show_bytes
from pix2pix.text import show_text

_WIDTH = 110  # of wrapped lines if the width of the screen is unknown
_SHOWN = 3  # files of a finding that are shown on the screen
_SHOWN_OF = {"unmatched": 10}  # the same for some codes, by code


@dataclass(frozen=True)
class Split:
    """A split: the number of pairs that were read, their sizes (width x height), and what inputs and targets are.

    `total`: the number of pairs in the data set; None if all were read.
    """

    pairs: int
    size: str
    input: str
    target: str
    total: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, `total` only if it differs."""
        return {key: value for key, value in vars(self).items() if value is not None}

    @property
    def counted(self) -> str:
        """The number of pairs for the table."""
        return f"{self.pairs:,}" if self.total is None else f"{self.pairs:,} of {self.total:,}"


@dataclass(frozen=True)
class Report:
    """The findings about a data set, the worst first, and the resources of training.

    `sheet`: the preview's path. `notes`: how the formats were found.
    `skipped_files`: the number of files that are not images, by suffix.
    """

    data: str
    layout: str
    splits: dict[str, Split]
    findings: list[Finding]
    resources: Resources
    sheet: str | None = None
    notes: Sequence[str] = ()
    skipped_files: dict[str, int] = field(default_factory=dict)

    @property
    def fails(self) -> bool:
        """Whether training would fail."""
        return any(finding.severity == "error" for finding in self.findings)

    @property
    def counts(self) -> dict[str, int]:
        """The number of findings of each severity."""
        return {name: sum(finding.severity == name for finding in self.findings) for name in SEVERITIES}

    def to_dict(self) -> dict[str, Any]:
        """Return the object that `--json` prints: every finding with every file, in the order of the screen.

        Keys: `data`, `layout`, `fails`, `splits` {name: {pairs, size, input, target, perhaps total}}, `findings`
        [{code, severity, count, message, remedy, items: [{files, detail}]}], `resources` {levels, parameters,
        cache_bytes, train_bytes}, `sheet`, `notes` [text], `skipped_files` {suffix: count}.
        """
        return {
            "data": self.data,
            "layout": self.layout,
            "fails": self.fails,
            "splits": {name: split.to_dict() for name, split in self.splits.items()},
            "findings": [
                {
                    **{key: getattr(finding, key) for key in ("code", "severity", "count", "message", "remedy")},
                    "items": [{"files": list(item.files), "detail": item.detail} for item in finding.items],
                }
                for finding in self.findings
            ],
            "resources": vars(self.resources),
            "sheet": self.sheet,
            "notes": list(self.notes),
            "skipped_files": self.skipped_files,
        }

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self, width: int | None = None) -> str:
        """Return the report for a screen of this width: long lines are wrapped or shortened in the middle.

        Without a width, only findings are wrapped and nothing is shortened.
        """
        notes = [f"  note: {note}" for note in self.notes]
        lines = [f"{self.data}: {self.layout}", *self._table(), *notes, *self._findings(width or _WIDTH)]
        lines += [*self._resources(), self._end()]
        if width is not None:
            wrapped = {*lines[:1], *notes, *self._resources()}
            lines = [part for line in lines for part in (_wrap(line, width) if line in wrapped else [line])]
            lines = [shorten(line, width) for line in lines]
        return "\n".join(map(show_text, lines))

    def _table(self) -> list[str]:
        rows = [("split", "pairs", "size", "input", "target")]
        rows += [(name, split.counted, split.size, split.input, split.target) for name, split in self.splits.items()]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        return [
            f"  {name:<{widths[0]}}  {pairs:>{widths[1]}}  {size:<{widths[2]}}  {input:<{widths[3]}}  {target}"
            for name, pairs, size, input, target in rows
        ]

    def _findings(self, width: int) -> list[str]:
        lines = []
        for finding in self.findings:
            remedy = f"; {finding.remedy}" if finding.remedy else ""
            lines += _wrap(f"{finding.severity} [{finding.code}] {finding.message}{remedy}", width)
            shown = _SHOWN_OF.get(finding.code, _SHOWN)
            lines += [f"    {item}" for item in finding.items[:shown]]
            if len(finding.items) > shown:
                lines.append(f"    and {len(finding.items) - shown:,} more; --json lists them")
        return lines

    def _resources(self) -> list[str]:
        needs = self.resources
        network = f"a U-Net of {needs.levels} levels" if needs.levels else "a ResNet"
        lines = [
            f"training takes {network}, {needs.parameters:,} parameters including the discriminator, about "
            f"{show_bytes(needs.train_bytes)} for them and their activations, and {show_bytes(needs.cache_bytes)} to "
            "cache the images"
        ]
        if self.sheet:
            lines.append(f"pairs as the networks will see them: {self.sheet}")
        return lines

    def _end(self) -> str:
        counts = [f"{count} {name}{'s' * (count != 1)}" for name, count in self.counts.items() if count]
        if not counts:
            return "No problems found."
        return f"{', '.join(counts)}: training would fail." if self.fails else f"{', '.join(counts)}."


def _wrap(line: str, width: int) -> list[str]:
    return textwrap.wrap(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def shorten(line: str, width: int) -> str:
    """Return the line, with its middle removed if it has more than `width` characters."""
    if len(line) <= width:
        return line
    end = (width - 3) * 2 // 3  # the end of a path says more than its beginning
    return f"{line[: max(width - 3 - end, 0)]}...{line[len(line) - end :]}"
