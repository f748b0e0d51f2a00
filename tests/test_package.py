"""The wheel and the source distribution: what is in them, and that the wheel works away from the checkout."""

import ast
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from commands import TINY, Result, picture, pix2pix, program

import pix2pix as package
from pix2pix.config import shipped_configs

CHECKOUT = Path(__file__).resolve().parents[1]
DISTRIBUTIONS = {"PIL": "pillow", "yaml": "pyyaml"}  # imported under another name


def _run(*words: object) -> None:
    done = subprocess.run([sys.executable, "-m", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _shipped() -> list[Path]:
    return list((CHECKOUT / "configs").glob("*.yaml"))


def _git(*words: str) -> list[str]:
    return subprocess.run(["git", *words], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The folder of the source distribution and the wheel that is built from it, as a release builds them."""
    folder = tmp_path_factory.mktemp("built")
    _run("build", "--no-isolation", "--outdir", folder, CHECKOUT)
    return folder


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    (file,) = built.glob("*.whl")
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
            *("[console_scripts]", "pix2pix", "=", "pix2pix.cli.main:main")
        ]
        for name, path in shipped_configs().items():
            assert archive.read(f"pix2pix/configs/{name}.yaml") == path.read_bytes()
    assert (
        len([name for name in names if name.startswith("pix2pix/configs/")])
        == len(shipped_configs())
        == len(_shipped())
    )
    sources = {path.relative_to(CHECKOUT / "src").as_posix() for path in (CHECKOUT / "src").rglob("*.py")}
    assert sources | {"pix2pix/py.typed", f"{info}/licenses/LICENSE"} <= names
    assert {name.split("/")[0] for name in names} == {"pix2pix", info}
    assert not [name for name in names if "test" in name or "__pycache__" in name]


def test_the_source_distribution_holds_what_the_tests_need(built):
    (file,) = built.glob("*.tar.gz")
    root = f"pix2pix-{package.__version__}"
    with tarfile.open(file) as archive:
        names = {name.removeprefix(f"{root}/") for name in archive.getnames()}
    if not (CHECKOUT / ".git").exists():
        pytest.skip("not a git checkout")
    tracked = set(_git("ls-files"))
    assert tracked < names <= tracked | set(_git("ls-files", "--others", "--exclude-standard")) | {"PKG-INFO"}


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
    assert len(pix2pix("configs", "list").out.splitlines()) == len(_shipped())


def test_the_oldest_versions_that_are_tested_are_those_that_are_declared():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = project["dependencies"] + extras["formats"]
    declared += [bound for bound in extras["test"] if bound.startswith("torchvision")]  # torch pins its version
    lines = (CHECKOUT / ".github/oldest.txt").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert "torch==2.10" in pinned and all(">=" in bound for bound in declared)
    assert sorted(pinned) == sorted(bound.replace(">=", "==") for bound in declared)
    assert project["requires-python"] == ">=3.11"


def test_every_dependency_is_imported_and_every_import_is_declared():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    bounds = [*project["dependencies"], *project["optional-dependencies"]["formats"]]
    declared = {re.split("[>=<]", bound)[0] for bound in bounds}
    assert declared == {DISTRIBUTIONS.get(name, name) for name in _imported(CHECKOUT / "src")}
    # Every other extra is for who develops pix2pix.
    assert project["optional-dependencies"].keys() == {"formats", "test", "docs", "dev"}


def _imported(folder: Path) -> set[str]:
    """The top-level names that the modules below a folder import of others, inside functions too."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"pix2pix"}
