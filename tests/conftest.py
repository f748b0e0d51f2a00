"""What every test gets: a temporary folder to stand in, one thread, and, where it asks, one tiny trained run."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

# Before torch is imported, and for the programs that tests start: at these sizes a second thread only costs time, and
# runs are compared bit by bit, which holds for one number of threads.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.pop("PIX2PIX_DEBUG", None)
os.environ.pop("LOCAL_WORLD_SIZE", None)

import pytest
from commands import TINY, Result, pix2pix

# The files that take longest, first, so that with several workers none of them is left alone at the end.
LONGEST = ("faults/test_rows.py", "runtime/test_signals.py", "training/test_trainer.py", "runtime/test_finite.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return next((number for number, name in enumerate(LONGEST) if item.path.match(name)), len(LONGEST))

    items.sort(key=rank)


@pytest.fixture(autouse=True)
def in_a_temporary_folder(tmp_path, monkeypatch):
    """Each test stands in its own folder, so that relative paths such as runs/ land there, and beside it a cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIX2PIX_CACHE", str(tmp_path.parent / f"{tmp_path.name}-cache"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> tuple[Path, Result]:
    """A finished run of two epochs, and what its command said. To be read only; `trained` is a copy to change."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    return folder, pix2pix("train", *TINY, "--output", folder)


@pytest.fixture
def trained(finished) -> Path:
    """A copy of the finished run, at run/ in the test's folder."""
    return shutil.copytree(finished[0], Path("run"))


@pytest.fixture
def log(caplog) -> Callable[[], str]:
    """A function that returns what the library has logged since it was last called."""
    caplog.set_level(logging.INFO, logger="pix2pix")

    def taken() -> str:
        text = "\n".join(caplog.messages)
        caplog.clear()
        return text

    return taken
