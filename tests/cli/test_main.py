"""The program itself: its options, its exit codes, its output streams, and its ranks."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import SETTINGS, TINY, Result, overrides, pix2pix, program, refused

from pix2pix.cli import configs
from pix2pix.errors import DataError, DeviceError
from pix2pix.runtime import log
from pix2pix.runtime.device import pick_device
from pix2pix.runtime.log import logger
from pix2pix.weights import load_generator_file

VERBS = ["train", "check", "sample", "download", "configs"]
QUICK = {**SETTINGS, "data.synthetic.train": 2, "data.synthetic.val": 1, "schedule.epochs": 1}


def test_help_loads_nothing_heavy():
    script = (
        "import sys, pix2pix\n"
        "from pix2pix.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as leaving: assert not leaving.code\n"
        "heavy = {'torch', 'pydantic', 'numpy', 'PIL', 'yaml', 'tqdm', 'filelock', 'inspect', 'dataclasses'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert all(verb in done.stdout for verb in VERBS) and done.stdout.splitlines()[-1] == "[]"


def test_the_installed_script_is_the_same_program():
    script = shutil.which("pix2pix", path=str(Path(sys.executable).parent))
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == program("--version").out == pix2pix("--version").out


@pytest.mark.parametrize("words", [(), ("trian",), ("sample",), ("configs",), ("train", *TINY, "--fast")])
def test_a_wrong_command_is_2_and_shows_the_usage(words):
    result = pix2pix(*words)
    assert result.code == 2 and result.err.startswith("usage: pix2pix")
    assert not list(Path().iterdir())


def test_a_bug_leaves_its_traceback_in_a_file_that_is_named(monkeypatch):
    monkeypatch.setattr(configs, "run", lambda args: 1 / 0)
    monkeypatch.setattr("tempfile.tempdir", str(Path().resolve()))
    refused(result := pix2pix("configs", "list"), 1, "ZeroDivisionError", "please report it with")
    assert "Traceback" in Path(result.err.split()[-1]).read_text(encoding="utf-8")
    monkeypatch.setenv("PIX2PIX_DEBUG", "1")
    assert "Traceback" in pix2pix("configs", "list").err


# --quiet and --verbose


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ((), {"info", "warning", "error: e"}),
        (("--quiet",), {"warning", "error: e"}),
        (("--verbose",), {"debug", "info", "warning", "error: e"}),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_quiet_and_verbose_before_and_after_the_verb(monkeypatch, words, shown, place):
    def run(args):
        for level, text in (("debug", "debug"), ("info", "info"), ("warning", "warning"), ("error", "e")):
            getattr(log, level)(text)
        return 0

    monkeypatch.setattr(configs, "run", run)
    command = ["configs", "list"]
    command[place:place] = words
    result = pix2pix(*command)
    assert result.code == 0 and set(result.out.splitlines()) | set(result.lines) == shown
    assert set(result.out.splitlines()) == shown & {"info"}  # all else goes to stderr
    assert logger.level == logging.NOTSET  # as a user of the library left it


def test_quiet_and_verbose_exclude_each_other():
    result = pix2pix("configs", "list", "--quiet", "--verbose")
    assert result.code == 2 and "not allowed with" in result.err


def test_quiet_keeps_results_and_silences_the_run():
    assert pix2pix("configs", "list", "--quiet").out == pix2pix("configs", "list").out != ""
    result = pix2pix("train", "--config", "demo", *overrides(QUICK), "--output", "run", "--quiet")
    assert (result.code, result.out, result.err) == (0, "", "")


def test_a_library_user_sees_nothing(capfd):
    log.info("x")
    log.warning("y")
    log.error("z")
    assert capfd.readouterr() == ("", "")
    assert log.bar_disabled() is True


# Streams that cannot be written, and ranks


def _gone() -> int:
    """A terminal of which the other end is gone, as when ssh is."""
    other, stream = os.openpty()
    os.close(other)
    return stream


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("stdout", ["full", "gone"])
def test_stdout_that_cannot_be_written_ends_no_run(stdout, unbuffered):
    stream = os.open("/dev/full", os.O_WRONLY) if stdout == "full" else _gone()
    command = [sys.executable, "-m", "pix2pix", "train", "--config", "demo", *overrides(QUICK), "--output", "run"]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(command, stdout=stream, stderr=subprocess.PIPE, text=True, env=environment)
    os.close(stream)
    assert (done.returncode, done.stderr) == (0, "")
    assert load_generator_file("run/gen.pt").step == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there is no sh")
def test_stderr_that_cannot_be_written_ends_no_run():
    """Of a terminal that goes while there is a bar; and, without any stream, of what would take their numbers."""
    train = [sys.executable, "-m", "pix2pix", "train", "--config", "demo", *overrides(QUICK), "--output"]
    terminal, stream = os.openpty()
    with subprocess.Popen([*train, "gone"], stdout=subprocess.PIPE, stderr=stream) as run:
        os.close(stream)
        assert os.read(terminal, 1)
        os.close(terminal)
        run.communicate()
    assert run.returncode == 0 and load_generator_file("gone/gen.pt").step == 1
    done = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *train, "closed"])
    assert done.returncode == 0 and load_generator_file("closed/gen.pt").step == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("action", ["list", "schema"])  # less than a buffer, and more
def test_what_was_asked_for_and_cannot_be_printed_is_4(action, unbuffered):
    command, environment = [sys.executable, "-m", "pix2pix", "configs"], os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:
        done = subprocess.run([*command, action], stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
        refused(Result(done.returncode, "", done.stderr), 4, "stdout cannot be written (No space left on device)")
        assert subprocess.run([*command, "show", "no"], stderr=full, env=environment).returncode == 2
    reading, writing = os.pipe()
    os.close(reading)  # a reader who has seen enough
    done = subprocess.run([*command, action], stdout=writing, stderr=subprocess.PIPE, text=True, env=environment)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("ranks", "said"),
    [
        ({}, 1),
        ({"RANK": "1"}, 1),  # without WORLD_SIZE there are no ranks, as in `process_group`
        ({"RANK": "0", "WORLD_SIZE": "2"}, 1),
        ({"RANK": "1", "WORLD_SIZE": "2"}, 0),
        ({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}, 0),
        ({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}, 1),  # another machine has its own files
    ],
)
def test_what_is_wrong_with_a_config_is_said_by_one_rank(monkeypatch, ranks, said):
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    refused(pix2pix("train", "--config", "nix"), 2, *["no file"] * said, errors=said)


def test_what_may_be_one_ranks_alone_it_says(monkeypatch):
    def fails(error: Exception):
        def verb(args):
            raise error

        monkeypatch.setattr(configs, "run", verb)
        return pix2pix("configs", "list")

    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    refused(fails(DataError("a.png: is broken")), 3, "a.png: is broken")
    with pytest.raises(DeviceError) as caught:
        pick_device("cuda:99")
    refused(fails(caught.value), 2, "device 'cuda:99' is not available")


def test_only_the_first_rank_logs_information(monkeypatch, capsys):
    with log.to_console():
        monkeypatch.setenv("RANK", "1")
        log.info("alone")
        monkeypatch.setenv("WORLD_SIZE", "2")
        log.info("second")
        monkeypatch.setenv("RANK", "0")
        log.info("first")
    assert capsys.readouterr().out == "alone\nfirst\n"
