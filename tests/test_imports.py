"""Who may import whom: only downwards, as docs/how-it-is-built.md draws it; no circles, no side effects.

A new room needs a row in `MAY_IMPORT`: what it is allowed to know is decided there and nowhere else. Imports inside
functions and those for type checkers count like all others.
"""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from sources import MODULES, PACKAGE, TREES

# Room, from the bottom up: the rooms it may import, itself aside. "" is pix2pix/__init__.py, which names the public
# things and loads them on first use.
MAY_IMPORT = {
    "_version": set(),
    "text": set(),
    "losses": set(),
    "objective": {"losses"},
    "errors": {"text"},
    "runtime": {"errors", "text"},
    "config": {"errors", "runtime", "text"},
    "models": {"config", "errors", "runtime"},
    "data.images": {"errors", "runtime", "text"},
    "data.formats": {"config", "data.images", "errors", "runtime"},
    "data.augment": {"config", "data.formats", "runtime"},
    "data.cache": {"errors", "runtime"},
    "datasets": {"data.formats", "data.images", "errors", "runtime"},
    "data.discovery": {"config", "data.images", "datasets", "errors", "runtime", "text"},
    "data": {
        *("config", "data.augment", "data.cache", "data.discovery", "data.formats", "data.images", "datasets"),
        *("errors", "runtime", "text"),
    },
    "visualization": {"data.images"},
    "weights": {"_version", "config", "data.formats", "errors", "models", "runtime"},
    "inference": {
        *("config", "data", "data.augment", "data.discovery", "data.formats", "data.images", "errors", "models"),
        *("runtime", "visualization", "weights"),
    },
    "training": {
        *("_version", "config", "data", "data.augment", "data.cache", "data.discovery", "data.formats", "data.images"),
        *("errors", "losses", "models", "objective", "runtime", "text", "visualization", "weights"),
    },
    "benchmark": {
        *("config", "data", "data.augment", "data.formats", "data.images", "datasets", "inference", "runtime"),
        "training",
    },
    "check": {
        *("config", "data", "data.augment", "data.cache", "data.discovery", "data.formats", "data.images", "datasets"),
        *("errors", "models", "runtime", "text", "visualization"),
    },
    "cli": {
        *(
            "_version",
            "benchmark",
            "check",
            "config",
            "data",
            "data.discovery",
            "data.formats",
            "datasets",
            "errors",
            "inference",
        ),
        *("runtime", "text", "training"),
    },
    "": {"_version", "config", "inference", "training"},
    "__main__": {"cli"},
}

# Where a message is read: only what other programs raise has no code, and the command line prints.
READS_MESSAGES = {
    "cli.main": "prints an error's lines",
    "data.images.files": "shows the reason that Pillow or another decoder gives",
    "data.images.parquet": "shows the reason that pyarrow gives",
    "data.loader": "knows a killed worker by PyTorch's words",
    "data.worker_processes": "knows a full /dev/shm by the system's words",
    "errors": "knows that memory is short by PyTorch's words",
    "runtime.distributed": "knows a lost rank by Gloo's and NCCL's words",
    "runtime.io": "knows a failed write by PyTorch's words",
    "training.metrics": "shows the first line of what Matplotlib raises",
    "training.own_parts": "shows the first line of what a network of one's own raises",
    "weights.format": "shows the first line of what PyTorch raises over a state dict",
}


def test_no_two_test_modules_share_a_name():
    """Pytest imports them by their names, since the folders of tests are not packages."""
    names = sorted(path.name for path in Path(__file__).parent.rglob("test_*.py"))
    assert names == sorted(set(names))


every_module = pytest.mark.parametrize("module", MODULES)


def _imports(module: str, tree: ast.AST | None = None) -> set[str]:
    """Full dotted names that a module imports; `from a import b` is a.b where that is a module, else a."""
    found = set()
    for statement in ast.walk(tree or TREES[module]):
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            source = statement.module or ""
            if statement.level:  # relative: from the package, as many levels up as there are more dots than one
                package = MODULES[module].parent.relative_to(PACKAGE.parent).parts
                source = ".".join([*package[: len(package) - statement.level + 1], *source.split(".")]).rstrip(".")
            for alias in statement.names:
                inner = f"{source}.{alias.name}".removeprefix("pix2pix.")
                found.add(f"pix2pix.{inner}" if source.startswith("pix2pix") and inner in MODULES else source)
    return found


def _ours(names: set[str]) -> set[str]:
    return {name.removeprefix("pix2pix").lstrip(".") for name in names if name.split(".")[0] == "pix2pix"}


def _foreign(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names} - {"pix2pix"} - sys.stdlib_module_names


def _room(module: str) -> str:
    """The first name of a module; below data/, that of its folder too."""
    first, *rest = module.split(".")
    folder = PACKAGE / "data" / rest[0] if first == "data" and rest else PACKAGE
    return f"data.{rest[0]}" if folder != PACKAGE and folder.is_dir() else first


def _at_import(tree: ast.Module) -> ast.Module:
    """A module without its functions and what only type checkers see."""

    class Remover(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if getattr(node.test, "id", "") == "TYPE_CHECKING" else self.generic_visit(node)

    return Remover().visit(ast.parse(ast.unparse(tree)))


def test_every_kind_of_import_is_seen():
    text = "from .draw import a\nif TYPE_CHECKING:\n    from pix2pix import losses\ndef f():\n    import torch"
    tree = ast.parse(text)
    names = _imports("datasets.synthetic.layout", tree)
    assert names == {"pix2pix.datasets.synthetic.draw", "pix2pix.losses", "torch"}
    assert _imports("datasets.synthetic.layout", _at_import(tree)) == {"pix2pix.datasets.synthetic.draw"}
    rooms = {"data.images.files": "data.images", "data.pairs": "data", "data": "data", "training.run": "training"}
    assert {module: _room(module) for module in rooms} == rooms


@every_module
def test_imports_go_only_downwards(module):
    assert _room(module) in MAY_IMPORT, f"say in MAY_IMPORT what {_room(module)} may import"
    rooms = {_room(name) for name in _ours(_imports(module))} - {_room(module)}
    assert rooms <= MAY_IMPORT[_room(module)]


def test_the_table_itself_goes_downwards():
    assert {_room(module) for module in MODULES} == MAY_IMPORT.keys()
    rows = [*MAY_IMPORT]
    for row, rooms in MAY_IMPORT.items():
        assert rooms <= set(rows[: rows.index(row)]), row
    assert [room for room, rooms in MAY_IMPORT.items() if {"data", "models", "objective"} <= rooms] == ["training"]


def test_no_circles_between_modules():
    graph = {module: _ours(_imports(module)) - {module} for module in MODULES}
    TopologicalSorter(graph).prepare()  # raises where there is a circle


@pytest.mark.parametrize(
    ("rooms", "allowed"),
    [
        ({"models", "losses", "objective"}, {"torch"}),
        ({"config"}, {"pydantic", "yaml"}),
        ({"errors", "text", "_version", ""}, set()),
        ({"runtime"}, {"torch", "numpy", "filelock", "psutil", "tqdm"}),
    ],
)
def test_what_the_lowest_rooms_import_of_others(rooms, allowed):
    for module in MODULES:
        if _room(module) in rooms:
            assert _foreign(_imports(module)) <= allowed, module


def test_networks_know_nothing_of_configs():
    inner = [module for module in MODULES if _room(module) == "models" and module != "models.build"]
    assert len(inner) >= 5
    for module in inner:
        assert {_room(name) for name in _ours(_imports(module))} <= {"models"}, module
        assert "models.build" not in _imports(module)


OPENERS = {"imread", "tifffile", "imagecodecs", "memmap", "open_memmap", "decode_jpeg", "decode_png", "ImageFile"}


@every_module
def test_image_files_are_opened_in_one_room_only(module):
    tree = TREES[module]
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | _foreign(_imports(module))
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    if module == "data.cache.disk":  # maps its own cache files
        names -= {"memmap"}
    assert _room(module) == "data.images" or not names & OPENERS
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "open" and module != "benchmark.plain_data":  # as others do
            assert _room(module) == "data.images" or ast.unparse(node.value) not in ("Image", "PIL.Image")
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("PIL", "torchvision")):
            assert not {"open", "io", "decode_image", "read_image"} & {alias.name for alias in node.names}


def _parameters(module: str) -> list[tuple[str, ast.arg]]:
    """Every parameter of every function and lambda of a module, with the function's name."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    return [
        (getattr(node, "name", "lambda"), arg)
        for node in ast.walk(TREES[module])
        if isinstance(node, functions)
        for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg)
        if arg is not None
    ]


@every_module
def test_nobody_is_handed_the_trainer(module):
    annotations = [node.annotation for node in ast.walk(TREES[module]) if getattr(node, "annotation", None)]
    assert module == "training.trainer" or not [text for text in map(ast.unparse, annotations) if "Trainer" in text]
    assert "trainer" not in {arg.arg for _, arg in _parameters(module)}


def test_the_stop_flag_is_handed_to_fit_alone():
    found = {(module, name) for module in MODULES for name, arg in _parameters(module) if arg.arg == "stop"}
    assert {place for place in found if place[0] != "runtime.signals"} == {("training.trainer", "fit")}


def _messages_read(tree: ast.AST) -> list[str]:
    """Where the text of an error is compared, cut or searched."""
    caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    caught |= {
        arg.arg
        for arg in ast.walk(tree)
        if isinstance(arg, ast.arg) and arg.annotation and ast.unparse(arg.annotation).endswith(("Error", "Exception"))
    } | {"error"}
    found = []
    for node in ast.walk(tree):
        parts: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.Attribute | ast.Subscript):
            parts = [node.value]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re."):
            parts = list(node.args)
        for part in parts:
            if isinstance(part, ast.Call) and ast.unparse(part.func) in ("str", "repr"):
                if [arg for arg in part.args if isinstance(arg, ast.Name) and arg.id in caught]:
                    found.append(ast.unparse(node))
            elif isinstance(part, ast.Attribute) and part.attr == "args" and ast.unparse(part.value) in caught:
                found.append(ast.unparse(node))
    return found


def test_nothing_parses_a_message():
    text = "try:\n    f()\nexcept E as e:\n    'a' in str(e), e.args[0], str(e)[1:], print(str(e))"
    assert len(_messages_read(ast.parse(text))) == 3
    found = {module: texts for module, tree in TREES.items() if (texts := _messages_read(tree))}
    assert {module: texts for module, texts in found.items() if module not in READS_MESSAGES} == {}
    assert set(READS_MESSAGES) - set(found) == set(), "no reason is needed where nothing is read"


@every_module
def test_nothing_is_too_long(module):
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= 300
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name


def test_broad_handlers_are_the_command_lines_alone():
    found = {
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and (node.type is None or "Exception" in _caught(node.type))
    }
    assert found <= {"cli.main"}


def _caught(node: ast.expr) -> set[str]:
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
