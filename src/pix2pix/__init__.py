"""pix2pix: train a network that turns one kind of picture into another, from pairs of pictures.

`from pix2pix import load_config, Trainer, load_generator`. The names load on first use, so that
`import pix2pix` (and `pix2pix --help`) loads neither torch nor pydantic.
"""

from importlib import import_module

from pix2pix._version import __version__

TYPE_CHECKING = False  # as type checkers know it; importing typing would take longer than all the rest
if TYPE_CHECKING:
    from pix2pix.config import load_config
    from pix2pix.inference.translator import Translator, load_generator
    from pix2pix.training.trainer import Trainer

_HOMES = {
    "load_config": "config",
    "Trainer": "training.trainer",
    "load_generator": "inference.translator",
    "Translator": "inference.translator",
}
__all__ = ["Trainer", "Translator", "__version__", "load_config", "load_generator"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"pix2pix.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'pix2pix' has no attribute {name!r}")
