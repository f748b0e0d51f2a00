"""The weights file: one safe file that carries all it needs to be used."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, InstanceOf, ValidationError
from torch import Tensor, nn

import pix2pix
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
    """A generator as read from its file: the network with its weights, on the CPU, and what is known of it."""

    generator: nn.Module
    config: Config
    formats: PairFormat
    step: int
    epoch: int


def save_weights(
    path: Path,
    kind: str,
    network: nn.Module,
    config: Config,
    formats: PairFormat,
    step: int,
    epoch: int,
    own: bool = False,
) -> None:
    """Writes `network` (`kind`: generator or discriminator) to `path`, complete or not at all.

    `forms`: what inputs and targets are. Raises CheckpointError.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "library": pix2pix.__version__,
        "kind": kind,
        "config": config.model_dump(mode="json"),
        "forms": formats.to_dict(),
        "per_image_norm": has_per_image_norm(network),  # the config does not tell where several ranks have trained
        "step": step,
        "epoch": epoch,
        "state_dict": {name: value.detach().cpu() for name, value in network.state_dict().items()},
    }
    save_atomically(path, content)


class _Content(Section):
    """The fields of a weights file, which anybody may have written; `config` and `forms` have schemas of their own."""

    format: Literal[FORMAT]
    version: Literal[VERSION]
    library: Annotated[str, Field(pattern=r"^[0-9A-Za-z.+_-]{1,100}$")]
    kind: Literal["generator", "discriminator"]
    config: dict[str, Any]
    formats: dict[str, Any]
    per_image_norm: bool | None = None
    step: Annotated[int, Field(ge=0, lt=2**53)]
    epoch: Annotated[int, Field(ge=0, lt=2**53)]
    state_dict: dict[str, InstanceOf[Tensor]]


def _read(path: Path, device: str = "cpu") -> _Content:
    """The content of a weights file, read without running anything in it. Raises CheckpointError."""
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
        found = show(version) if type(version) in (int, float, str, type(None)) else "that is no number"
        raise CheckpointError(f"{path}: has format version {found} and this pix2pix reads {VERSION}; upgrade pix2pix")
    try:
        return _Content.model_validate(content)
    except ValidationError as error:
        raise _damaged(path, _first(error)) from None


def _damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{path}: is damaged, or was written by a newer pix2pix ({reason}); give another copy, or upgrade"
    )


def _first(error: ValidationError, section: str = "") -> str:
    """The first of what is wrong, in one line: which field, and what it should be."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, (*[section] * bool(section), *found["loc"])))
    return f"{show(place)}: {found['msg']}"


def saved_step(path: Path) -> int | None:
    """The step at which a weights file was written, or None where it is missing or cannot be read."""
    try:
        return _read(path).step
    except CheckpointError:
        return None


def load_generator_file(path: str | Path) -> GeneratorFile:
    """Reads a generator. Raises CheckpointError where the file is missing, damaged, newer, or no generator."""
    path = Path(path)
    content = _read(path, "meta")  # first without its numbers, of which there may be many
    if content.kind != "generator":
        raise CheckpointError(f"{path}: holds a {content.kind}, not a generator; give the run's gen.pt")
    try:
        config = config_from_dict(content.config, str(path))
        formats = PairFormat.from_dict(content.formats)
        with torch.device("meta"):  # which takes no memory, whatever sizes a config names
            generator = build_generator(config, *formats.channels)
        generator.load_state_dict(content.state_dict, assign=True)
        generator.load_state_dict(_read(path).state_dict, assign=True)
        generator.float()
        norm = config.data.batch_size == 1 if content.per_image_norm is None else content.per_image_norm
        set_per_image_norm(generator, norm)
    except ValidationError as error:
        raise _damaged(path, _first(error, "forms")) from None
    except (ConfigError, ValueError, RuntimeError, OverflowError, TypeError) as error:
        raise _damaged(path, next(iter(str(error).splitlines()), type(error).__name__)) from None
    if not all_finite(generator):
        raise CheckpointError(f"{path}: holds weights that are infinite or not a number; give another copy")
    return GeneratorFile(generator.eval(), config, formats, content.step, content.epoch)
