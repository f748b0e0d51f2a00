"""Checkpoints: written whole or not at all, the newest whole one used, one process a run."""

import errno
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from commands import TINY, contents, files_no_larger_than, pix2pix, refused
from forked import COMMAND, PIPE, Program
from runs import assert_identical, make_config

from pix2pix import Trainer
from pix2pix.errors import CheckpointError
from pix2pix.runtime import io as files
from pix2pix.training.checkpoint_io import list_checkpoints, load_newest, save_checkpoint
from pix2pix.training.checkpointer import Checkpointer
from pix2pix.weights import load_generator_file

CPU = torch.device("cpu")
STATE = {"step": 1, "weights": {"a": torch.arange(100_000.0), "b": torch.zeros(3)}}


def test_a_checkpoint_is_its_state_and_a_manifest_of_it(tmp_path):
    path = save_checkpoint(tmp_path, STATE, 1, 2, samples_seen=7)
    manifest = json.loads((path / "manifest.json").read_text())
    entry = manifest["files"]["state.pt"]
    assert (manifest["version"], manifest["step"], manifest["samples_seen"]) == (1, 1, 7)
    assert entry["bytes"] == (path / "state.pt").stat().st_size
    digest = subprocess.run(["sha256sum", path / "state.pt"], capture_output=True, text=True).stdout.split()[0]
    assert entry["sha256"] == digest
    state = load_newest(tmp_path, CPU)
    assert torch.equal(state["weights"]["a"], STATE["weights"]["a"]) and state["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["step_00000001"]


def test_everything_is_flushed_before_it_gets_its_name(tmp_path, monkeypatch):
    events = []
    fsync, rename = os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append(Path(os.readlink(f"/proc/self/fd/{fd}"))), fsync(fd)))
    monkeypatch.setattr(os, "rename", lambda a, b: (events.append("rename"), rename(a, b)))
    final = save_checkpoint(tmp_path / "c", STATE, 1, 2)
    temporary = final.with_name(f"{final.name}.tmp-{os.getpid()}")
    assert events == [temporary / "state.pt", temporary / "manifest.json", temporary, "rename", tmp_path / "c"]


def test_the_newest_and_the_named_ones_are_kept(tmp_path):
    for step in range(1, 7):
        save_checkpoint(tmp_path, STATE, step, 2, also=[2])
    assert [path.name[-1] for path in list_checkpoints(tmp_path)] == ["6", "5", "2"]


OTHERS = ("step_good", "step_00000009-backup", "step_0000009", "step_00000009.damaged", "mystep_00000009", "step_")


def test_a_checkpoint_is_what_has_its_name_and_the_newest_that_of_the_highest_number(tmp_path):
    steps = (99_999_999, 100_000_000, 100_000_001, 7)
    for step in steps:
        save_checkpoint(tmp_path, STATE | {"step": step}, step, 9)
    for name in OTHERS:
        shutil.copytree(tmp_path / "step_00000007", tmp_path / name)
    assert [int(path.name[5:]) for path in list_checkpoints(tmp_path)] == sorted(steps, reverse=True)
    assert load_newest(tmp_path, CPU)["step"] == 100_000_001
    save_checkpoint(tmp_path, STATE, 100_000_002, 1)
    assert {path.name for path in tmp_path.iterdir()} == {*OTHERS, "step_100000002"}
    shutil.rmtree(tmp_path / "step_100000002")
    assert load_newest(tmp_path, CPU) is None and list_checkpoints(tmp_path / "none") == []


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1
    path.write_bytes(content)


def replaced(path: Path) -> Path:
    """A path at which nothing is any more."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return path


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: flip(path / "state.pt", 1000), "state.pt is damaged"),
        (lambda path: os.truncate(path / "state.pt", 1000), "state.pt is damaged"),
        (lambda path: (path / "state.pt").write_bytes(b""), "state.pt is damaged"),
        (lambda path: (path / "state.pt").unlink(), "a file is missing or manifest.json is damaged"),
        (lambda path: (path / "manifest.json").unlink(), "a file is missing or manifest.json is damaged"),
        (lambda path: (path / "manifest.json").write_text("[1]"), "a file is missing or manifest.json is damaged"),
        (
            lambda path: (path / "manifest.json").write_text('{"version": 1, "step": 2, "files": {}}'),
            "manifest.json is damaged",
        ),
        (
            lambda path: shutil.copytree(path.parent / "step_00000001", replaced(path)),
            "disagree on the step",
        ),
        (lambda path: replaced(path / "state.pt").mkdir(), "state.pt is damaged"),
    ],
)
def test_a_damaged_one_is_named_and_the_one_before_is_used(tmp_path, log, spoil, said):
    for step in (1, 2):
        newest = save_checkpoint(tmp_path, STATE | {"step": step}, step, 2)
    spoil(newest)
    assert load_newest(tmp_path, CPU)["step"] == 1
    out = log()
    assert str(newest) in out and said in out and len(out.splitlines()) == 1
    assert not newest.exists() and Path(f"{newest}.damaged").exists()
    assert save_checkpoint(tmp_path, STATE, 2, 2) == newest and load_newest(tmp_path, CPU)["step"] == 1


def test_a_newer_version_and_what_was_made_up_are_refused_by_name(tmp_path):
    path = save_checkpoint(tmp_path, STATE, 2, 2)
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | {"version": 2}))
    with pytest.raises(CheckpointError, match=r"step_00000002: was written by a newer pix2pix; upgrade"):
        load_newest(tmp_path, CPU)
    assert path.exists()  # it is not damaged
    shutil.rmtree(path)
    save_checkpoint(tmp_path, {"step": Path("x")}, 2, 2)
    with pytest.raises(CheckpointError, match=r"state.pt: is not a checkpoint of pix2pix"):
        load_newest(tmp_path, CPU)


@pytest.mark.parametrize("name", ["state.pt", "manifest.json"])
@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.EMFILE, errno.ESTALE])
def test_what_cannot_be_read_now_is_not_taken_for_damaged(tmp_path, monkeypatch, number, name):
    for step in (1, 2):
        newest = save_checkpoint(tmp_path, STATE | {"step": step}, step, 2)

    def away(path, *arguments, **options):
        if Path(path) == newest / name:
            raise OSError(number, os.strerror(number), str(path))
        return opened(path, *arguments, **options)

    opened = open
    with monkeypatch.context() as patch:
        patch.setattr("io.open", away)  # pathlib's
        patch.setattr("builtins.open", away)
        words = rf"^{newest / name}: cannot be read \({os.strerror(number)}\); fix that, or try again$"
        with pytest.raises(CheckpointError, match=words):
            load_newest(tmp_path, CPU)
    assert newest.exists() and load_newest(tmp_path, CPU)["step"] == 2
    assert [path.name[-1] for path in list_checkpoints(tmp_path)] == ["2", "1"]


def test_a_folder_of_checkpoints_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path, monkeypatch):
    def away(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "listdir", away)
    monkeypatch.setattr(os, "scandir", away)
    with pytest.raises(CheckpointError, match=rf"^{tmp_path}: cannot be read \(Input/output error\); fix"):
        load_newest(tmp_path, CPU)


def test_a_disk_that_fills_up_while_training_leaves_the_checkpoint_before(tmp_path):
    whole, run = Trainer(make_config(tmp_path / "whole")), make_config(tmp_path / "run")
    whole.fit()
    trainer = Trainer(run)
    size = None

    def stop() -> bool:
        nonlocal size
        if trainer.state.step == 5 and size is None:
            size = (tmp_path / "run/checkpoints/step_00000003/state.pt").stat().st_size
            files_limit.__enter__()
        return False

    files_limit = files_no_larger_than(150_000)
    try:
        words = r"step_00000006: cannot be written .* bytes are free.*; raise the limit"
        with pytest.raises(CheckpointError, match=words):
            trainer.fit(stop=stop)
    finally:
        files_limit.__exit__(None, None, None)
    assert size > 150_000
    assert load_newest(tmp_path / "run/checkpoints", CPU)["step"] == 3
    assert load_generator_file(tmp_path / "run/gen.pt").step == 3
    assert not [name for name in contents(tmp_path / "run") if "tmp" in name or ".lock." in name]
    again = Trainer(run)
    again.fit()
    assert_identical(whole, again)


def test_room_for_a_checkpoint_is_proven_and_the_proof_is_large_enough(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(files, "require_space", lambda path, size: asked.append(size))
    trainer = Trainer(make_config(tmp_path / "run", run={"output": str(tmp_path / "run"), "ema": 0.9}))
    trainer.fit()
    sizes = [(path / "state.pt").stat().st_size for path in list_checkpoints(tmp_path / "run/checkpoints")]
    assert max(sizes) <= asked[0] <= 1.5 * max(sizes)
    monkeypatch.undo()
    Checkpointer(tmp_path / "run", trainer.config, trainer.networks, {}).require_space()
    free = files.free_space(tmp_path / "x")
    with pytest.raises(CheckpointError, match=rf"x: cannot be written \(No space .*it takes {free + 10**9:,} bytes"):
        files.require_space(tmp_path / "x", free + 10**9)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


# One process a run


def test_a_second_process_is_refused_and_named(tmp_path, log):
    """In another process, with --fresh too; and a lock that a dead one left is no obstacle."""
    code = "import sys, time; from pix2pix.cli.main import main; "
    code += "from pix2pix.training.checkpointer import Checkpointer;"
    code += "Checkpointer.require_space = lambda _: (print('in', flush=True), time.sleep(60)); main(sys.argv[1:])"
    command = ("train", *TINY, "--output", "out")
    with Program(code, *command, stdout=PIPE) as child:
        assert any(line == "in\n" for line in child.stdout)
        before = contents(Path("out"))
        for flags in ((), ("--fresh",)):
            refused(pix2pix(*command, *flags), 4, f"out: process {child.pid} on", "is training in it already; wait")
        assert contents(Path("out")) == before and len(list(Path().iterdir())) == 1
        child.kill()
    assert Path("out/.lock.json").exists()
    assert pix2pix(*command).code == 0
    assert not Path("out/.lock.json").exists()
    assert pix2pix(*command, "--fresh").code == 0
    assert not list(Path("out.old-1").glob(".lock.*")) and not list(Path("out").glob(".lock.*"))


def test_of_several_that_start_at_the_same_moment_one_trains():
    runs = [Program(COMMAND, "train", *TINY, "--output", "out", stdout=PIPE, stderr=PIPE) for _ in range(3)]
    errors = [run.communicate()[1] for run in runs]
    codes = [run.returncode for run in runs]
    assert codes.count(0) >= 1 and set(codes) <= {0, 4}, errors
    refusals = [error for error, code in zip(errors, codes, strict=True) if code == 4]
    assert all("is training in it already" in error for error in refusals), refusals
    assert load_generator_file("out/gen.pt").step == 6


@pytest.mark.parametrize("host", [platform.node(), "elsewhere"])
def test_what_a_killed_process_left_never_blocks(tmp_path, host):
    """A new container has another host name, or the same one and the dead process's number."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".lock").touch()
    (folder / ".lock.json").write_text(json.dumps({"pid": os.getppid(), "host": host, "since": "yesterday"}))
    Trainer(make_config(folder)).fit()
    assert load_generator_file(folder / "gen.pt").step == 9 and not (folder / ".lock.json").exists()


def test_what_goes_wrong_amid_a_write_is_told_as_it_is(tmp_path, monkeypatch):
    """A dead reader of data is told of by an exception, wherever the main thread is."""

    def raising(data):
        raise error

    monkeypatch.setattr(files, "save_tensors", lambda path, value: torch.save(value, Broken()))

    class Broken:
        write = staticmethod(raising)

        def flush(self):
            """As files have it."""

    error = RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")
    with pytest.raises(RuntimeError, match="DataLoader worker"):
        files.save_atomically(tmp_path / "x.pt", {"a": torch.ones(9)})
    error = OSError(errno.EIO, os.strerror(errno.EIO))
    with pytest.raises(CheckpointError, match=r"x.pt: cannot be written \(Input/output error\)"):
        files.save_atomically(tmp_path / "x.pt", {"a": torch.ones(9)})
    assert not list(tmp_path.iterdir())
