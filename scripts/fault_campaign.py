"""Injects every fault that a run must survive, in full counts: python scripts/fault_campaign.py --results faults.json.

Rows run one after another. The result of each is saved when it ends, and a saved row is not run again, so that a
campaign can be interrupted and resumed. Prints a table; exits with 1 where a row falls short.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch; runs are compared to the bit, for one number of threads
TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "faults")]

import torch  # noqa: E402
from harness import Outcome, preload  # noqa: E402
from rows import ROWS  # noqa: E402


def run(name: str, count: int, folder: Path) -> dict:
    """Run a row `count` times in `folder` and return the result that is saved."""
    row, start = ROWS[name], time.monotonic()
    os.environ["PIX2PIX_CACHE"] = str(folder / "cache")
    (folder / name).mkdir()
    try:
        found = row.run(count, folder / name)
    except Exception as error:  # the other rows still run
        found = Outcome(tried=1, wrong=[repr(error)])
    seconds = round(time.monotonic() - start)
    counts = {"passed": found.passed, "tried": found.tried, "full": row.full}
    return counts | {"counted": found.counted, "wrong": found.wrong[:5], "seconds": seconds}


def table(results: dict[str, dict]) -> str:
    """Return a Markdown table of all rows, including those that were not run."""
    lines = ["| row | fault | passed | of | full | beside | seconds |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for name, row in ROWS.items():
        found = results.get(name)
        if found is None:
            lines.append(f"| {name} | {row.what} | | | {row.full} | not run | |")
            continue
        beside = ", ".join(f"{value} {what}" for what, value in found["counted"].items())
        numbers = f"{found['passed']} | {found['tried']} | {row.full} | {beside} | {found['seconds']}"
        lines.append(f"| {name} | {row.what} | {numbers} |")
    return "\n".join(lines)


def main() -> int:
    """Run the rows that are selected and not saved yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", nargs="+", choices=[*ROWS], default=[*ROWS], metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--scale", type=float, default=1.0, help="part of the full counts (1)")
    parser.add_argument("--short", action="store_true", help="as few as the tests try, of the rows that they try")
    parser.add_argument("--results", type=Path, default=Path("faults.json"), help="kept there (faults.json)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    preload()
    results = json.loads(args.results.read_text()) if args.results.exists() else {}
    with tempfile.TemporaryDirectory(prefix="pix2pix-faults-") as folder:
        for name in args.rows:
            count = ROWS[name].short if args.short else max(1, round(ROWS[name].full * args.scale))
            if name not in results and count:
                results[name] = run(name, count, Path(folder))
                args.results.write_text(json.dumps(results, indent=1))
                print(f"{name}: {results[name]}", flush=True)
    print(table(results))
    return int(any(results[name]["passed"] < results[name]["tried"] for name in args.rows if name in results))


if __name__ == "__main__":
    sys.exit(main())
