"""Who may look into whom: only downwards, as the plan of the house says; no circles, no side effects, nothing too long.

A new module needs a row in `MAY_IMPORT`: what it is allowed to know is decided there and nowhere else.
"""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import pix2pix

PACKAGE = Path(pix2pix.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# Room: the rooms it may import, itself aside. "" is pix2pix/__init__.py, for the version.
MAY_IMPORT = {
    "": set(),
    "text": set(),
    "errors": {"text"},
    "models": set(),
    "losses": set(),
    "runtime": {"errors", "text"},
    "config": {"errors", "runtime"},
    "data": {"config", "errors", "runtime"},
    "checkpoint": {"errors", "runtime"},
    "tracking": {"errors", "runtime"},
    "networks": {"config", "errors", "models", "runtime"},
    "weights": {"", "config", "data", "errors", "models", "networks", "runtime"},
    "grids": {"data"},
    "run_folder": {"checkpoint", "config", "errors", "identity", "runtime"},
    "check": {"config", "data", "errors", "grids", "models", "networks", "runtime", "text"},
    "plan": {"", "config", "data", "models", "run_folder", "runtime", "text", "tracking"},
    "translate": {"config", "data", "errors", "grids", "models", "runtime", "weights"},
    "identity": {"config", "data", "errors", "runtime"},
    "keeping": {"checkpoint", "config", "data", "errors", "identity", "run_folder", "runtime", "tracking", "weights"},
    "validation": {"data", "grids", "losses", "runtime"},
    "epoch_end": {"data", "errors", "keeping", "runtime", "tracking", "validation"},
    "trainer": {
        *("config", "data", "epoch_end", "identity", "keeping", "losses", "models", "networks", "plan", "run_folder"),
        *("errors", "runtime", "tracking", "validation"),
    },
    "arguments": {"", "data", "text"},
    "cli": {"arguments", "check", "config", "data", "errors", "runtime", "trainer", "translate"},
    "__main__": {"cli"},
}


def _name(file: Path) -> str:
    """The dotted name of a module, without the leading `pix2pix`; a package's is its folder's."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(file): file for file in FILES}


def _for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _statements(node: ast.AST, skip_functions: bool = False):
    """The import statements below a node, without those that only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not _for_type_checkers(child) and not (skip_functions and isinstance(child, ast.FunctionDef)):
            yield from _statements(child, skip_functions)


def _imports(file: Path, skip_functions: bool = False) -> set[str]:
    """Full dotted names that a file imports; `from a import b` is a.b where that is a module, else a."""
    found = set()
    for statement in _statements(ast.parse(file.read_bytes()), skip_functions):
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
            continue
        source = statement.module or ""
        if statement.level:  # relative: from the package, as many levels up as there are more dots than one
            package = file.parent.relative_to(PACKAGE.parent).parts
            source = ".".join([*package[: len(package) - statement.level + 1], *source.split(".")]).rstrip(".")
        for alias in statement.names:
            inner = f"{source}.{alias.name}".removeprefix("pix2pix.")
            found.add(f"pix2pix.{inner}" if source.startswith("pix2pix") and inner in MODULES else source)
    return found


def _ours(names: set[str]) -> set[str]:
    return {name.removeprefix("pix2pix").lstrip(".") for name in names if name.split(".")[0] == "pix2pix"}


def _room(module: str) -> str:
    return module.split(".")[0]


def test_relative_and_nested_imports_are_seen(tmp_path):
    assert "data.synthetic_layout" in _ours(_imports(MODULES["data.synthetic"]))  # from .synthetic_layout
    assert {"trainer", "translate", "data.download"} <= _ours(_imports(MODULES["cli"]))  # inside functions
    assert "trainer" not in _ours(_imports(MODULES["plan"]))  # for type checkers only
    assert "losses" in _ours(_imports(MODULES["trainer"]))  # from pix2pix import losses


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_only_downwards(module):
    assert _room(module) in MAY_IMPORT, f"say in MAY_IMPORT what {_room(module)} may import"
    rooms = {_room(name) for name in _ours(_imports(MODULES[module]))} - {_room(module)}
    assert rooms <= MAY_IMPORT[_room(module)]


def test_the_table_itself_is_the_plan():
    assert {_room(module) for module in MODULES} == MAY_IMPORT.keys()
    TopologicalSorter(MAY_IMPORT).prepare()  # raises where there is a circle
    assert [room for room, rooms in MAY_IMPORT.items() if "cli" in rooms] == ["__main__"]
    assert [room for room, rooms in MAY_IMPORT.items() if {"data", "models", "losses"} <= rooms] == ["trainer"]


def test_no_circles_between_modules():
    graph = {module: _ours(_imports(file)) - {module} for module, file in MODULES.items()}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize(
    ("rooms", "allowed"),
    [
        ({"models", "losses"}, {"torch"}),
        ({"config"}, {"pydantic", "yaml"}),
        ({"errors"}, set()),
        ({"runtime"}, {"torch", "numpy", "filelock"}),
    ],
)
def test_what_the_lowest_rooms_import_of_others(rooms, allowed):
    for module, file in MODULES.items():
        if _room(module) in rooms:
            roots = {name.split(".")[0] for name in _imports(file)} - {"pix2pix"} - sys.stdlib_module_names
            assert roots <= allowed, module


def test_images_are_opened_in_one_place_only():
    for module, file in MODULES.items():
        text = file.read_text(encoding="utf-8")
        assert module == "data.images" or not any(words in text for words in ("Image.open", "imread", "decode_image"))


def test_the_command_line_imports_what_is_heavy_inside_its_verbs():
    rooms = ("cli", "arguments", "")
    top = {name for room in rooms for name in _imports(MODULES[room], skip_functions=True)}
    assert (
        _ours(top) <= {"", "arguments", "errors", "text"}
        and {name.split(".")[0] for name in top} - {"pix2pix"} <= sys.stdlib_module_names
    )


def test_importing_has_no_side_effects():
    script = f"""
import os, random, signal, sys, threading
from importlib import import_module
def state():
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    return dict(os.environ), os.listdir(), handlers, random.getstate(), threading.active_count()
def loaded(*names):
    return sorted(set(names) & set(sys.modules))
extras = "matplotlib", "tensorboard", "wandb", "onnx", "tifffile", "imagecodecs"
for name in ("pix2pix", "pix2pix.config", "pix2pix.data", "pix2pix.data.pairs", "pix2pix.runtime.io"):
    import_module(name)
print(loaded("torch"))
import torch, torchvision, numpy, tqdm  # their own affairs are not ours
settings = lambda: (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(), torch.initial_seed(),
                    torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark)
before, earlier = state(), settings()
for name in {sorted(f"pix2pix.{module}".rstrip(".") for module in MODULES if module != "__main__")!r}:
    import_module(name)
print(state() == before, settings() == earlier, loaded(*extras))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert done.stdout.splitlines() == ["[]", "True True []"]


@pytest.mark.parametrize("file", FILES, ids=_name)
def test_nothing_is_too_long(file):
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name
