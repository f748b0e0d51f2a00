"""The weights file: one file with a network and all that is needed to use it. Reading it runs no code from it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, InstanceOf, ValidationError
from torch import Tensor, nn

from pix2pix._version import __version__
from pix2pix.config import Config, config_from_dict
from pix2pix.config.base import Section
from pix2pix.config.hints import show
from pix2pix.data.formats.image_format import PairFormat
from pix2pix.errors import CheckpointError, ConfigError
from pix2pix.models import has_per_image_norm, set_per_image_norm
from pix2pix.models.build import build_generator
from pix2pix.runtime.finite import all_finite
from pix2pix.runtime.io import save_atomically
from pix2pix.runtime.tensors import read_tensors

FORMAT = "pix2pix weights"
VERSION = 1


@dataclass(frozen=True)
class GeneratorFile:
    """The content of a generator's file: the network with its weights, on the CPU, and how it was trained."""

    generator: nn.Module
    config: Config
    formats: PairFormat
    step: int
    epoch: int


def save_weights(
    path: Path,
    kind: Literal["generator", "discriminator"],
    network: nn.Module,
    config: Config,
    formats: PairFormat,
    step: int,
    epoch: int,
    own: bool = False,
) -> None:
    """Write a network to `path` atomically.

    `formats` describes the images that it was trained on. `own` marks a network that the config does not describe: the
    file then names its class, and `load_generator` needs an instance of it. Raises CheckpointError.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "library": __version__,
        "kind": kind,
        "config": config.model_dump(mode="json"),
        "forms": formats.to_dict(),
        "per_image_norm": has_per_image_norm(network),  # not in the config: depends on the ranks
        "step": step,
        "epoch": epoch,
        "state_dict": {name: value.detach().cpu() for name, value in network.state_dict().items()},
    }
    if own:
        content["network"] = f"{type(network).__module__}.{type(network).__qualname__}"
    save_atomically(path, content)


class _Content(Section):
    """The fields of a weights file, which may be untrusted; `config` and `forms` are validated by schemas elsewhere."""

    format: str
    version: int
    library: Annotated[str, Field(pattern=r"^[0-9A-Za-z.+_-]{1,100}$")]
    kind: Literal["generator", "discriminator"]
    config: dict[str, Any]
    forms: dict[str, Any]
    per_image_norm: bool | None = None
    step: Annotated[int, Field(ge=0, lt=2**53)]
    epoch: Annotated[int, Field(ge=0, lt=2**53)]
    state_dict: dict[str, InstanceOf[Tensor]]
    network: Annotated[str, Field(max_length=1000)] | None = None


def _read(path: Path, device: str = "cpu") -> _Content:
    """Read a weights file; on device "meta" the values of its tensors are skipped. Raises CheckpointError."""
    try:
        content = read_tensors(path, device)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; a run writes its weights to <its output folder>/gen.pt") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); give a weights file") from None
    except ValueError:
        raise CheckpointError(
            f"{path}: is not a weights file, or is damaged; give a gen.pt that pix2pix wrote"
        ) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: is not a weights file of pix2pix; give a gen.pt that pix2pix wrote")
    version = content.get("version")
    if type(version) is not int or version != VERSION:
        shown = show(version) if isinstance(version, int | float | str | None) else "that is no number"
        raise CheckpointError(f"{path}: has format version {shown} and this pix2pix reads {VERSION}; upgrade pix2pix")
    try:
        return _Content.model_validate(content)
    except ValidationError as error:
        raise _damaged(path, _first(error)) from None


def _damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{path}: is damaged, or was written by a newer pix2pix ({reason}); give another copy, or upgrade"
    )


def _first(error: ValidationError, section: str = "") -> str:
    """Describe the first error in one line: the field, and what it should be."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(map(str, (section, *problem["loc"]) if section else problem["loc"]))
    return f"{show(field)}: {problem['msg']}"


def saved_step(path: Path) -> int | None:
    """Return the step at which a weights file was written, or None where it is missing or cannot be read.

    The values of the tensors are not read. A truncated file is detected by its size and directory; a changed value is
    detected only by `load_generator_file`, which compares checksums. That suffices for resuming, which only has to know
    whether a crash happened between writing the checkpoint and this file: the file is written atomically, and again
    with the next checkpoint.
    """
    try:
        return _read(path, "meta").step
    except CheckpointError:
        return None


def load_generator_file(path: str | Path, generator: nn.Module | None = None) -> GeneratorFile:
    """Read a generator.

    `generator`: an instance to load the weights into; required if the file names a class that is not part of pix2pix,
    since such a class is never imported by name. Raises CheckpointError where the file is missing, damaged or written
    by a newer version, holds no generator, or does not fit the instance.
    """
    path = Path(path)
    content = _read(path, "meta")  # without the tensors' values, so that a wrong file is refused fast
    if content.kind != "generator":
        raise CheckpointError(f"{path}: holds a {content.kind}, not a generator; give the run's gen.pt")
    if content.network is not None and generator is None:
        raise CheckpointError(
            f"{path}: holds the weights of a {content.network}, which pix2pix cannot build; in Python, pass an "
            "instance of it: load_generator(weights, generator=...)",
            code="own-generator",
        )
    try:
        config = config_from_dict(content.config, str(path))
        formats = PairFormat.from_dict(content.forms)
        if generator is None:
            generator = _load_built(path, content, config, formats)
        else:
            _load_into(path, generator)
        norm = config.data.batch_size == 1 if content.per_image_norm is None else content.per_image_norm
        set_per_image_norm(generator, norm)
    except ValidationError as error:
        raise _damaged(path, _first(error, "forms")) from None
    except (ConfigError, ValueError, RuntimeError, OverflowError, TypeError) as error:
        raise _damaged(path, next(iter(str(error).splitlines()), type(error).__name__)) from None
    if not all_finite(generator):
        raise CheckpointError(f"{path}: holds weights that are infinite or not a number; give another copy")
    return GeneratorFile(generator.eval(), config, formats, content.step, content.epoch)


def _load_built(path: Path, content: _Content, config: Config, formats: PairFormat) -> nn.Module:
    """Build a config's generator and load its weights.

    It is built on the meta device and compared with the file first, so that a false config cannot take memory.
    """
    with torch.device("meta"):
        generator = build_generator(config, *formats.channels)
    generator.load_state_dict(content.state_dict, assign=True)
    generator.load_state_dict(_read(path).state_dict, assign=True)
    return generator.float()


def _load_into(path: Path, generator: nn.Module) -> None:
    """Load the weights into a given instance. Raises CheckpointError where they do not fit."""
    try:
        generator.load_state_dict(_read(path).state_dict)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{path}: does not fit the generator that was given ({reason}); give one built as for training"
        ) from None
