"""Train two steps on every arrangement that the tests know: python scripts/arrangements.py [--only TEXT] [--all].

The targets are images, labels and masks in turn, or all of these with --all. Prints what was understood of each, as a
table. A refused arrangement is trained with the settings that its error names. Exit 1 where a training fails.
"""

import argparse
import contextlib
import io
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from arrangements import ARRANGEMENTS, KINDS, REFUSALS, files_of, write
from commands import SETTINGS, overrides

from pix2pix.cli.main import main
from pix2pix.config import DataConfig
from pix2pix.data.index import DatasetIndex
from pix2pix.errors import DataError

_SHORT = SETTINGS | {"data.direction": None, "data.layout": "auto", "data.cache": "off", "run.sample_pairs": 1}
_SHORT |= {"schedule.epochs": 1, "data.batch_size": 3, "data.val_fraction": 0.0, "data.load_size": None}


def trained(root: Path, settings: Mapping[str, str]) -> str:
    """Train two steps; return the layout in the plan's words, or the error."""
    output = root.parent / "run"
    flags = overrides(_SHORT | {f"data.{key}": value for key, value in settings.items()})
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
        code = main(["train", "--config", "demo", "--data", str(root), "--output", str(output), *flags])
    if code:
        return f"FAILED ({code}): {errors.getvalue().strip()}"
    return str(DatasetIndex.scan(DataConfig(root=str(root), val_fraction=0.0, **settings)).layout()).partition(
        "; no split val"
    )[0]


def refusal(root: Path) -> str:
    """Return the code of the error that the data set is refused with."""
    try:
        DatasetIndex.scan(DataConfig(root=str(root))).pairs("train", (32, 32))
    except DataError as error:
        return error.code
    return "FAILED: not refused"


def rows(only: str, all_kinds: bool) -> Iterator[tuple[str, str, str]]:
    """Yield (arrangement, kind, what was understood)."""
    for number, (name, arrangement) in enumerate(ARRANGEMENTS.items()):
        kinds = arrangement.kinds if all_kinds else [arrangement.kinds[number % len(arrangement.kinds)]]
        for kind in kinds if only in name else ():
            with tempfile.TemporaryDirectory() as folder:
                root = Path(folder) / "data"
                write(root, files_of(arrangement), arrangement.splits, kind, arrangement.lists)
                yield name, kind, trained(root, {})
    for number, (name, refused) in enumerate(REFUSALS.items()):
        kinds = KINDS if all_kinds else [KINDS[number % len(KINDS)]]
        for kind in kinds if only in name else ():
            for settings in refused.remedies or ({},):
                with tempfile.TemporaryDirectory() as folder:
                    root = Path(folder) / "data"
                    write(root, refused.files, refused.splits, kind, refused.lists)
                    understood = trained(root, settings) if settings else "no remedy without other files"
                    yield name, kind, f"{refusal(root)}; then {understood}"


def run() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="arrangements whose names hold this text")
    parser.add_argument("--all", action="store_true", help="every kind of target of each arrangement")
    arguments, failed, count = parser.parse_args(), 0, 0
    print("| arrangement | targets | understood |\n| --- | --- | --- |")
    for name, kind, understood in rows(arguments.only, arguments.all):
        count, failed = count + 1, failed + ("FAILED" in understood)
        print(f"| {name} | {kind} | {understood} |", flush=True)
    print(f"\n{count} data sets, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(run())
