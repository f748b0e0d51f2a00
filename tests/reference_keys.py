"""Other programs' weight names, written as ours: the mappings of the parity tests. References are [up, skip] or
[skip, up] in their concatenations; ours is [skip, up]."""

import torch
from torch import Tensor

State = dict[str, Tensor]


def swap_halves(weight: Tensor, first: int) -> Tensor:
    """A transposed convolution's weight [in, out, k, k] with the first `first` of its inputs put last."""
    return torch.cat([weight[first:], weight[:first]])


def _move(state: State, old: str, new: str) -> State:
    return {f"{new}{key.removeprefix(old)}": value for key, value in state.items() if key.startswith(old)}


def tutorial_generator(state: State) -> State:
    """The tutorial's `up1` is the innermost, level 8, and its concatenations are [up, skip]."""
    ours = {}
    for i in range(1, 9):
        ours |= _move(state, f"down{i}.down.0.", f"down.{i}.conv.")
        ours |= _move(state, f"up{i}.up.0." if i < 8 else "up8.0.", f"up.{9 - i}.conv.")
    for i in range(1, 8):
        up = state[f"up{i + 1}.up.0.weight" if i < 7 else "up8.0.weight"]
        ours[f"up.{8 - i}.conv.weight"] = swap_halves(up, state[f"up{i}.up.0.weight"].shape[1])
    return ours


def tutorial_discriminator(state: State) -> State:
    """It concatenates (image, condition); ours is (condition, image)."""
    ours = _move(state, "patch.", "logits.")
    for i in range(1, 5):
        ours |= _move(state, f"stage_{i}.block.0.", f"layers.{i}.conv.")
    ours["layers.1.conv.weight"] = ours["layers.1.conv.weight"].roll(3, 1)
    return ours


def junyanz_unet(state: State, depth: int) -> State:
    """Nested blocks: level i is at `model.model.1` + `.model.3` x (i - 2)."""
    ours = _move(state, "model.model.0.", "down.1.conv.") | _move(state, "model.model.3.", "up.1.conv.")
    for i in range(2, depth + 1):
        at = "model.model.1" + ".model.3" * (i - 2) + ".model."
        conv, norm = ("3.", "4.") if i == depth else ("5.", "6.")
        ours |= _move(state, at + "1.", f"down.{i}.conv.")
        ours |= _move(state, at + "2.", f"down.{i}.norm.") if i < depth else {}
        ours |= _move(state, at + conv, f"up.{i}.conv.") | _move(state, at + norm, f"up.{i}.norm.")
    return ours


def junyanz_resnet(state: State, blocks: int) -> State:
    """A flat sequence; the blocks start at 10."""
    places = {"stem": 1, "down1": 4, "down2": 7, "up1": 10 + blocks, "up2": 13 + blocks}
    ours = _move(state, f"model.{17 + blocks}.", "head.")
    for name, place in places.items():
        ours |= _move(state, f"model.{place}.", f"{name}.conv.") | _move(state, f"model.{place + 1}.", f"{name}.norm.")
    for i in range(blocks):
        for name, conv in (("first", 1), ("second", 5)):
            at = f"model.{10 + i}.conv_block."
            ours |= _move(state, f"{at}{conv}.", f"blocks.{i + 1}.{name}.conv.")
            ours |= _move(state, f"{at}{conv + 1}.", f"blocks.{i + 1}.{name}.norm.")
    return ours


def junyanz_patchgan(state: State, n_layers: int = 3) -> State:
    """Convolutions at 0, 2, 5, 8, ..., their norms one later, the logits last."""
    ours = _move(state, "model.0.", "layers.1.conv.") | _move(state, f"model.{3 * n_layers + 2}.", "logits.")
    for i in range(2, n_layers + 2):
        place = 3 * (i - 1) - 1
        ours |= _move(state, f"model.{place}.", f"layers.{i}.conv.")
        ours |= _move(state, f"model.{place + 1}.", f"layers.{i}.norm.")
    return ours


def junyanz_pixel(state: State) -> State:
    """Three 1x1 convolutions."""
    names = {"net.0.": "layers.1.conv.", "net.2.": "layers.2.conv.", "net.3.": "layers.2.norm.", "net.5.": "logits."}
    return {k: v for old, new in names.items() for k, v in _move(state, old, new).items()}
