"""Sphinx settings: Markdown pages, the API from docstrings, the configuration reference from the schema.

Build with: sphinx-build -W -b html docs docs/_build
"""

import sys
from pathlib import Path

from sphinx.application import Sphinx

import pix2pix

project = "pix2pix"
author = "the pix2pix developers"
version = release = pix2pix.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"pix2pix {release}"

myst_heading_anchors = 3  # so that pages can link to headings, as on GitHub
default_role = "code"  # docstrings write code in single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_preserve_defaults = True


def insert_config_reference(_app: Sphinx, docname: str, content: list[str]) -> None:
    """Replace the marker in configuration.md by the reference, generated from the schema."""
    if docname == "configuration":
        sys.path.insert(0, str(Path(__file__).parent))
        from config_reference import reference

        content[0] = content[0].replace("<!-- the reference is inserted here -->", reference())


def setup(app: Sphinx) -> None:
    """Register the hooks of this site."""
    app.connect("source-read", insert_config_reference)
