"""Read and check a config from a file, a shipped config or a dictionary, and write it as YAML."""

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from pix2pix.config import strict_yaml
from pix2pix.config.base import Section
from pix2pix.config.hints import nearest, show, unknown_key, wrong_field, wrong_value
from pix2pix.config.schema import NETWORKS, Config, nested_sections
from pix2pix.config.strict_yaml import StrictYamlError
from pix2pix.config.validate import find_conflicts
from pix2pix.errors import ConfigError
from pix2pix.runtime.opening import read_regular

KeyPath = tuple[str | int, ...]
_MOST_FINDINGS = 20  # for each of them similar keys are searched


class _Location(NamedTuple):
    """Where a value was written. Places sort in reading order: the file by line, then the flags."""

    flag: int  # 0 for the file, else the position of the --set
    line: int
    label: str


class _Findings:
    """The errors found so far, each with its place."""

    def __init__(self, source: str):
        self.source = _Location(0, 0, source)
        self.locations: dict[KeyPath, _Location] = {}
        self.errors: list[tuple[_Location, str]] = []
        self.bad: set[str] = set()  # dotted keys without a usable value
        self.more = 0  # errors that were counted only

    def add(self, path: KeyPath, message: str, location: _Location | None = None) -> None:
        self.errors.append((location or self.location(path), message))
        self.bad.add(_dotted(path))

    def unknown(self, path: KeyPath, model: type[Section], network: str) -> None:
        """Add the error of an unknown key; beyond `_MOST_FINDINGS` only their number."""
        if len(self.errors) >= _MOST_FINDINGS:
            self.more += 1
            return
        advice = unknown_key(path[-1], _dotted(path[:-1]), model, network)
        self.add(path, advice.message)
        self.bad.update([advice.meant] if advice.meant else [])

    def location(self, path: KeyPath) -> _Location:
        """Return the place of `path`, or of the nearest section around it that was written."""
        around = (path[:length] for length in range(len(path), 0, -1))
        return next((self.locations[part] for part in around if part in self.locations), self.source)

    def is_bad(self, dotted: str) -> bool:
        return any(not bad or dotted == bad or dotted.startswith(f"{bad}.") for bad in self.bad)

    def raise_if_any(self) -> None:
        if self.errors:
            # By place alone: the sort is stable, so errors of one line stay in the order they were found.
            lines = [f"{where.label}: {message}" for where, message in sorted(self.errors, key=lambda error: error[0])]
            lines += [f"{self.source.label}: and {self.more} more unknown keys"] if self.more else []
            raise ConfigError(*lines)


def shipped_configs() -> dict[str, Path]:
    """Return the configs that come with the package, by name: from a wheel, else from a source checkout."""
    package = Path(__file__).resolve().parents[1]
    candidates = (package / "configs", package.parents[1] / "configs")
    folder = next((folder for folder in candidates if folder.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder else {}


def locate_config(source: str | Path) -> tuple[Path, str]:
    """Return the file that `source` names, and whether it is a 'file' or a 'shipped config'. Raises ConfigError."""
    text = os.fspath(source)
    shipped = shipped_configs()
    if os.path.lexists(text) and not os.path.isdir(text):
        return Path(text), "file"
    remedy = "`pix2pix configs list` shows the shipped configs"
    if any(separator in text for separator in ("/", os.sep, os.altsep or os.sep)):
        reason = "is a folder; give a file in it" if os.path.isdir(text) else f"no such file; {remedy}"
        raise ConfigError(f"{text}: {reason}")
    name = text.removesuffix(".yaml")
    if name in shipped:
        return shipped[name], "shipped config"
    near = nearest(name, shipped)
    hint = f"did you mean {near!r}? " if near else ""
    folder = " (it is a folder)" if os.path.isdir(text) else ""
    raise ConfigError(f"{text!r}: no file{folder} and no shipped config of that name; {hint}{remedy}")


def load_config(source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Config:
    """Read and check a config: a file, the name of a shipped config, or a dictionary of sections.

    `overrides` are strings `KEY=VALUE`, as --set takes them. All three are held to the same rules; errors in a
    dictionary name it "config". Where run.output is null, it becomes runs/<name of the file>.
    Raises ConfigError with one line for each error, sorted by line. Example: `load_config({"data": {"root": "x"}})`.
    """
    if isinstance(source, Mapping):
        return config_from_dict(dict(source), "config", overrides)
    return read_config(locate_config(source)[0], overrides)


def read_config(path: Path, overrides: Sequence[str] = (), needs_source: bool = False) -> Config:
    """Read and check a config file, as `load_config` does; with `needs_source` it must say where the pairs are."""
    findings = _Findings(str(path))
    try:
        document = strict_yaml.parse(read_regular(path, strict_yaml.LONGEST))
    except StrictYamlError as error:
        remedy = "; `pix2pix configs show facades` prints one to start from" if error.code == "empty" else ""
        raise ConfigError(f"{path}:{error.line}: {error.message}{remedy}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if not isinstance(document.value, dict):
        expected = f"the top level is a mapping of the sections {', '.join(Config.model_fields)}"
        raise ConfigError(f"{path}:1: {show(document.value)} is not a config; {expected}")
    findings.locations = {key: _Location(0, line, f"{path}:{line}") for key, line in document.lines.items()}
    _apply_overrides(document.value, overrides, findings)
    config = _check(document.value, findings, needs_source)
    if config.run.output is not None:
        return config
    return config.model_copy(update={"run": config.run.model_copy(update={"output": f"runs/{path.stem}"})})


def config_from_dict(data: object, source: str, overrides: Sequence[str] = ()) -> Config:
    """Check a config that is a dictionary, such as that of a weights file; each error begins with `source`.

    `overrides` are strings `KEY=VALUE`; `data` is not changed. Raises ConfigError.
    """
    findings = _Findings(source)
    if isinstance(data, dict) and overrides:
        data = copy.deepcopy(data)
        _apply_overrides(data, overrides, findings)
    return _check(data, findings)


def dump_config(config: Config) -> str:
    """Return the whole config as YAML, with defaults; `load_config` reads it back to an equal object."""
    return strict_yaml.dump(config.model_dump())


def config_difference(old: Config, new: Config) -> list[tuple[str, Any, Any]]:
    """Return (dotted key, old value, new value) wherever two configs differ; None for a key that one of them lacks."""
    before, after = _flatten(old.model_dump()), _flatten(new.model_dump())
    keys = [*before, *(key for key in after if key not in before)]
    return [(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)]


def config_keys(config: Config) -> list[str]:
    """Return every dotted key of a config."""
    return list(_flatten(config.model_dump()))


def config_schema() -> dict[str, Any]:
    """Return the JSON schema of a config, for editors."""
    return Config.model_json_schema()


def _check(data: object, findings: _Findings, needs_source: bool = False) -> Config:
    """Return the config in `data`; raise all errors at once.

    Defaults replace wrong values, so that conflicts between the other keys are found too.
    """
    config = Config.model_validate(_check_section(Config, data, (), "", findings))
    for conflict in find_conflicts(config, needs_source):
        if not any(findings.is_bad(key) for key in conflict.keys):
            paths = [tuple(key.split(".")) for key in conflict.keys]
            written = [findings.locations[path] for path in paths if path in findings.locations]
            flags = [location for location in written if location.flag]  # a flag is the most likely cause
            first = (flags or written or [findings.location(paths[0])])[0]
            findings.errors.append((first, conflict.message))
    findings.raise_if_any()
    return config


def _check_section(
    model: type[Section], value: Any, path: KeyPath, network: str, findings: _Findings
) -> dict[str, Any]:
    """Return the valid values of a section, and add its errors to `findings`.

    One validation of the whole tree by pydantic would not do: it stops at a misspelt network name, whose keys are to
    be checked too, and at 50,000 unknown keys it takes too long.
    """
    if not isinstance(value, dict):
        findings.add(path, wrong_value(_dotted(path) or "the config", value, "a mapping of keys"))
        return {}
    right, plain = {}, {}
    for key, item in value.items():
        key_path = (*path, key)
        if key not in model.model_fields:
            findings.unknown(key_path, model, network)
        elif nested := nested_sections(model, key):
            name, item = _network(nested, item, key_path, findings)
            right[key] = _check_section(nested[name], item, key_path, name, findings)
        else:
            plain[key] = item
    try:
        model.model_validate(plain)
    except ValidationError as error:
        for key in dict.fromkeys(str(detail["loc"][0]) for detail in error.errors()):
            key_path = (*path, key)
            findings.add(key_path, wrong_field(_dotted(key_path), plain.pop(key), model, key))
    return right | plain


def _network(nested: dict[str, type[Section]], item: Any, path: KeyPath, findings: _Findings) -> tuple[str, Any]:
    """Return the name of the network in `item`, and `item` with it; the most similar name where it is unknown."""
    default = next(iter(nested))
    if not isinstance(item, dict) or not default:
        return default, item
    name = item.get("name", default)
    if isinstance(name, str) and name in nested:
        return name, item
    key_path = (*path, "name")
    findings.add(key_path, wrong_value(_dotted(key_path), name, f"one of {', '.join(nested)}", list(nested)))
    similar = nearest(name, nested, always=True) if isinstance(name, str) else None
    return similar or default, {**item, "name": similar or default}


def _apply_overrides(data: dict[str, Any], overrides: Sequence[str], findings: _Findings) -> None:
    """Put the KEY=VALUE of --set into `data`; the last one for a key wins."""
    assignments = []
    for position, text in enumerate(overrides, start=1):
        location = _Location(position, 0, f"--set {' '.join(text.split())}")
        key, equals, value = text.partition("=")
        path = tuple(key.strip().split("."))
        if not equals or not all(path):
            findings.add(path, "write it as KEY=VALUE, such as loss.lambda_l1=50", location)
            continue
        try:
            assignments.append((path, _parse_value(value), location))
        except StrictYamlError as error:
            findings.add(path, error.message, location)
    for path, value, _ in assignments:
        if path[:1] == ("model",) and path[2:] == ("name",):
            _switch_network(data, path[1], value)
    for path, value, location in assignments:
        _put(data, path, value, location, findings)


def _parse_value(text: str) -> Any:
    """Parse a value of --set, by the same rules as those of a file."""
    if not text.strip() or text.lstrip().startswith("#"):
        raise StrictYamlError(1, "no value after =; write null for none, and quote text that begins with #")
    is_pattern = "{id}" in text and text[0] in "{*"  # of file names, which is no YAML
    value = text if is_pattern else strict_yaml.parse(text.encode("utf-8", "surrogateescape")).value
    if isinstance(value, dict):
        raise StrictYamlError(1, "the value is a mapping; set its keys one by one, and quote text that holds ': '")
    return value


def _switch_network(data: dict[str, Any], kind: str, name: Any) -> None:
    """Drop from the section of a file the keys that only other networks have than the newly named one.

    Otherwise `--set model.generator.name=resnet` would fail over every U-Net key of the file.
    """
    model = data.get("model")
    section = model.get(kind) if isinstance(model, dict) else None
    networks = NETWORKS.get(kind)
    if not isinstance(section, dict) or not networks or not isinstance(name, str):
        return
    name = nearest(name, networks, always=True)
    if section.get("name", next(iter(networks))) == name:
        return
    for other in networks.values():
        for key in other.model_fields:
            if key not in networks[name].model_fields:
                section.pop(key, None)


def _put(data: dict[str, Any], path: tuple[str, ...], value: Any, location: _Location, findings: _Findings) -> None:
    section = data
    for length, key in enumerate(path[:-1], start=1):
        if key not in section:
            section[key] = {}
            findings.locations[path[:length]] = location
        section = section[key]
        if not isinstance(section, dict):
            findings.add(path, f"{_dotted(path[:length])} holds a value, not keys", location)
            return
    section[path[-1]] = value
    findings.locations[path] = location


def _flatten(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat.update(_flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat


def _dotted(path: KeyPath) -> str:
    return ".".join(map(str, path))
