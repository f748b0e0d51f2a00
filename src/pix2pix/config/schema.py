"""The schema of a config: frozen, strict models, and what is derived from a valid one. `data` is in data.py."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from pix2pix.config.base import Count, Interval, Section, show_size
from pix2pix.config.data import DataConfig
from pix2pix.errors import ConfigError

Beta = Annotated[float, Field(ge=0, lt=1)]
Slope = Annotated[float, Field(ge=0, lt=1)]
Levels = (
    Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False)]
    | Annotated[str, Field(pattern=r"^from [1-9][0-9]?$", examples=["from 4"])]
)
Norm = Literal["batch", "instance", "instance_affine", "none"]
Bias = Literal["auto"] | bool
Upsample = Literal["transpose", "nearest", "bilinear"]
SMALLEST_AUTO_DEPTH = 5


def _not_a_float(value: Any) -> Any:
    """A Literal of ints compares with ==, and so would take 4.0 for 4."""
    if isinstance(value, float):
        raise ValueError("a whole number is needed")
    return value


class UNetConfig(Section):
    """The U-Net; levels count from 1 at the image side, and `depth` is the innermost."""

    name: Literal["unet"] = Field("unet", description="Which generator this is.")
    base_channels: Count = Field(
        64, description="Channels of level 1; doubled at each level, at most eight times as many."
    )
    depth: Annotated[int, Field(ge=2, le=13)] | None = Field(
        None, description="Levels; null is as many as halve both sides of image_size evenly (256: 8), at least 5."
    )
    norm: Norm = Field("batch", description="Normalisation layer.")
    skip: Literal["before-activation", "after-activation"] = Field(
        "before-activation", description="Whether a skip carries a level's output from before its activation or after."
    )
    down_slope: Slope = Field(0.2, description="Negative slope of the leaky ReLU going down; 0 is a ReLU.")
    up_slope: Slope = Field(0.0, description="Negative slope of the leaky ReLU going up; 0 is a ReLU.")
    dropout: Slope = Field(0.5, description="Dropout probability at the levels of dropout_down and dropout_up.")
    dropout_down: Levels = Field((), description="Levels with dropout on the way down; from 4 is 4 to depth.")
    dropout_up: Literal["auto"] | Levels = Field(
        "auto", description="Levels with dropout on the way up; from 4 is 4 to depth, auto is 5 to depth - 1."
    )
    upsample: Upsample = Field("transpose", description="Transposed convolution, or resize and convolve.")
    bias: Bias = Field("auto", description="Bias of normalised convolutions; auto is only with norm instance.")


class ResNetConfig(Section):
    """The residual generator."""

    name: Literal["resnet"] = Field("resnet", description="Which generator this is.")
    base_channels: Count = Field(64, description="Channels of the first convolution.")
    blocks: Annotated[Literal[6, 9], BeforeValidator(_not_a_float)] = Field(9, description="Residual blocks.")
    norm: Norm = Field("batch", description="Normalisation layer.")
    dropout: Slope = Field(0.0, description="Dropout probability inside the residual blocks.")
    upsample: Upsample = Field("transpose", description="Transposed convolution, or resize and convolve.")
    bias: Bias = Field("auto", description="Bias of normalised convolutions; auto is only with norm instance.")


class PatchGANConfig(Section):
    """The discriminator that judges overlapping patches."""

    name: Literal["patchgan"] = Field("patchgan", description="Which discriminator this is.")
    base_channels: Count = Field(
        64, description="Channels of the first block; doubled at each block, at most eight times as many."
    )
    kernel_size: Annotated[Literal[3, 4], BeforeValidator(_not_a_float)] = Field(
        4, description="Side of the convolution kernels."
    )
    n_layers: Annotated[int, Field(ge=1, le=6)] = Field(3, description="Convolutions with stride 2.")
    stride1_layer: bool = Field(True, description="One more block, with stride 1, before the output convolution.")
    norm: Norm = Field("batch", description="Normalisation layer; the first block has none.")
    bias: Bias = Field("auto", description="Bias of normalised convolutions; auto is only with norm instance.")


class PixelConfig(Section):
    """The discriminator that judges every pixel by itself."""

    name: Literal["pixel"] = Field("pixel", description="Which discriminator this is.")
    base_channels: Count = Field(64, description="Channels of the first convolution.")
    norm: Norm = Field("batch", description="Normalisation layer.")
    bias: Bias = Field("auto", description="Bias of normalised convolutions; auto is only with norm instance.")


class InitConfig(Section):
    """How weights are initialised."""

    weights: Literal["normal", "xavier", "kaiming", "orthogonal"] = Field(
        "normal", description="Distribution of convolution weights."
    )
    gain: Annotated[float, Field(gt=0)] = Field(0.02, description="Standard deviation or gain of that distribution.")
    norm_weights: Literal["normal", "ones"] = Field("normal", description="Scales of norms: N(1, gain), or ones.")
    biases: Literal["zero", "default"] = Field("zero", description="Biases: zeros, or as PyTorch makes them.")


# The networks that a config can name; the first of each is the default where `name` is left out.
NETWORKS: dict[str, dict[str, type[Section]]] = {
    "generator": {"unet": UNetConfig, "resnet": ResNetConfig},
    "discriminator": {"patchgan": PatchGANConfig, "pixel": PixelConfig},
}


def _name_or(default: str) -> Discriminator:
    """Return a discriminator for a union whose `name` may be left out."""
    return Discriminator(lambda v: v.get("name", default) if isinstance(v, dict) else getattr(v, "name", None))


GeneratorConfig = Annotated[
    Annotated[UNetConfig, Tag("unet")] | Annotated[ResNetConfig, Tag("resnet")], _name_or("unet")
]
DiscriminatorConfig = Annotated[
    Annotated[PatchGANConfig, Tag("patchgan")] | Annotated[PixelConfig, Tag("pixel")], _name_or("patchgan")
]


class ModelConfig(Section):
    """The two networks."""

    generator: GeneratorConfig = Field(default_factory=UNetConfig, description="The generator: unet or resnet.")
    discriminator: DiscriminatorConfig = Field(
        default_factory=PatchGANConfig, description="The discriminator: patchgan or pixel."
    )
    init: InitConfig = Field(default_factory=InitConfig, description="How weights are initialised.")


class LossConfig(Section):
    """What the networks are trained on."""

    adversarial: Literal["bce", "mse", "mse_sigmoid", "bce_sigmoid", "hinge"] = Field(
        "bce", description="Adversarial loss, on logits or (_sigmoid) on probabilities."
    )
    lambda_gan: Annotated[float, Field(ge=0)] = Field(1.0, description="Weight of the generator's adversarial loss.")
    lambda_l1: Annotated[float, Field(ge=0)] = Field(100.0, description="Weight of the L1 distance to the target.")
    generator_condition: Literal["input", "target"] = Field(
        "input", description="What the discriminator is conditioned on in the generator's update."
    )


class OptimizerConfig(Section):
    """Adam, one for each network."""

    lr: Annotated[float, Field(gt=0)] = Field(2e-4, description="Learning rate.")
    accumulation_steps: Count = Field(
        1, description="Micro-batches that a batch is split into: less memory for the same update."
    )
    betas: Annotated[tuple[Beta, Beta], Field(strict=False)] = Field((0.5, 0.999), description="Adam's two betas.")


class ScheduleConfig(Section):
    """How long to train, and in which order to update."""

    epochs: Count = Field(200, description="Passes over the training pairs.")
    decay_epochs: Interval = Field(0, description="The number of last epochs over which the rate falls linearly to 0.")
    update_order: Literal["discriminator-first", "generator-first"] = Field(
        "discriminator-first", description="Which network is updated first on each batch."
    )


class RunConfig(Section):
    """Where a run is written, on which device it runs, and how often it reports."""

    output: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="Folder of the run; null is runs/<name of the config>."
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="Seed of weights, order, crops and dropout.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="Number format of the networks; auto measures which one is the fastest here."
    )
    device: (
        Literal["auto", "cpu", "cuda", "mps"] | Annotated[str, Field(pattern=r"^cuda:[0-9]+$", examples=["cuda:1"])]
    ) = Field("auto", description="Where to train.")
    cuda_graph: bool = Field(
        False,
        description="Whether to run each step as one CUDA graph and copy batches on a separate stream; "
        "needs a CUDA device and is refused elsewhere.",
    )
    deterministic: bool = Field(False, description="Bitwise reproducible on the same machine, and slower.")
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="Decay of an averaged copy of the generator; null keeps none."
    )
    log_every_steps: Count = Field(50, description="Steps between lines of the log.")
    sample_every_epochs: Interval = Field(1, description="Epochs between sample grids; 0 is never.")
    validate_every_epochs: Interval = Field(1, description="Epochs between validations; 0 is never.")
    checkpoint_every_epochs: Count = Field(1, description="Epochs between checkpoints.")
    keep_checkpoints: Annotated[int, Field(ge=2)] = Field(
        3, description="Newest checkpoints to keep, beside the best one; older ones are deleted."
    )
    sample_pairs: Count = Field(8, description="Pairs in a sample grid.")


class Config(Section):
    """A whole config. Each value is valid by itself; `validate.find_conflicts` looks across keys."""

    data: DataConfig = Field(default_factory=DataConfig, description="Where the pairs are.")
    model: ModelConfig = Field(default_factory=ModelConfig, description="The two networks.")
    loss: LossConfig = Field(default_factory=LossConfig, description="What the networks are trained on.")
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig, description="Adam's settings.")
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig, description="How long and in which order.")
    run: RunConfig = Field(default_factory=RunConfig, description="Output, device and how often to report.")


def nearest_sizes(crop: tuple[int, int], step: int) -> str:
    """Name the sizes below and above `crop` whose sides are multiples of `step`."""
    below = tuple(max(side // step, 1) * step for side in crop)
    above = tuple(-(-side // step) * step for side in crop)
    both = [f"[{height}, {width}]" if crop[0] != crop[1] else str(height) for height, width in (below, above)]
    return " or ".join(dict.fromkeys(both))


def unet_depth(generator: UNetConfig, crop: tuple[int, int]) -> int:
    """Return the levels of the U-Net on crops of (height, width): as given, else as many as halve both sides evenly.

    Raises ConfigError where the sides cannot be halved that often, naming the nearest sizes that can.
    """
    # The lowest set bit of both sides together is the largest power of two that divides both.
    halvings = ((crop[0] | crop[1]) & -(crop[0] | crop[1])).bit_length() - 1
    depth = generator.depth or max(halvings, SMALLEST_AUTO_DEPTH)
    if depth <= halvings:
        return depth
    remedy = f"nearest that works: {nearest_sizes(crop, 2**depth)}"
    if halvings >= 2:
        remedy += f"; or set model.generator.depth to {halvings}"
    raise ConfigError(
        f"data.image_size {show_size(crop)} does not fit a U-Net of {depth} levels, "
        f"which needs sides that {2**depth} divides; {remedy}"
    )


def dropout_levels(levels: tuple[int, ...] | str, depth: int) -> tuple[int, ...] | str:
    """Return the levels of `dropout_down` or `dropout_up` in a U-Net of `depth` levels; `auto` is the network's own."""
    if isinstance(levels, str) and levels != "auto":
        first = int(levels.removeprefix("from "))
        return tuple(range(first, max(first, depth) + 1))  # never empty, so that a level that is too high is refused
    return levels


def patch_map_size(discriminator: PatchGANConfig | PixelConfig, crop: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) of the discriminator's logits; below 1 where the crop is too small for it."""
    if isinstance(discriminator, PixelConfig):
        return crop
    shrink = discriminator.kernel_size - 3  # padding is 1: a 3x3 kernel keeps a side, a 4x4 one takes a pixel
    sides = list(crop)
    for _ in range(discriminator.n_layers):
        sides = [(side - 1 - shrink) // 2 + 1 for side in sides]
    for _ in range(1 + discriminator.stride1_layer):
        sides = [side - shrink for side in sides]
    return sides[0], sides[1]


def learning_rate(config: Config, epoch: int) -> float:
    """Return the rate of an epoch, from 1: constant, then linear to zero over the last `decay_epochs`."""
    schedule = config.schedule
    decayed = max(0, epoch - (schedule.epochs - schedule.decay_epochs))
    return config.optimizer.lr * (1 - decayed / (schedule.decay_epochs + 1))


def nested_sections(model: type[Section], key: str) -> dict[str, type[Section]]:
    """Return the sections that `key` of `model` can hold, by name ('' where it is one); none for a plain value."""
    if model is ModelConfig and key in NETWORKS:
        return NETWORKS[key]
    annotation = model.model_fields[key].annotation
    return {"": annotation} if isinstance(annotation, type) and issubclass(annotation, Section) else {}
