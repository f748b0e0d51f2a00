"""The wheel: what is in it, and that it works by itself, away from the checkout."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from commands import TINY, Result, picture, pix2pix, program

import pix2pix as package
from pix2pix.config import shipped_configs

CHECKOUT = Path(__file__).resolve().parents[1]


def _run(*words: object) -> None:
    done = subprocess.run([sys.executable, "-m", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _run("build", "--wheel", "--no-isolation", "--outdir", folder, CHECKOUT)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The folder into which the wheel alone is installed; what it needs comes from this environment."""
    folder = tmp_path_factory.mktemp("installed") / "site"
    _run("pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--target", folder, wheel)
    return folder


def test_the_wheel_holds_the_package_its_configs_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = f"pix2pix-{package.__version__}.dist-info"
        assert archive.read(f"{info}/entry_points.txt").decode().split() == [
            *("[console_scripts]", "pix2pix", "=", "pix2pix.cli:main")
        ]
        for name, path in shipped_configs().items():
            assert archive.read(f"pix2pix/configs/{name}.yaml") == path.read_bytes()
    assert len([name for name in names if name.startswith("pix2pix/configs/")]) == len(shipped_configs()) == 9
    sources = {path.relative_to(CHECKOUT / "src").as_posix() for path in (CHECKOUT / "src").rglob("*.py")}
    assert sources | {"pix2pix/py.typed", f"{info}/licenses/LICENSE"} <= names
    assert {name.split("/")[0] for name in names} == {"pix2pix", info}
    assert not [name for name in names if "test" in name or "__pycache__" in name]


def test_the_wheel_alone_trains_and_translates(installed):
    def command(*arguments: object) -> Result:
        return program(*arguments, env={**os.environ, "PYTHONPATH": str(installed)})

    listed = command("configs", "list").out
    assert [line.split()[0] for line in listed.splitlines()] == list(shipped_configs())
    trained = command("train", *TINY, "--output", "run")
    assert trained.code == 0, trained
    # The copy that ran is the installed one, not the checkout's.
    assert trained.out.startswith(f"config {installed / 'pix2pix' / 'configs' / 'demo.yaml'} (shipped config)")
    translated = command("sample", "--weights", "run/gen.pt", "--input", picture("in/a.png"), "--output", "out")
    assert translated.code == 0 and Path("out/a.png").exists(), translated
    script = installed / "bin" / "pix2pix"
    assert script.exists() or sys.platform == "win32"


def test_an_editable_install_finds_the_checkouts_configs():
    if not Path(package.__file__).is_relative_to(CHECKOUT / "src"):
        pytest.skip("pix2pix is not installed as editable here")
    assert {path.parent for path in shipped_configs().values()} == {CHECKOUT / "configs"}
    assert len(pix2pix("configs", "list").out.splitlines()) == len(list((CHECKOUT / "configs").glob("*.yaml"))) == 9


def test_the_oldest_versions_that_are_tested_are_those_that_are_declared():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    declared = project["dependencies"] + project["optional-dependencies"]["formats"]
    lines = (CHECKOUT / ".github/oldest.txt").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert sorted(pinned) == sorted(bound.replace(">=", "==") for bound in declared)
    assert project["requires-python"] == ">=3.11"
