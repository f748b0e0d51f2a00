"""Build the networks of a config, for training and for weights files."""

from collections.abc import Callable

from torch import nn

from pix2pix.config import Config, UNetConfig, dropout_levels, unet_depth
from pix2pix.errors import ConfigError
from pix2pix.models import DISCRIMINATORS, GENERATORS, init_weights, set_per_image_norm
from pix2pix.runtime import distributed


def build_generator(config: Config, in_channels: int = 3, out_channels: int = 3) -> nn.Module:
    """Build the config's generator, initialised from torch's global random generator.

    A `batch` norm trained on one image at a time is per image at inference too.
    """
    section = config.model.generator
    options = section.model_dump(exclude={"name"})
    if isinstance(section, UNetConfig):
        depth = options["depth"] = unet_depth(section, config.data.crop)
        options["dropout_down"] = dropout_levels(section.dropout_down, depth)
        options["dropout_up"] = dropout_levels(section.dropout_up, depth)
    network = GENERATORS[section.name](in_channels, out_channels, **options)
    set_per_image_norm(network, micro_batch_size(config) == 1)
    return init_weights(network, **config.model.init.model_dump())


def micro_batch_size(config: Config) -> int:
    """Return the images in a forward pass on each rank."""
    return -(-config.data.batch_size // (config.optimizer.accumulation_steps * distributed.world_size()))


def convert_sync_batchnorm(config: Config, *networks: nn.Module) -> list[nn.Module]:
    """Make `batch` norms use the statistics of all ranks' images; with one image on each rank they stay per image.

    Raises ConfigError on a CPU, which cannot do that, and where the batch cannot be divided among the ranks.
    """
    batch, ranks = config.data.batch_size, distributed.world_size()
    if batch % (ranks * config.optimizer.accumulation_steps):
        least = ranks * config.optimizer.accumulation_steps
        raise ConfigError(
            f"data.batch_size {batch} cannot be divided among {ranks} ranks; make it a multiple of {least}"
        )
    batch_norms = any(isinstance(module, nn.BatchNorm2d) for network in networks for module in network.modules())
    if ranks == 1 or not batch_norms or micro_batch_size(config) == 1:
        return list(networks)
    if next(networks[0].parameters()).device.type != "cuda":
        raise ConfigError(
            "norm 'batch' above one image per rank needs synchronised statistics, which only CUDA has; set "
            "model.generator.norm and model.discriminator.norm to instance_affine"
        )
    convert: Callable[[nn.Module], nn.Module] = nn.SyncBatchNorm.convert_sync_batchnorm
    return [convert(network) for network in networks]


def require_equal_shares(config: Config, pairs: int, *networks: nn.Module) -> None:
    """Raise ConfigError where norms are synchronised over ranks and an epoch's last batch is not divisible.

    Synchronised statistics need the same number of pairs in each micro-batch of each rank.
    """
    shares = config.optimizer.accumulation_steps * distributed.world_size()
    synchronised = any(isinstance(module, nn.SyncBatchNorm) for network in networks for module in network.modules())
    if synchronised and pairs % config.data.batch_size % shares:
        raise ConfigError(
            f"norm 'batch' over several ranks needs equal shares, and the last batch of {pairs} pairs cannot be "
            f"divided by {shares}; set data.batch_size to a divisor of {pairs}, or the norms of model.generator and "
            "model.discriminator to instance_affine"
        )


def build_discriminator(config: Config, in_channels: int = 3, out_channels: int = 3) -> nn.Module:
    """Build the config's discriminator of (condition, image), initialised from torch's global random generator.

    Raises ConfigError for `generator_condition: target` where input and target differ in channels, since either is
    then a condition.
    """
    if config.loss.generator_condition == "target" and in_channels != out_channels:
        raise ConfigError(
            f"loss.generator_condition 'target' needs inputs and targets with the same number of channels, and they "
            f"have {in_channels} and {out_channels}; set it to 'input'"
        )
    section = config.model.discriminator
    network = DISCRIMINATORS[section.name](in_channels, out_channels, **section.model_dump(exclude={"name"}))
    return init_weights(network, **config.model.init.model_dump())
