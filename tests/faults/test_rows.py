"""A short version of each row of the table of faults; scripts/fault_campaign.py has the full counts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rows import ROWS

CAMPAIGN = Path(__file__).parents[2] / "scripts/fault_campaign.py"


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[str, dict]:
    """What a short campaign finds, in a process of its own: it forks, and this one has threads."""
    path = tmp_path_factory.mktemp("campaign") / "faults.json"
    environment = os.environ | {"PIX2PIX_FAULT_PAIRS": "20"}
    command = [sys.executable, str(CAMPAIGN), "--short", "--results", str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert path.exists(), done.stderr
    return json.loads(path.read_text())


@pytest.mark.timeout(900)  # the first one waits for all
@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.short])
def test_row(results, name):
    found = results[name]
    assert found["tried"] > 0 and found["passed"] == found["tried"], found
