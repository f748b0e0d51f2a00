"""How the tests run `pix2pix`: in this process, where that is enough, and as a program of its own."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from forked import COMMAND, PIPE, Program
from PIL import Image

from pix2pix.cli.main import main
from pix2pix.runtime.ownership import INDEX

# The smallest run that has everything: a U-Net needs sides of 32, and two epochs have a checkpoint between them.
SETTINGS = {
    "data.direction": "b2a",
    "data.image_size": 32,
    "data.load_size": 36,
    "data.batch_size": 2,
    "data.synthetic.train": 5,
    "data.synthetic.val": 2,
    "data.synthetic.test": 3,
    "model.generator.base_channels": 2,
    "model.discriminator.base_channels": 2,
    "schedule.epochs": 2,
    "schedule.decay_epochs": 0,
    "run.log_every_steps": 1,
    "run.sample_pairs": 2,
    "run.device": "cpu",
}


def overrides(settings: dict[str, object]) -> list[str]:
    """Settings as --set flags."""
    return [word for key, value in settings.items() for word in ("--set", f"{key}={json.dumps(value)}")]


TINY = ("--config", "demo", *overrides(SETTINGS))


@dataclass(frozen=True)
class Result:
    """What a command did: its exit code and what it wrote to stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """stderr's lines."""
        return self.err.splitlines()


def pix2pix(*arguments: object) -> Result:
    """Runs `pix2pix` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as leaving:  # argparse's way
            code = leaving.code
    return Result(code or 0, out.getvalue(), err.getvalue())


def script(code: str, *arguments: object, **options) -> Result:
    """Runs Python code as a program, with all that a command needs imported already; `options` are `Program`'s."""
    with Program(code, *arguments, stdout=PIPE, stderr=PIPE, **options) as run:
        out, err = run.communicate()
    return Result(run.returncode, out, err)


def program(*arguments: object, first: str = "", **options) -> Result:
    """Runs `pix2pix` as a program; an interpreter of its own runs it where the Python statements `first` come first or
    there are `options`, which are subprocess.run's."""
    if not first and not options:
        return script(COMMAND, *arguments)
    words = ["-m", "pix2pix", *map(str, arguments)]
    if first:
        words = ["-c", f"import os, sys\n{first}\nos.execv(sys.executable, [sys.executable] + {words!r})"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=240, **options)
    return Result(done.returncode, done.stdout, done.stderr)


def refused(result: Result, code: int, *words: str, errors: int = 1) -> None:
    """Asserts that a command failed as a person wants it: its exit code, one line an error, each word in them."""
    assert result.code == code, result
    assert len(result.lines) == errors, result.err
    assert all(line.startswith("error: ") for line in result.lines), result.err
    assert "Traceback" not in result.err + result.out
    for word in words:
        assert word in result.err, f"{word!r} is not in {result.err!r}"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by relative path, but for the index of those that pix2pix made."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != INDEX]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def picture(path: Path | str, height: int = 32, width: int = 32, seed: int = 0) -> Path:
    """Writes a picture of noise, making its folder."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def pairs(root: Path | str, *splits: str, count: int = 3, size: int = 32) -> Path:
    """Writes pairs side by side, `count` a split."""
    for split in splits:
        for index in range(count):
            picture(Path(root) / split / f"{index}.png", size, 2 * size, seed=index)
    return Path(root)


def size(path: Path | str) -> tuple[int, int]:
    """(height, width) of a picture."""
    with Image.open(path) as image:
        return image.height, image.width


@contextlib.contextmanager
def files_no_larger_than(limit: int) -> Iterator[None]:
    """Within it no file of this process can grow beyond `limit` bytes: how a full disk looks to it."""
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Root may write anywhere by one capability, and is bound as others are by a program that starts without it: 24 is
# PR_CAPBSET_DROP in <linux/prctl.h>, 1 is CAP_DAC_OVERRIDE in <linux/capability.h>. Another user would do as well, were
# it not for interpreters in /root, which no other user can start.
WITHOUT_ROOTS_RIGHT = "import ctypes\nctypes.CDLL(None).prctl(24, 1, 0, 0, 0)"


def as_ordinary_user() -> dict[str, str]:
    """Options of `program` under which it may write only where an ordinary user may; skips the test where none do."""
    if sys.platform == "win32":
        pytest.skip("folders on Windows have no read-only mode")
    if os.geteuid() != 0:
        return {"first": ""}
    if not sys.platform.startswith("linux"):
        pytest.skip("the tests run as root, which can write everywhere")
    Path("probe").mkdir(mode=0o555)
    attempt = f"{WITHOUT_ROOTS_RIGHT}\nimport os\nos.execlp('touch', 'touch', 'probe/file')"
    if subprocess.run([sys.executable, "-c", attempt], capture_output=True).returncode == 0:
        pytest.skip("the tests run as root and cannot give up its right to write everywhere")
    return {"first": WITHOUT_ROOTS_RIGHT}
