"""The package's modules, as files and as syntax trees."""

import ast
from pathlib import Path

import pix2pix

PACKAGE = Path(pix2pix.__file__).parent


FILES = sorted(PACKAGE.rglob("*.py"))


def _name(file: Path) -> str:
    """The dotted name of a module, without the leading `pix2pix`; a package's is its folder's."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(file): file for file in FILES}


TREES = {module: ast.parse(file.read_bytes()) for module, file in MODULES.items()}
