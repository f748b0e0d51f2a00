"""The weights file: one safe file that carries all it needs to be used."""

import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import pix2pix
from pix2pix.config import Config, config_from_dict
from pix2pix.data.forms import Forms
from pix2pix.errors import CheckpointError, ConfigError
from pix2pix.models import has_per_image_norm, set_per_image_norm
from pix2pix.networks import build_generator
from pix2pix.runtime.files import save_atomically
from pix2pix.runtime.finite import all_finite
from pix2pix.runtime.tensors import require_plain

FORMAT = "pix2pix weights"
VERSION = 1


@dataclass(frozen=True)
class GeneratorFile:
    """A generator as read from its file: the network with its weights, on the CPU, and what is known of it."""

    generator: nn.Module
    config: Config
    forms: Forms
    step: int
    epoch: int


def save_weights(
    path: Path, kind: str, network: nn.Module, config: Config, forms: Forms, step: int, epoch: int
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
        "forms": forms.to_dict(),
        "per_image_norm": has_per_image_norm(network),  # the config does not tell where several ranks have trained
        "step": step,
        "epoch": epoch,
        "state_dict": {name: value.detach().cpu() for name, value in network.state_dict().items()},
    }
    save_atomically(path, content)


def _read(path: Path) -> dict:
    """The content of a weights file, read without running anything in it. Raises CheckpointError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            require_plain(path)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; a run writes its weights to <its output folder>/gen.pt") from None
    except (
        OSError,
        RuntimeError,
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        KeyError,
        IndexError,
        AttributeError,
        TypeError,
    ) as error:
        # The many ways in which torch.load rejects what is no weights file, or is a damaged one. Only an OSError of
        # opening the file names it; others come from offsets that a damaged file names.
        if isinstance(error, OSError) and error.filename is not None:
            raise CheckpointError(f"{path}: cannot be read ({error.strerror}); give a weights file") from None
        raise CheckpointError(
            f"{path}: is not a weights file, or is damaged; give a gen.pt that pix2pix wrote"
        ) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: is not a weights file of pix2pix; give a gen.pt that pix2pix wrote")
    if content.get("version") != VERSION:
        raise CheckpointError(
            f"{path}: has format version {content.get('version')} and this pix2pix reads {VERSION}; upgrade pix2pix"
        )
    return content


def saved_step(path: Path) -> int | None:
    """The step at which a weights file was written, or None where it is missing or cannot be read."""
    try:
        return _read(path).get("step")
    except CheckpointError:
        return None


def load_generator_file(path: str | Path) -> GeneratorFile:
    """Reads a generator. Raises CheckpointError where the file is missing, damaged, newer, or no generator."""
    path = Path(path)
    content = _read(path)
    if content.get("kind") != "generator":
        raise CheckpointError(f"{path}: holds a {content.get('kind')}, not a generator; give the run's gen.pt")
    try:
        config = config_from_dict(content["config"], str(path))
        forms = Forms.from_dict(content["forms"])
        with torch.device("meta"):  # which takes no memory, whatever sizes a config names
            generator = build_generator(config, *forms.channels)
        state = content["state_dict"]
        if any(value.nbytes > value.untyped_storage().nbytes() for value in state.values()):
            raise ValueError("a tensor claims more numbers than it has")
        generator.load_state_dict(state, assign=True)
        generator.float()
        set_per_image_norm(generator, content.get("per_image_norm", config.data.batch_size == 1))
        if not all_finite(generator):
            raise CheckpointError(f"{path}: holds weights that are infinite or not a number; give another copy")
        return GeneratorFile(generator.eval(), config, forms, content["step"], content["epoch"])
    except (ConfigError, AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"{path}: is damaged, or was written by a newer pix2pix ({reason}); give another copy, or upgrade"
        ) from None
