"""The documentation says what is there: every block of README and docs is run, or parsed where it cannot be run.

Each page is run from top to bottom in one folder, as a reader would do it. Trainings get small sizes.
"""

import logging
import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from commands import SETTINGS, overrides, pairs, picture, pix2pix

import pix2pix as package
from pix2pix.cli.main import build_parser
from pix2pix.config import load_config, shipped_configs

ROOT = Path(__file__).parents[1]
FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in FILES}

# Every config takes these: the demo's direction aside, and levels of dropout that a U-Net of five levels has.
SMALL = {key: value for key, value in SETTINGS.items() if key != "data.direction"}
SMALL |= {"model.generator.dropout_down": [], "model.generator.dropout_up": "auto"}

# What a command begins with: why it is only parsed.
NOT_RUN = {
    "python3 -m venv": "installs from the package index",
    "pix2pix download": "needs a network",
    "torchrun": "starts several processes; tests/training/test_distributed.py does that",
    "srun": "needs SLURM",
    "grep -q": "belongs to the SLURM job",
    "python scripts/fault_campaign.py": "takes long; tests/faults/test_rows.py runs it in short",
    ".venv/bin/pytest": "runs the tests",
    ".venv/bin/ruff": "is a step of the README's test command",
    ".venv/bin/sphinx-build": "is a step of the README's test command",
    "sphinx-build": "is a step of the README's test command",
}
LANGUAGES = {"bash", "python", "yaml", "text"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, as the reader sees it."""

    page: str
    line: int
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The commands of a bash block, a continued line being one."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line for line in lines if line.strip() and not line.startswith("#")]


def find_blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, Sphinx directives aside."""
    text = PAGES[page]
    found = re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    blocks = [Block(page, text[: match.start()].count("\n") + 1, match[1], match[2]) for match in found]
    return [block for block in blocks if not block.language.startswith("{")]


BLOCKS = [block for page in PAGES for block in find_blocks(page)]


def of(language: str) -> list[Block]:
    """The blocks of one language."""
    return [block for block in BLOCKS if block.language == language]


def label(block: Block) -> str:
    """The place of a block."""
    return f"{block.page}:{block.line}"


def reason_not_to_run(command: str) -> str | None:
    """Why a command is only parsed, or None."""
    return next((reason for start, reason in NOT_RUN.items() if command.startswith(start)), None)


def invocations(command: str) -> list[list[str]]:
    """The arguments of each call of pix2pix in a line of bash."""
    calls = re.findall(r"(?:^|[\s/])pix2pix ((?:train|sample|check|download|configs|benchmark)\b[^&|#]*)", command)
    return [shlex.split(re.sub(r"\s\d?>.*", "", call)) for call in calls]


@pytest.fixture
def reader(tmp_path, finished, monkeypatch) -> Iterator[Path]:
    """The folder in which a reader works, with what the pages take for granted: data sets, images, weights."""
    pairs("data/mine", "train", "val", "test")
    for name in ("facades", "maps"):
        shutil.copytree("data/mine", f"data/{name}")
    picture("photo.jpg"), picture("labels.png")
    shutil.copy(finished[0] / "gen.pt", "gen.pt")
    shutil.copytree(ROOT / "scripts", "scripts")

    def small(source, settings=()):
        return load_config(source, [*settings, *(word for word in overrides(SMALL) if word != "--set")])

    monkeypatch.setattr(package, "load_config", small, raising=False)
    level = logging.getLogger("pix2pix").level
    yield tmp_path
    logging.getLogger("pix2pix").setLevel(level)


def run(block: Block, monkeypatch, names: dict[str, object]) -> int:
    """Runs what can be run of a block in the current folder; returns how much that was."""
    if block.language == "python":
        exec(compile(block.text, label(block), "exec"), names)  # those of the blocks before it
        return 1
    commands = [command for command in block.commands if not reason_not_to_run(command)]
    for command in commands:
        words = shlex.split(command, comments=True)
        if words[0] == "python":
            monkeypatch.setattr(sys, "argv", words[1:])
            runpy.run_path(words[1], run_name="__main__")
            continue
        assert words[0] == "pix2pix", f"{label(block)}: {command}: run it here, or say in NOT_RUN why not"
        extra = overrides(SMALL) if words[1] == "train" or "--config" in words else ()
        words, output = (words[:-2], words[-1]) if words[-2:-1] == [">"] else (words, None)
        result = pix2pix(*words[1:], *extra)
        if output is not None:
            Path(output).write_text(result.out, encoding="utf-8")
        assert result.code == 0, f"{label(block)}: {command}\n{result.err}"
    return len(commands)


def test_every_kind_of_block_is_found():
    assert {block.language for block in BLOCKS} == LANGUAGES, "a block names its language, one of these"
    fences = sum(len(re.findall(r"^```", text, re.MULTILINE)) for text in PAGES.values())
    directives = sum(len(re.findall(r"^```{", text, re.MULTILINE)) for text in PAGES.values())
    assert len(BLOCKS) == fences // 2 - directives and fences % 2 == 0


# page: commands and Python blocks that are run
RUN = {
    "README.md": 8,
    "docs/api.md": 6,
    "docs/configuration.md": 5,
    "docs/own-parts.md": 5,
    "docs/recipes.md": 1,
    "docs/tutorial.md": 11,
    "docs/what-a-run-survives.md": 4,
    "docs/your-own-pairs.md": 7,
}


@pytest.mark.parametrize("page", RUN)
def test_the_blocks_of_a_page_run(page, reader, monkeypatch):
    names = {"__name__": "example"}
    blocks = [block for block in find_blocks(page) if block.language in ("bash", "python")]
    assert sum(run(block, monkeypatch, names) for block in blocks) == RUN[page]


@pytest.mark.parametrize("block", of("bash"), ids=label)
def test_commands_parse(block):
    for command in block.commands:
        for words in invocations(command):
            arguments = build_parser().parse_args(words)
            if arguments.verb == "train" and arguments.config and not arguments.config.endswith(".yaml"):
                load_config(arguments.config, arguments.set)
        for script in re.findall(r"(?:scripts|tests|docs)/\S+\.py", command):
            assert (ROOT / script).is_file(), command


def test_commands_of_every_verb_are_found():
    found = [words for block in of("bash") for command in block.commands for words in invocations(command)]
    assert {words[0] for words in found} == {"train", "check", "sample", "download", "configs", "benchmark"}
    assert len(found) == sum(
        len(re.findall(r"^(?!#).*?\bpix2pix (?!-)[a-z]", block.text, re.MULTILINE)) for block in of("bash")
    )


def test_every_reason_not_to_run_is_needed():
    commands = [command for block in of("bash") for command in block.commands]
    assert [start for start in NOT_RUN if not any(command.startswith(start) for command in commands)] == []


@pytest.mark.parametrize("block", of("yaml"), ids=label)
def test_yaml_blocks_are_configs(block):
    Path("block.yaml").write_text(block.text, encoding="utf-8")
    resolved = load_config("block.yaml", ["data.root=data/mine"]).model_dump(mode="json")
    assert_holds(resolved, yaml.safe_load(block.text))


def assert_holds(resolved: dict, given: dict) -> None:
    """Asserts that every value of a YAML block is that of the config it makes."""
    for key, value in given.items():
        if isinstance(value, dict):
            assert_holds(resolved[key], value)
        else:
            assert resolved[key] == value, key


def test_every_shipped_config_has_its_place():
    assert [name for name in shipped_configs() if f"`{name}`" not in PAGES["README.md"]] == []
    recipes = {
        row[0]: row
        for row in re.findall(
            r"^\| `(\w+)` \|.*?\| (\d+) \| (\d+) \| [\d,]+ \|$", PAGES["docs/recipes.md"], re.MULTILINE
        )
    }
    assert recipes.keys() == shipped_configs().keys() - {"own"}  # its values follow from the data
    for name, batch_size, epochs in recipes.values():
        config = load_config(name)
        assert (config.data.batch_size, config.schedule.epochs) == (int(batch_size), int(epochs)), name


def test_the_reference_has_every_key():
    module = runpy.run_path(str(ROOT / "docs" / "config_reference.py"))
    reference = module["reference"]()
    assert "| `image_size` | integer 16 to 8192 or [integer 16 to 8192, integer 16 to 8192] | `256` |" in reference
    assert "| `ema` | number > 0, < 1 or `null` | `null` |" in reference
    assert "| `adversarial` | `bce`, `mse`, `mse_sigmoid`, `bce_sigmoid`, `hinge` | `bce` |" in reference
    headings = re.findall(r"^## (.*)$", reference, re.MULTILINE)
    assert headings == [name for name, _ in module["sections"]()] and len(headings) == len(set(headings)) > 10
    assert "<!-- the reference is inserted here -->" in PAGES["docs/configuration.md"]


def heading_anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    headings = re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", PAGES[page], flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_and_pictures_lead_somewhere():
    links = [(page, *link) for page, text in PAGES.items() for link in re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", text)]
    relative = [link for link in links if "://" not in link[2]]
    for page, shown, target in relative:
        name, _, anchor = target.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        assert file.is_file(), f"{page}: {target}"
        assert not shown or file.stat().st_size < 500_000, f"{page}: {target}"
        assert not anchor or anchor in heading_anchors(file.relative_to(ROOT).as_posix()), f"{page}: {target}"
    assert any(shown for _, shown, _ in relative) and {page for page, *_ in links} >= {"README.md", "docs/index.md"}


def test_ci_runs_the_readmes_test_command():
    pattern = re.search(r"grep -m 1 -E '(.*)' README", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))[1]
    (command,) = [line for line in PAGES["README.md"].splitlines() if re.search(pattern, line)]
    assert "pip install -e '.[dev]'" in command and "sphinx-build -q -W -b html docs docs/_build" in command
    assert [step in command for step in ("ruff check .", "bin/mypy &&", "pytest -n 2 --dist loadfile")] == [True] * 3
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    assert ".ci/run" in [step.get("run") for step in jobs["readme"]["steps"]]
    assert jobs["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert "sphinx-build -W -b html docs docs/_build" in [step.get("run") for step in jobs["docs"]["steps"]]


def test_issue_forms_and_hooks_are_yaml():
    formats = {
        path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")
    }
    assert {name: len(fmt["body"]) for name, fmt in formats.items()} == {"bug": 4, "question": 3}
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [hook["entry"].split()[0] for hook in hooks] == ["ruff", "ruff", "mypy"]


def test_the_slurm_job_looks_for_what_training_says():
    (phrase,) = re.findall(r'grep -q "(.*?)"', PAGES["docs/several-gpus.md"])
    sources = Path(package.__file__).parent.rglob("*.py")
    assert any(phrase in source.read_text(encoding="utf-8") for source in sources)


def test_the_tree_of_packages_is_the_real_one():
    package_root = Path(package.__file__).parent
    (tree,) = [block.text for block in find_blocks("docs/how-it-is-built.md") if block.language == "text"]
    drawn, folder = set(), ""
    for line in tree.splitlines():
        first, *_ = line.split(maxsplit=1)
        if line[0] != " ":
            folder = first if first.endswith("/") else ""
        drawn |= {folder + name for name in re.findall(r"\b\w+\.py\b", line)}
    real = {path.relative_to(package_root).as_posix() for path in package_root.rglob("*.py")}
    assert drawn == {name for name in real if not name.endswith(("__init__.py", "__main__.py"))}


def test_the_readme_is_short():
    assert len(PAGES["README.md"].splitlines()) <= 200
