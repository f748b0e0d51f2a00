"""A small, strict subset of YAML 1.2.

PyYAML speaks YAML 1.1, where `2e-4` is a string, `no` is False, `010` is 8, `1:30` is 90 and the last of two equal keys
wins. Here plain scalars are read by the core schema of YAML 1.2 (section 10.3), and duplicate keys, anchors, aliases,
tags, merge keys and further documents are refused. The line of every key and list item is recorded.
"""

import re
from typing import Any, NamedTuple

import yaml

Path = tuple[str | int, ...]

LONGEST_INTEGER = 100
LONGEST, MOST_VALUES = 1 << 20, 50_000  # bytes, keys and values: what takes a few seconds; a config has some 100
_TAG = "tag:yaml.org,2002:"
_CORE_SCHEMA = [
    (_TAG + "null", re.compile(r"(?:~|null|Null|NULL|)\Z")),
    (_TAG + "bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")),
    (_TAG + "int", re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")),
    (
        _TAG + "float",
        re.compile(
            r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
        ),
    ),
]


class StrictYamlError(Exception):
    """A text is refused: `message` says why, `line` counts from 1. `code` is "empty" for an empty text."""

    def __init__(self, line: int, message: str, code: str = ""):
        super().__init__(message)
        self.line, self.message, self.code = line, message, code


class Document(NamedTuple):
    """A parsed text: its value, and the line (from 1) of every key and list item, by path."""

    value: Any
    lines: dict[Path, int]


class _StrictLoader(yaml.SafeLoader):
    """Compose nodes by the core schema; refuse what could share, retype or hide a value."""

    yaml_implicit_resolvers = {None: _CORE_SCHEMA}  # noqa: RUF012
    values = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        self.values += 1
        if self.values > MOST_VALUES:
            raise StrictYamlError(line, f"has more than {MOST_VALUES:,} keys and values, too many for a config")
        if isinstance(event, yaml.AliasEvent):
            raise StrictYamlError(line, f"alias *{event.anchor} is not allowed; write the value out")
        if event.anchor is not None:
            raise StrictYamlError(line, f"anchor &{event.anchor} is not allowed; write values out")
        if event.tag is not None:
            raise StrictYamlError(line, f"tag {_one_line(event.tag)} is not allowed; leave it out")
        return super().compose_node(parent, index)


class _StrictDumper(yaml.SafeDumper):
    """Quote by the core schema, so that every value reads back equal; write lists inline."""

    yaml_implicit_resolvers = {None: _CORE_SCHEMA}  # noqa: RUF012

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_inline(dumper: yaml.SafeDumper, data: list[Any] | tuple[Any, ...]) -> yaml.Node:
    return dumper.represent_sequence(_TAG + "seq", data, flow_style=True)


_StrictDumper.add_representer(list, _represent_inline)
_StrictDumper.add_representer(tuple, _represent_inline)


def parse(raw: bytes) -> Document:
    """Parse a file's bytes. Raises StrictYamlError, always with a line; an empty text is an error too."""
    if len(raw) > LONGEST:
        raise StrictYamlError(1, f"has more than {LONGEST:,} bytes, too many for a config")
    if raw.startswith(b"\xef\xbb\xbf"):
        raise StrictYamlError(1, "starts with a byte order mark; save it as UTF-8 without one")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StrictYamlError(raw.count(b"\n", 0, error.start) + 1, "is not UTF-8 text; save it as UTF-8") from None
    try:
        loader = _StrictLoader(text)  # reads ahead, and so can already fail
        node = loader.get_single_node()
        if node is None:
            raise StrictYamlError(1, "is empty", code="empty")
        lines: dict[Path, int] = {}
        return Document(_value(node, (), lines), lines)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise StrictYamlError(line, f"control character {chr(error.character)!a} is not allowed") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise StrictYamlError(mark.line + 1 if mark else 1, _explain(error)) from None
    except (ValueError, OverflowError):  # an escape such as "\\U00110000"
        raise StrictYamlError(loader.line + 1, "a \\U escape is beyond the last character of Unicode") from None
    except RecursionError:
        raise StrictYamlError(1, "is nested too deeply") from None


def dump(value: dict[str, Any]) -> str:
    """Write YAML that `parse` reads back to an equal value."""
    return yaml.dump(value, Dumper=_StrictDumper, sort_keys=False, allow_unicode=True, width=120)


def _value(node: yaml.Node, path: Path, lines: dict[Path, int]) -> Any:
    """Return the Python value of a node, and record the line of every path below it in `lines`."""
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
        return [_value(item, (*path, index), lines) for index, item in enumerate(node.value)]
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = _scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(key, str):
            shown = _one_line(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "a list or mapping"
            raise StrictYamlError(line, f"{shown} cannot be a key; keys are names")
        if key in mapping:
            raise StrictYamlError(line, f"duplicate key {key!r}; it is already set in line {lines[(*path, key)]}")
        lines[(*path, key)] = line
        mapping[key] = _value(value_node, (*path, key), lines)
    return mapping


def _scalar(node: yaml.ScalarNode) -> Any:
    text, kind = node.value, node.tag.removeprefix(_TAG)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "float":
        return float(text.replace(".", "", 1) if text.lower().endswith(("inf", "nan")) else text)
    if kind == "int":
        if len(text) > LONGEST_INTEGER:  # Python itself refuses to read or print very long ones
            raise StrictYamlError(node.start_mark.line + 1, f"a number of {len(text)} characters is too long")
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    # JSON, a subset of YAML 1.2, escapes a character above U+FFFF as two halves; PyYAML leaves them apart.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _explain(error: yaml.MarkedYAMLError) -> str:
    if isinstance(error, yaml.composer.ComposerError):  # aliases never get there, so it can only be this
        return "a second document begins here; one file holds one config"
    problem = _one_line(error.problem or error.context or "not YAML")
    if "'\\t'" in problem:
        return "a tab is not allowed here; use spaces"
    context = f" {_one_line(error.context)}" if error.context and error.problem else ""
    return f"not YAML: {problem}{context}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
