"""Prints the README's table of every config key, from the schema: python scripts/config_table.py."""

from collections.abc import Iterator

from pydantic_core import PydanticUndefined

from pix2pix.config import Config
from pix2pix.config.base import Section
from pix2pix.config.schema import NETWORKS


def rows(section: type[Section], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """(dotted key, default as YAML writes it, description) of a section and what is in it."""
    for name, field in section.model_fields.items():
        key = f"{prefix}{name}"
        if name in NETWORKS:
            for network, options in NETWORKS[name].items():
                yield from rows(options, f"{key}({network}).")
        elif isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from rows(field.annotation, f"{key}.")
        else:
            default = field.get_default(call_default_factory=True)
            yield key, "" if default is PydanticUndefined else yaml_value(default), field.description


def yaml_value(value: object) -> str:
    """A default as one would write it in a config."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(yaml_value, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def table() -> str:
    """The whole table in Markdown."""
    lines = ["| key | default | what it is |", "| --- | --- | --- |"]
    return "\n".join(
        lines
        + [
            f"| `{key}` | `{default}` | {text.replace(chr(124), chr(92) + chr(124))} |"
            for key, default, text in rows(Config)
        ]
    )


if __name__ == "__main__":
    print(table())
