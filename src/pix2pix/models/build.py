"""From a config to its networks, drawn anew. The trainer and the weights files both build them here."""

from torch import nn

from pix2pix.config import Config, UNetConfig, unet_depth
from pix2pix.errors import ConfigError
from pix2pix.models import DISCRIMINATORS, GENERATORS, init_weights, set_per_image_norm
from pix2pix.runtime import distributed


def build_generator(config: Config, in_channels: int = 3, out_channels: int = 3) -> nn.Module:
    """The config's generator, initialised from torch's global generator.

    A `batch` norm that is trained on one image at a time is set to be per image at inference, as it was in training.
    """
    section = config.model.generator
    options = section.model_dump(exclude={"name"})
    if isinstance(section, UNetConfig):
        options["depth"] = unet_depth(section, config.data.crop)
    network = GENERATORS[section.name](in_channels, out_channels, **options)
    set_per_image_norm(network, micro_batch_size(config) == 1)
    return init_weights(network, **config.model.init.model_dump())


def micro_batch_size(config: Config) -> int:
    """Images that go through the networks at once, on each rank."""
    return -(-config.data.batch_size // (config.optimizer.accumulation_steps * distributed.world_size()))


def convert_sync_batchnorm(config: Config, *networks: nn.Module) -> list[nn.Module]:
    """Makes `batch` norms take their statistics from all ranks' images, where there is more than one a rank.

    With one they stay per image. Raises ConfigError on a CPU, where it cannot be done, and where the batch cannot be
    shared out.
    """
    batch, ranks = config.data.batch_size, distributed.world_size()
    if batch % (ranks * config.optimizer.accumulation_steps):
        least = ranks * config.optimizer.accumulation_steps
        raise ConfigError(f"data.batch_size {batch} cannot be shared by {ranks} ranks; make it a multiple of {least}")
    batch_norms = any(isinstance(module, nn.BatchNorm2d) for network in networks for module in network.modules())
    if ranks == 1 or not batch_norms or micro_batch_size(config) == 1:
        return list(networks)
    if next(networks[0].parameters()).device.type != "cuda":
        raise ConfigError(
            "norm 'batch' above one image a rank takes statistics over all ranks, which only CUDA GPUs can; set "
            "model.generator.norm and model.discriminator.norm to instance_affine"
        )
    return [nn.SyncBatchNorm.convert_sync_batchnorm(network) for network in networks]


def require_equal_shares(config: Config, pairs: int, *networks: nn.Module) -> None:
    """Raises ConfigError where norms are synchronised and an epoch's last batch cannot be: each rank and each part of a
    batch must have as many pairs as the others, since their statistics are taken together."""
    shares = config.optimizer.accumulation_steps * distributed.world_size()
    synchronised = any(isinstance(module, nn.SyncBatchNorm) for network in networks for module in network.modules())
    if synchronised and pairs % config.data.batch_size % shares:
        raise ConfigError(
            f"norm 'batch' over several ranks needs equal shares, and the last batch of {pairs} pairs cannot be shared "
            f"by {shares}; set data.batch_size to a divisor of {pairs}, or the norms of model.generator and "
            "model.discriminator to instance_affine"
        )


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
    return init_weights(network, **config.model.init.model_dump())
