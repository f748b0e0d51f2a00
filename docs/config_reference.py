"""The reference of every config key as Markdown, generated from the schema: python docs/config_reference.py."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from pix2pix.config import Config
from pix2pix.config.schema import NETWORKS

HEADER = ["| key | values | default | meaning |", "| --- | --- | --- | --- |"]


def sections(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every (dotted name, section) of the schema that has keys of its own, in the order of the schema."""
    if any(not is_section(field.annotation) and name not in NETWORKS for name, field in model.model_fields.items()):
        yield prefix, model
    for name, field in model.model_fields.items():
        key = f"{prefix}.{name}".lstrip(".")
        if name in NETWORKS:
            for network, options in NETWORKS[name].items():
                yield f"{key} (name: {network})", options
        elif is_section(field.annotation):
            yield from sections(field.annotation, key)


def is_section(annotation: Any) -> bool:
    """True if the annotation of a field is a section of its own."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def rows(model: type[BaseModel]) -> Iterator[tuple[str, str, str, str]]:
    """(key, allowed values, default, description) of each plain value in a section."""
    schema = model.model_json_schema()
    for name, field in model.model_fields.items():
        if name in NETWORKS or is_section(field.annotation):
            continue
        default = field.get_default(call_default_factory=True)
        shown = "" if default is PydanticUndefined else f"`{yaml_value(default)}`"
        yield name, values(schema["properties"][name], schema.get("$defs", {})), shown, field.description


def yaml_value(value: object) -> str:
    """A value as it is written in a YAML file."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(yaml_value, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def values(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """The values that a JSON schema allows, in words; `definitions` are those that a `$ref` names."""
    if "$ref" in schema:
        properties = definitions[schema["$ref"].rpartition("/")[2]]["properties"]
        return f"{{{', '.join(f'{key}: {values(value, definitions)}' for key, value in properties.items())}}}"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(values(choice, definitions) for choice in schema["anyOf"]))
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{yaml_value(value)}`" for value in schema.get("enum", [schema.get("const")]))
    match schema["type"]:
        case "array" if "prefixItems" in schema:
            return f"[{', '.join(values(item, definitions) for item in schema['prefixItems'])}]"
        case "array":
            return f"list of ({values(schema['items'], definitions)})"
        case "boolean":
            return "`true` or `false`"
        case "object":
            return f"`{schema['examples'][0]}`"
        case "null":
            return "`null`"
        case "string":
            return f"such as `{schema['examples'][0]}`" if "examples" in schema else "text"
    return f"{schema['type']} {bounds(schema)}".strip()


def bounds(schema: dict[str, Any]) -> str:
    """The range of a number, such as `16 to 8192` or `≥ 0, < 1`."""
    if {"minimum", "maximum"} <= schema.keys():
        return f"{schema['minimum']} to {schema['maximum']}"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
    return ", ".join(f"{sign} {schema[key]}" for key, sign in signs.items() if key in schema)


def reference() -> str:
    """A heading and a table for each section."""
    blocks = []
    for name, model in sections():
        cells = ((f"`{key}`", *rest) for key, *rest in rows(model))
        lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in cells]
        blocks.append("\n".join([f"## {name}", "", model.__doc__.strip(), "", *HEADER, *lines]))
    return "\n\n".join(blocks)


if __name__ == "__main__":
    print(reference())
