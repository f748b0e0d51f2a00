"""No command replaces or deletes a file that it reads or that pix2pix did not make."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import SETTINGS, TINY, contents, overrides, pairs, picture, pix2pix, program, refused

from pix2pix.config import config_from_dict
from pix2pix.data.images.files import write_image
from pix2pix.data.index import DatasetIndex
from pix2pix.errors import CheckpointError, ConfigError
from pix2pix.models.unet import UNet
from pix2pix.runtime.ownership import (
    INDEX,
    Index,
    claim_outputs,
    is_run,
    is_signed_picture,
    read_index,
    remove_folder,
    write_index,
)
from pix2pix.training.checkpoint_io import list_checkpoints, load_newest, save_checkpoint

CPU = torch.device("cpu")


def test_an_index_is_read_back_and_nothing_else_counts_as_one(tmp_path):
    index = Index("translations", files=frozenset({"a.png", "deep/b.png"}))
    write_index(tmp_path, index)
    assert read_index(tmp_path) == index and Index("run").id != Index("run").id
    good = json.loads((tmp_path / INDEX).read_text())
    others = ["", "[1]", "{}", "[" * 100_000, json.dumps(good | {"files": [1]}), json.dumps(good | {"software": "x"})]
    for text in others:
        (tmp_path / INDEX).write_text(text)
        assert read_index(tmp_path) is None
        with pytest.raises(ConfigError, match=r"was not written by pix2pix; move it"):
            write_index(tmp_path, index)
        assert (tmp_path / INDEX).read_text() == text
    (tmp_path / INDEX).unlink()
    os.mkfifo(tmp_path / INDEX)
    assert read_index(tmp_path) is None  # and does not wait for a writer


def test_outputs_replace_only_what_the_index_lists(tmp_path):
    outputs = [tmp_path / "a.png", tmp_path / "deep/b.png"]
    claim_outputs(tmp_path, outputs, [])
    for path in outputs:
        picture(path)
    claim_outputs(tmp_path, [*outputs, tmp_path / "c.png"], [])
    assert read_index(tmp_path).files == {"a.png", "deep/b.png", "c.png"}
    picture(tmp_path / "d.png")
    with pytest.raises(ConfigError, match=r"d\.png: exists and was not made by pix2pix here"):
        claim_outputs(tmp_path, [tmp_path / "d.png"], [])
    with pytest.raises(ConfigError, match=r"a\.png: is an input and would be overwritten"):
        claim_outputs(tmp_path, outputs, [tmp_path / "deep/../a.png"])
    with pytest.raises(ConfigError, match="is outside of"):
        claim_outputs(tmp_path, [tmp_path / "../x.png"], [])
    outputs[0].unlink()
    outputs[0].symlink_to("d.png")
    with pytest.raises(ConfigError, match=r"a\.png: exists"):
        claim_outputs(tmp_path, outputs, [])


def test_a_picture_is_ours_by_its_signature(tmp_path):
    pixels = np.zeros((4, 4, 3), np.uint8)
    write_image(tmp_path / "ours.png", pixels, signed=True)
    write_image(tmp_path / "other.png", pixels)
    (tmp_path / "link.png").symlink_to("ours.png")
    found = [is_signed_picture(tmp_path / f"{name}.png") for name in ("ours", "other", "link", "gone")]
    assert found == [True, False, False, False]


def test_a_folder_is_removed_only_where_it_holds_nothing_else(tmp_path):
    for name in ("ours", "more", "deep"):
        picture(tmp_path / name / "state.pt.png").rename(tmp_path / name / "state.pt")
    (tmp_path / "more/thesis.txt").write_text("x")
    (tmp_path / "deep/manifest.json").mkdir()
    (tmp_path / "link").symlink_to("ours")
    names = ("state.pt", "manifest.json")
    assert not any(remove_folder(tmp_path / name, names) for name in ("more", "deep", "link", "gone"))
    kept = {"ours/state.pt", "more/state.pt", "more/thesis.txt", "deep/state.pt"}
    assert contents(tmp_path).keys() == kept and (tmp_path / "link").is_symlink()
    assert remove_folder(tmp_path / "ours", names) and not (tmp_path / "ours").exists()


def test_sample_again_replaces_its_own_files_and_no_others(trained):
    command = ("sample", "--weights", trained / "gen.pt", "--input", picture("in/a.png"), "--output", "out")
    assert pix2pix(*command).code == 0
    first = contents(Path("out"))
    Path("out/a.png").write_bytes(b"spoilt")
    assert pix2pix(*command).code == 0 and contents(Path("out")) == first
    Path("out", INDEX).unlink()
    picture("in/b.png")
    refused(pix2pix(*command[:4], "in", *command[5:]), 2, "out/a.png: exists and was not made by pix2pix", "--output")
    assert contents(Path("out")) == first  # b.png was not written either


@pytest.mark.parametrize("output", ["ds", "ds/test", "ds/../ds/", "link"])
def test_sample_leaves_the_data_set_that_it_reads(trained, output):
    pairs("ds", "train", "test")
    Path("link").symlink_to("ds")
    before = contents(Path("ds"))
    result = pix2pix("sample", "--weights", trained / "gen.pt", "--data", "ds", "--split", "test", "--output", output)
    refused(result, 2, "holds the pairs that are read", "choose another --output")
    assert contents(Path("ds")) == before and not list(Path("ds").rglob(INDEX))


def test_a_sheet_replaces_only_a_sheet():
    pairs("ds", "train")
    command = ("check", "--data", "ds", "--set", "data.image_size=32", "--preview")
    assert pix2pix(*command, "sheet.png").code == 0 and is_signed_picture(Path("sheet.png"))
    assert pix2pix(*command, "sheet.png").code == 0
    before = contents(Path("ds"))
    refused(pix2pix(*command, "ds/train/0.png"), 2, "ds/train/0.png: exists and was not made by pix2pix")
    assert contents(Path("ds")) == before


def test_a_copied_config_replaces_nothing():
    Path("link.yaml").symlink_to("elsewhere.yaml")
    refused(pix2pix("configs", "copy", "demo", "--output", "link.yaml"), 4, "link.yaml: already exists")
    assert not Path("elsewhere.yaml").exists()


def _step(folder: Path, step: int) -> Path:
    return save_checkpoint(folder, {"step": step}, step, 1)


def test_pruning_deletes_only_checkpoints_of_ours(tmp_path):
    mine, noted = tmp_path / "step_00000001", tmp_path / "step_00000002"
    mine.mkdir()
    (mine / "thesis.txt").write_text("x")
    _step(tmp_path, 2)
    (noted / "notes.txt").write_text("the best one")
    moved = tmp_path.parent / f"{tmp_path.name}-moved"
    shutil.move(_step(tmp_path, 3), moved)
    (tmp_path / "step_00000003").symlink_to(moved)
    for step in (4, 5, 6):
        _step(tmp_path, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"step_0000000{step}" for step in (1, 2, 3, 6)]
    assert (mine / "thesis.txt").read_text() == "x" and (moved / "state.pt").exists()
    assert [path.name[-1] for path in list_checkpoints(tmp_path)] == ["6", "3", "2"]


def test_something_in_the_place_of_a_checkpoint_is_kept_and_named(tmp_path):
    (tmp_path / "step_00000001").write_text("a file")
    with pytest.raises(CheckpointError, match=r"step_00000001: has the name of a checkpoint .* move it"):
        _step(tmp_path, 1)
    assert load_newest(tmp_path, CPU) is None and (tmp_path / "step_00000001").read_text() == "a file"


def test_a_damaged_checkpoint_gets_a_free_name(tmp_path):
    picture(tmp_path / "step_00000002.damaged/holiday.png")
    for step in (1, 2):
        newest = save_checkpoint(tmp_path, {"step": step}, step, 2)
    os.truncate(newest / "state.pt", 10)
    assert load_newest(tmp_path, CPU)["step"] == 1
    assert (tmp_path / "step_00000002.damaged/holiday.png").exists()
    assert (tmp_path / "step_00000002.damaged-2/state.pt").exists()


def test_samples_in_a_linked_folder_replace_only_samples():
    assert pix2pix("train", *TINY, "--output", "out", "--set", "schedule.epochs=1").code == 0
    shutil.rmtree("out/samples")
    theirs = picture("theirs/epoch_0002.png").read_bytes()
    Path("out/samples").symlink_to(Path("theirs").resolve())
    result = pix2pix("train", *TINY, "--output", "out", "--allow-changed", "schedule")
    assert result.code == 0 and "epoch_0002.png: exists and was not made by pix2pix" in result.err
    assert Path("theirs/epoch_0002.png").read_bytes() == theirs


def test_a_folder_with_a_persons_config_is_no_run():
    Path("mine").mkdir()
    Path("mine/config.yaml").write_text("# my thesis\nrun: {seed: 3}\n")
    before = contents(Path("mine"))
    for flags in ((), ("--fresh",)):
        refused(pix2pix("train", *TINY, "--output", "mine", *flags), 4, "mine: holds other files and no run")
        assert contents(Path("mine")) == before


def test_a_run_in_its_data_set_is_no_part_of_it(monkeypatch):
    pairs("ds", "train", count=4)
    monkeypatch.chdir("ds")
    settings = {"data.layout": "auto", "data.root": ".", "data.direction": None, "data.val_fraction": 0.3}
    command = ("train", *TINY, *overrides(settings), "--output", "train/run")
    assert pix2pix(*command).code == 0 and is_run(Path("train/run"))
    config = config_from_dict({"data": {"root": ".", "image_size": 32}}, "test")
    names = {pair.name for pair in DatasetIndex.scan(config.data).pairs("train", (32, 32))}
    assert names <= {"0", "1", "2", "3"} and "this run is finished" in pix2pix(*command).out
    Path("train/run", INDEX).unlink()  # as a run of before has none
    assert {pair.name for pair in DatasetIndex.scan(config.data).pairs("train", (32, 32))} == names
    assert pix2pix("sample", "--weights", "train/run/gen.pt", "--input", "train", "--output", "train/new").code == 0
    assert contents(Path("train/new")).keys() == {f"{number}.png" for number in range(4)}
    assert {pair.name for pair in DatasetIndex.scan(config.data).pairs("train", (32, 32))} == names


def test_an_unreadable_subfolder_of_the_input_is_named(trained):
    from commands import as_ordinary_user

    options = as_ordinary_user()
    picture("in/a.png"), picture("in/locked/b.png")
    Path("in/locked").chmod(0)
    try:
        first = options["first"].replace("24, 1", "24, 2") if options["first"] else ""
        both = f"{options['first']}\n{first}"  # 2 is CAP_DAC_READ_SEARCH, by which root also reads every folder
        result = program("sample", "--weights", trained / "gen.pt", "--input", "in", "--output", "out", first=both)
    finally:
        Path("in/locked").chmod(0o755)
    refused(result, 3, "in/locked: cannot be read (Permission denied)", "fix its permissions")
    assert "1 translations in out" in result.out and contents(Path("out")).keys() == {"a.png"}


def test_one_picture_too_large_for_the_memory_does_not_end_the_others(trained, monkeypatch):
    picture("in/a.png"), picture("in/b.png", 64, 64), picture("in/c.png")
    forward = UNet.forward

    def small(self, x):
        if x.shape[-1] > 32:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return forward(self, x)

    monkeypatch.setattr(UNet, "forward", small)
    result = pix2pix("sample", "--weights", trained / "gen.pt", "--input", "in", "--output", "out")
    refused(result, 3, "in/b.png: is too large for the memory of this machine", "--resize")
    assert contents(Path("out")).keys() == {"a.png", "c.png"} and "2 translations" in result.out


def test_a_run_folder_that_another_one_has_replaced_is_noticed(monkeypatch):
    from pix2pix.training import evaluator as epoch_end

    plot = epoch_end.plot_losses

    def replaced(*paths):
        plot(*paths)
        Path("out").rename("moved")
        Path("out").mkdir()

    monkeypatch.setattr(epoch_end, "PLOT_SECONDS", 0)
    monkeypatch.setattr(epoch_end, "plot_losses", replaced)
    refused(pix2pix("train", *TINY, "--output", "out"), 4, "out: ", "moved")
    assert not list(Path("out").iterdir()) and SETTINGS["schedule.epochs"] == 2


def test_a_deleted_current_directory_is_named(tmp_path):
    first = "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')"
    result = program("train", *TINY, "--output", tmp_path / "out", first=first, cwd=tmp_path)
    refused(result, 2, "the current directory cannot be found", "change to another one")
