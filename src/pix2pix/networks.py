"""From a config to its networks, drawn anew. The trainer and the weights files both build them here."""

from torch import nn

from pix2pix.config import Config, UNetConfig, unet_depth
from pix2pix.errors import ConfigError
from pix2pix.models import DISCRIMINATORS, GENERATORS, initialise, set_per_image_norm


def build_generator(config: Config, in_channels: int = 3, out_channels: int = 3) -> nn.Module:
    """The config's generator, initialised from torch's global generator.

    A `batch` norm that is trained at batch 1 is set to be per image at inference, as it was in training.
    """
    section = config.model.generator
    options = section.model_dump(exclude={"name"})
    if isinstance(section, UNetConfig):
        options["depth"] = unet_depth(section, config.data.crop)
    network = GENERATORS[section.name](in_channels, out_channels, **options)
    set_per_image_norm(network, config.data.batch_size == 1)
    return initialise(network, **config.model.init.model_dump())


def build_discriminator(config: Config, in_channels: int = 3, out_channels: int = 3) -> nn.Module:
    """The config's discriminator, initialised from torch's global generator; it judges (condition, image).

    Raises ConfigError for `generator_condition: target` where input and target differ in channels: the discriminator
    could not take either as its condition.
    """
    if config.loss.generator_condition == "target" and in_channels != out_channels:
        raise ConfigError(
            f"loss.generator_condition 'target' needs inputs and targets with as many channels, but they have "
            f"{in_channels} and {out_channels}; set it to 'input'"
        )
    section = config.model.discriminator
    network = DISCRIMINATORS[section.name](in_channels, out_channels, **section.model_dump(exclude={"name"}))
    return initialise(network, **config.model.init.model_dump())
