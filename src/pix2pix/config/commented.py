"""Write a config as YAML with a comment on each key."""

import textwrap
from collections.abc import Container, Iterator, Mapping, Sequence

from pix2pix.config import strict_yaml
from pix2pix.config.base import Section
from pix2pix.config.schema import Config
from pix2pix.text import show_text

_WIDTH = 110


def dump_commented(
    config: Config, heading: Sequence[str], reasons: Mapping[str, str], left_out: Container[str] = ()
) -> str:
    """Return the keys that a config sets, as YAML, each below a comment: its reason by dotted key, or its description.

    Defaults and the dotted keys in `left_out` are omitted. `heading`: lines of the comment at the top.
    """
    comments = [line for text in heading for line in _comment(text, "") or ["#"]]
    return "\n".join([*comments, *_section(config, "", reasons, left_out)]) + "\n"


def _section(section: Section, prefix: str, reasons: Mapping[str, str], left_out: Container[str]) -> Iterator[str]:
    indent = "  " * prefix.count(".")
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if key not in section.model_fields_set or prefix + key in left_out:
            continue
        if isinstance(value, Section):
            lines = list(_section(value, f"{prefix}{key}.", reasons, left_out))
            yield from [f"{indent}{key}:", *lines] if lines else []
        else:
            yield from _comment(reasons.get(prefix + key, field.description or ""), indent)
            yield from (indent + line for line in strict_yaml.dump({key: value}).splitlines())


def _comment(text: str, indent: str) -> list[str]:
    text = show_text(text[:1].upper() + text[1:]) + ("" if text[-1:] in ".?:)" else ".") if text else ""
    return textwrap.wrap(text, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
