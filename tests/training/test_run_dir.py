"""What counts as a run, what is left of a killed one, and where --fresh moves it."""

import shutil
from pathlib import Path

import pytest
from commands import TINY, contents, overrides, picture, pix2pix, refused, script

from pix2pix.runtime import ownership
from pix2pix.runtime.ownership import INDEX

TRAIN = ("train", *TINY, "--output")
QUICK = ("train", *TINY, *overrides({"schedule.epochs": 1}), "--fresh", "--output")
KILLED = """
import os, pathlib, sys
replace, unlink = os.replace, pathlib.Path.unlink
def die(does, name):
    return lambda path, *more, **options: os._exit(9) if name in str(path) else does(path, *more, **options)
os.replace, pathlib.Path.unlink = die(replace, ".config."), die(unlink, ".probe-")
if sys.argv.pop(1) == "config":
    pathlib.Path.unlink = unlink
from pix2pix.cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("flag", [None, "--fresh"])
@pytest.mark.parametrize(("amid", "left"), [("config", ".config.tmp-*.yaml"), ("probe", ".probe-*")])
def test_a_start_that_was_killed_is_no_obstacle(amid, left, flag):
    assert script(KILLED, amid, *TRAIN, "out").code == 9
    names = [path.name for path in Path("out").iterdir() if not path.name.startswith(".lock") and path.name != INDEX]
    assert names == [path.name for path in Path("out").glob(left)] and len(names) == 1
    assert pix2pix(*TRAIN, "out", *[flag] * (flag is not None)).code == 0
    assert [path.name for path in Path().iterdir()] == ["out"]
    assert sorted(path.name for path in Path("out").glob(".[!.]*")) == sorted([".lock", INDEX])


def test_only_what_is_ours_counts_as_left_over(tmp_path):
    mine = [".x.tmp-", ".x.tmp-mine", ".probe-mine", "x.tmp-1", "checkpoints/step_good", "checkpoints/x.tmp-1"]
    mine += [".notes.tmp-2024.txt", ".gen.tmp-1.pt.bak", "samples/.thesis.tmp-1.png", "checkpoints/step_00000004.tmp-1"]
    ours = [".gen.tmp-1.pt", ".checkpoints.tmp-23", ".probe-4", "samples/.epoch_0001.tmp-5.png"]
    ours += ["..pix2pix-output.tmp-7.json", ".config.tmp-8.yaml"]
    for name in [*mine, *ours]:
        picture(f"{name}/x.png") if name.startswith("check") else picture("x.png").rename(_made(Path(name)))
    (Path("checkpoints") / "step_00000003.tmp-6").mkdir()
    Path("elsewhere").mkdir()
    Path(".probe-99").symlink_to("elsewhere")
    ownership.remove_leftovers(Path())
    assert Path(".probe-99").is_symlink()
    assert sorted(contents(Path())) == sorted(f"{name}/x.png" if name.startswith("check") else name for name in mine)
    assert not Path("checkpoints/step_00000003.tmp-6").exists()


def _made(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    return path


def test_a_run_without_its_config_is_a_run(trained):
    config = (trained / "config.yaml").read_bytes()
    (trained / "config.yaml").unlink()
    before = contents(trained)
    for flags in ((), ("--resume",)):
        refused(pix2pix(*TRAIN, trained, *flags), 4, "config.yaml")
        assert contents(trained) == before
    assert "run.old-1" in pix2pix(*QUICK, trained).out
    assert contents(Path("run.old-1")) == before and (trained / "gen.pt").exists()
    shutil.rmtree(trained)
    Path("run.old-1").rename(trained)
    (trained / "config.yaml").write_bytes(config)
    assert "this run is finished" in pix2pix(*TRAIN, trained).out


def test_fresh_in_a_linked_folder_moves_what_the_link_leads_to(trained):
    shutil.move(trained, "real")
    before = contents(Path("real"))
    Path("middle").symlink_to("real")
    Path("link").symlink_to("middle")
    for number in (1, 2):
        moved = f"moved the earlier run {Path('real').resolve()} to {Path(f'real.old-{number}').resolve()}\n"
        result = pix2pix(*QUICK, "link")
        assert result.code == 0 and moved in result.out
    assert contents(Path("real.old-1")) == before and not list(Path("real.old-1").glob(".lock.*"))
    names = {"real", "real.old-1", "real.old-2", "middle", "link"}
    assert {path.name for path in Path().iterdir()} == names and Path("link").readlink() == Path("middle")
    assert contents(Path("real")).keys() == contents(Path("real.old-2")).keys()


@pytest.mark.parametrize(("stand", "output"), [("run", "."), ("run/samples", ".."), ("run/samples", "../../link")])
def test_fresh_never_moves_the_folder_in_which_one_stands(trained, monkeypatch, stand, output):
    Path("link").symlink_to("run")
    home, before = Path.cwd(), contents(trained)
    monkeypatch.chdir(stand)
    refused(pix2pix(*QUICK, output), 4, f"{output}: the current directory is in it", "start from another directory")
    assert {path.name for path in home.iterdir()} == {"run", "link"} and contents(home / "run") == before
    assert Path.cwd() == home / stand
