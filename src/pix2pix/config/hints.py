"""Compose messages about a wrong key or value: what was probably meant, where it belongs, what is allowed."""

import math
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, NamedTuple

from pix2pix.config.base import Section
from pix2pix.config.schema import Config, nested_sections

_SIMILAR = 0.65  # difflib's ratio: 99 % of the misspellings within two edits are recognised, and few other words
# Names in other pix2pix programs (the authors' Lua, junyanz's PyTorch, the TensorFlow port) and their counterparts
# here. Keys are lower case; they are used for messages only.
FOREIGN_KEYS = {
    "adversarial_loss": "here it is loss.adversarial",
    "batch": "here it is data.batch_size",
    "batchsize": "here it is data.batch_size",
    "beta1": "here it is the first of optimizer.betas",
    "beta2": "here it is the second of optimizer.betas",
    "checkpoints_dir": "the folder of a run is run.output",
    "color_jitter": "see data.augment: brightness, contrast, saturation and hue",
    "condition_gan": "the discriminator always sees the input; see loss.generator_condition",
    "continue_train": "pass --resume, or run the same command again",
    "crop_size": "here it is data.image_size",
    "cropsize": "here it is data.image_size",
    "data_root": "here it is data.root",
    "dataroot": "here it is data.root",
    "dataset_mode": "how pairs are stored is data.layout",
    "display_freq": "see run.log_every_steps and run.sample_every_epochs",
    "epoch_count": "a run resumes where it stopped; see schedule.epochs",
    "fine_size": "here it is data.image_size",
    "finesize": "here it is data.image_size",
    "gan_mode": "here it is loss.adversarial (vanilla is bce, lsgan is mse)",
    "gan_weight": "here it is loss.lambda_gan",
    "gpu": "here it is run.device, such as cuda:0",
    "gpu_ids": "here it is run.device, such as cuda:0; for several GPUs start with torchrun",
    "img_size": "here it is data.image_size",
    "init_gain": "here it is model.init.gain",
    "init_type": "here it is model.init.weights",
    "input_dir": "here it is data.root",
    "input_nc": "channels are inferred from the files; see data.input_format",
    "l1_weight": "here it is loss.lambda_l1",
    "lambda": "here it is loss.lambda_l1",
    "lambda_a": "here it is loss.lambda_l1",
    "learning_rate": "here it is optimizer.lr",
    "loadsize": "here it is data.load_size",
    "lr_decay_iters": "the rate falls linearly over schedule.decay_epochs",
    "lr_policy": "the rate is constant, then falls linearly over schedule.decay_epochs",
    "max_dataset_size": "put fewer pairs in data.root; see also schedule.epochs",
    "max_epochs": "here it is schedule.epochs",
    "n_epochs": "schedule.epochs counts all epochs: n_epochs + n_epochs_decay",
    "n_epochs_decay": "here it is schedule.decay_epochs, and schedule.epochs counts these too",
    "n_layers_d": "here it is model.discriminator.n_layers",
    "name": "the folder of a run is run.output; networks are named by model.generator.name",
    "ndf": "here it is model.discriminator.base_channels",
    "netd": "here it is model.discriminator.name (basic and n_layers are patchgan)",
    "netg": "here it is model.generator.name (unet_256 is unet, resnet_9blocks is resnet)",
    "ngf": "here it is model.generator.base_channels",
    "niter": "schedule.epochs counts all epochs: niter + niter_decay",
    "niter_decay": "here it is schedule.decay_epochs, and schedule.epochs counts these too",
    "no_dropout": "here it is model.generator.dropout: 0",
    "no_flip": "here it is data.flip: false",
    "no_lsgan": "here it is loss.adversarial: bce",
    "num_epochs": "here it is schedule.epochs",
    "num_threads": "here it is data.workers",
    "num_workers": "here it is data.workers",
    "nthreads": "here it is data.workers",
    "output_dir": "here it is run.output",
    "output_nc": "channels are inferred from the files; see data.target_format",
    "pool_size": "pix2pix judges the newest fake (a pool of 0); leave it out",
    "preprocess": "see data.load_size, data.image_size, data.flip and data.augment",
    "print_freq": "here it is run.log_every_steps",
    "random_rotation": "here it is data.augment.rotation, in degrees",
    "resize_or_crop": "see data.load_size, data.image_size, data.flip and data.augment",
    "results_dir": "the folder of a run is run.output",
    "save_epoch_freq": "here it is run.checkpoint_every_epochs",
    "save_latest_freq": "here it is run.checkpoint_every_epochs",
    "scale_size": "here it is data.load_size",
    "serial_batches": "training pairs are always shuffled, from run.seed",
    "use_dropout": "here it is model.generator.dropout",
    "which_direction": "here it is data.direction: a2b or b2a",
    "which_model_netd": "here it is model.discriminator.name (basic and n_layers are patchgan)",
    "which_model_netg": "here it is model.generator.name (unet_256 is unet, resnet_9blocks is resnet)",
}
FOREIGN_VALUES = {
    "atob": "a2b",
    "basic": "patchgan",
    "btoa": "b2a",
    "gpu": "cuda",
    "lsgan": "mse",
    "n_layers": "patchgan",
    "resnet_6blocks": "resnet",
    "resnet_9blocks": "resnet",
    "unet_128": "unet",
    "unet_256": "unet",
    "vanilla": "bce",
}


class Advice(NamedTuple):
    """A message, and the dotted key that was probably meant, if any."""

    message: str
    meant: str | None = None


def nearest(word: str, choices: Iterable[str], *, always: bool = False) -> str | None:
    """Return the choice that `word` probably misspells, or None; with `always` the most similar one in any case."""
    spelled = {_plain(choice): choice for choice in choices}
    matches = get_close_matches(_plain(word)[:100], spelled, n=1, cutoff=0 if always else _SIMILAR)
    return spelled[matches[0]] if matches else None


def unknown_key(key: Any, section: str, model: type[Section], name: str = "") -> Advice:
    """Explain a key that `section` does not have: dotted, '' at the top level; `name` is the network in it."""
    key = _clip(str(key))
    location = f" in {section}" if section else ""
    location += f" ({name})" if name else ""
    start, plain = f"unknown key {key!r}{location}; ", _plain(key)
    own = {_plain(field): field for field in model.model_fields}
    if plain in own:
        return Advice(f"{start}did you mean {own[plain]!r}?", _dotted(section, own[plain]))
    if plain in FOREIGN_KEYS:
        return Advice(start + FOREIGN_KEYS[plain])
    if plain in _homes():
        spelled = "" if plain == key else f" as {plain!r}"
        return Advice(f"{start}it belongs {_listing(_homes()[plain])}{spelled}")
    if near := nearest(key, own.values()):
        return Advice(f"{start}did you mean {near!r}?", _dotted(section, near))
    if near := nearest(key, _homes()):
        return Advice(f"{start}did you mean {near!r}, which belongs {_listing(_homes()[near])}?")
    return Advice(f"{start}the keys{location or ' at the top level'} are {', '.join(own.values())}")


def wrong_value(dotted: str, value: Any, allowed: str, choices: Sequence[str] = ()) -> str:
    """Explain a value that its key does not accept; `choices` are the words among what is `allowed`."""
    message = f"{dotted} is {show(value)}, but must be {allowed}"
    if isinstance(value, str) and (hint := FOREIGN_VALUES.get(_plain(value)) or nearest(value, choices)) in choices:
        message += f"; did you mean {hint!r}?"
    return message


def wrong_field(dotted: str, value: Any, model: type[Section], key: str) -> str:
    """Explain a value that a field of the schema does not accept."""
    described = model.model_json_schema()["properties"][key]
    return wrong_value(dotted, value, _allowed(described), _choices(described))


def show(value: Any) -> str:
    """Format a value as YAML, shortened where it is long."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    if isinstance(value, float) and not math.isfinite(value):
        return f".{value}" if value >= 0 or value != value else "-.inf"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return _clip(f"[{', '.join(show(item) for item in value[:50])}]")
    return _clip(repr(value))


def _allowed(schema: dict[str, Any]) -> str:
    """Put a part of a JSON schema into words."""
    if "anyOf" in schema:
        return " or ".join(_allowed(part) for part in schema["anyOf"])
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    kind = schema["type"]
    if kind == "array":
        fixed = "prefixItems" in schema
        length = f" of {'' if fixed else 'at least '}{schema['minItems']}" if "minItems" in schema else ""
        return f"a list{length}, each {_allowed(schema['prefixItems'][0] if fixed else schema['items'])}"
    if kind == "object":
        return f"a mapping such as {schema['examples'][0]}"
    if kind == "string":
        return f"text such as {schema['examples'][0]}" if "examples" in schema else "text"
    words = {"boolean": "true or false", "null": "null", "integer": "a whole number", "number": "a number"}
    return words[kind] + _range(schema)


def _range(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    bounds = [f"of at least {low}"] if low is not None else []
    bounds += [f"above {schema['exclusiveMinimum']}"] if "exclusiveMinimum" in schema else []
    bounds += [f"below {schema['exclusiveMaximum']}"] if "exclusiveMaximum" in schema else []
    return f" {' and '.join(bounds)}" if bounds else ""


def _choices(schema: dict[str, Any]) -> list[str]:
    parts = [schema, *schema.get("anyOf", [])]
    choices = [choice for part in parts for choice in (*part.get("enum", ()), part.get("const"))]
    return [choice for choice in choices if isinstance(choice, str)]


@cache
def _homes() -> dict[str, tuple[str, ...]]:
    """Map every key of the schema to the dotted sections that have it."""
    homes: dict[str, tuple[str, ...]] = {}
    for section, key in _walk(Config, ""):
        if section not in homes.get(key, ()):
            homes[key] = (*homes.get(key, ()), section)
    return homes


def _walk(model: type[Section], section: str) -> Iterator[tuple[str, str]]:
    """Yield (section, key) of the schema; the section names its network where no other network has the key."""
    for key in model.model_fields:
        yield section, key
        nested = nested_sections(model, key)
        for name, inner in nested.items():
            for home, inner_key in _walk(inner, _dotted(section, key)):
                shared = not name or all(inner_key in other.model_fields for other in nested.values())
                yield (home if shared else f"{home} ({name})"), inner_key


def _listing(sections: tuple[str, ...]) -> str:
    return " or ".join(f"in {section}" if section else "at the top level" for section in sections)


def _dotted(section: str, key: str) -> str:
    return f"{section}.{key}" if section else key


def _plain(word: str) -> str:
    return word.strip().lower().replace("-", "_")


def _clip(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
