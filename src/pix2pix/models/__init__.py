"""Generators and discriminators; a config's `name` is a key of `GENERATORS` or `DISCRIMINATORS`."""

from pix2pix.models.layers import (
    fold_running_norms,
    frozen,
    has_per_image_norm,
    inference,
    init_weights,
    parameter_count,
    set_per_image_norm,
    update_ema,
)
from pix2pix.models.patchgan import PatchGAN, PixelDiscriminator
from pix2pix.models.resnet import ResNet
from pix2pix.models.unet import UNet

GENERATORS = {"unet": UNet, "resnet": ResNet}
DISCRIMINATORS = {"patchgan": PatchGAN, "pixel": PixelDiscriminator}

__all__ = [
    "DISCRIMINATORS",
    "GENERATORS",
    "PatchGAN",
    "PixelDiscriminator",
    "ResNet",
    "UNet",
    "fold_running_norms",
    "frozen",
    "has_per_image_norm",
    "inference",
    "init_weights",
    "parameter_count",
    "set_per_image_norm",
    "update_ema",
]
