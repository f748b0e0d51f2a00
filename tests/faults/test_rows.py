"""A short version of each row of the table of faults; scripts/fault_campaign.py has the full counts."""

import pytest
from rows import ROWS


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.short])
def test_row(name, tmp_path):
    found = ROWS[name].run(ROWS[name].short, tmp_path)
    assert found.tried > 0 and found.passed == found.tried, found
