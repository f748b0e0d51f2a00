"""Arrangements of drawn pairs on disk: where the files are, what should be understood, and which remedies work.

In a path, {s} is the split, {n} the name of a pair, {c} the scene that it is in, {k} the suffix of the target's kind.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from making import save, save_halves
from PIL import Image

from pix2pix.datasets.synthetic.draw import PALETTE, draw_pair

SIDE, COUNT = 64, 6
KINDS = ("image", "labels", "mask")
SPLITS = ("train", "val")


@dataclass(frozen=True)
class Arrangement:
    """Where the inputs and targets are, and the sides of the plan. `splits`: their spellings; none for one folder.

    `rule`, `evidence`: words in the plan. `lists`: where a list of each split is. `root`: of the data set.
    """

    input: str
    target: str
    shown: tuple[str, str]
    splits: tuple[str, ...] = SPLITS
    rule: str = ""
    evidence: str = "by their names"
    lists: str = ""
    kinds: tuple[str, ...] = KINDS


@dataclass(frozen=True)
class Refusal:
    """Files that are refused: their paths by what they hold, the error's code, and settings that its remedy names.

    Each of `remedies` is settings that lead to pairs of photo and target; `words` name it in the error.
    """

    files: tuple[tuple[str, str], ...]
    code: str
    remedies: tuple[dict[str, str], ...] = ()
    splits: tuple[str, ...] = ()
    lists: str = ""
    words: tuple[str, ...] = field(default=())


HALVES = ("left half", "right half")
ARRANGEMENTS = {
    # One folder
    "side by side": Arrangement("{s}/{n}.png", "", HALVES, evidence="break at the middle", kinds=("image", "labels")),
    "suffix in one folder": Arrangement("{s}/{n}.png", "{s}/{n}_mask.png", ("train/{id}", "train/{id}_mask"),
                                        rule="", evidence=""),
    "suffixes in one folder": Arrangement("{n}_image.jpg", "{n}_gt.png", ("{id}_image", "{id}_gt"), (),
                                          evidence=""),
    "prefixes in one folder": Arrangement("photo_{n}.png", "label_{n}.png", ("photo_{id}", "label_{id}"), (),
                                          evidence=""),
    # Two folders of fixed names
    "a and b": Arrangement("{s}/a/{n}.png", "{s}/b/{n}.png", ("train/a", "train/b"), evidence=""),
    "trainA and trainB": Arrangement("{s}A/{n}.png", "{s}B/{n}.png", ("trainA", "trainB"), evidence=""),
    "input and target": Arrangement("{s}/input/{n}.png", "{s}/target/{n}.png", ("train/input", "train/target"),
                                    evidence=""),
    # The folders of a split
    "train and trainannot": Arrangement("{s}/{n}.png", "{s}annot/{n}.png", ("train", "trainannot")),
    "train and train_masks": Arrangement("{s}/{n}.jpg", "{s}_masks/{n}_mask.png", ("train", "train_masks"),
                                         rule="names without _mask"),
    "train_A and train_B": Arrangement("{s}_A/{n}.png", "{s}_B/{n}.png", ("train_A", "train_B"), evidence=""),
    "our485 and eval15": Arrangement("{s}/low/{n}.png", "{s}/high/{n}.png", ("our485/low", "our485/high"),
                                     ("our485", "eval15")),
    "training and 1st_manual": Arrangement("{s}/images/{n}_training.tif", "{s}/1st_manual/{n}_manual1.gif",
                                           ("training/images", "training/1st_manual"), ("training", "validation"),
                                           rule="names without", kinds=("mask",)),
    "Training_Images": Arrangement("{s}_Images/{n}.png", "{s}_Labels/{n}.png", ("Training_Images", "Training_Labels"),
                                   ("Training", "Valid")),
    "imagesTr and labelsTr": Arrangement("images{s}/{n}.png", "labels{s}/{n}.png", ("imagesTr", "labelsTr"), ("Tr",)),
    "DIV2K": Arrangement("DIV2K_{s}_LR_bicubic/X2/{n}x2.png", "DIV2K_{s}_HR/{n}.png",
                         ("DIV2K_train_LR_bicubic/X2", "DIV2K_train_HR"), ("train", "valid"), rule="x2"),
    # Roles
    "image and mask": Arrangement("{s}/image/{n}.png", "{s}/mask/{n}.png", ("train/image", "train/mask")),
    "images and masks": Arrangement("images/{n}.jpg", "masks/{n}.png", ("images", "masks"), ()),
    "imgs and labels": Arrangement("imgs/{s}/{n}.png", "labels/{s}/{n}.png", ("imgs/train", "labels/train")),
    "Images and Ground Truth": Arrangement("Images/{n}.png", "Ground Truth/{n}.png", ("Images", "Ground Truth"), ()),
    "noisy and clean": Arrangement("noisy/{n}.png", "clean/{n}.png", ("noisy", "clean"), ()),
    "low and high": Arrangement("low/{n}.png", "high/{n}.png", ("low", "high"), ()),
    "hazy and GT": Arrangement("{s}/hazy/{n}_hazy.png", "{s}/GT/{n}_GT.png", ("train/hazy", "train/GT"),
                               rule="names without _hazy and _GT"),
    "hazy and clear": Arrangement("hazy/{n}.png", "clear/{n}.png", ("hazy", "clear"), ()),
    "rainy and sharp": Arrangement("rainy/{n}.png", "sharp/{n}.png", ("rainy", "sharp"), ()),
    "source and target": Arrangement("{s}/source/{n}.png", "{s}/target/{n}.png", ("train/source", "train/target")),
    "sketch and photo": Arrangement("sketch/{n}.png", "photo/{n}.png", ("sketch", "photo"), (), kinds=("image",)),
    "X and y": Arrangement("X/{n}.png", "y/{n}.png", ("X", "y"), ()),
    "lr and hr": Arrangement("{s}/lr/{n}.png", "{s}/hr/{n}.png", ("train/lr", "train/hr")),
    "raw and reference": Arrangement("raw-890/{n}.png", "reference-890/{n}.png", ("raw-890", "reference-890"), ()),
    "raw and a free name": Arrangement("raw/{n}.png", "expertC/{n}.png", ("raw", "expertC"), ()),
    "a free name and labels": Arrangement("pictures of may/{n}.png", "labels/{n}.png", ("pictures of may", "labels"),
                                          ()),
    "the root and masks": Arrangement("{n}.jpg", "masks/{n}.png", (".", "masks"), ()),
    "images and one folder of masks": Arrangement("{s}/images/{n}.png", "masks/{n}.png", ("train/images", "masks")),
    "rgb and depth": Arrangement("rgb/{s}/{n}.png", "depth/{s}/{n}.png", ("rgb/train", "depth/train")),
    # A folder for each scene
    "GoPro": Arrangement("{s}/GOPR{c}/blur/{n}.png", "{s}/GOPR{c}/sharp/{n}.png", ("train/*/blur", "train/*/sharp")),
    "suffixes in folders of classes": Arrangement("class{c}/class{c} ({n}).png", "class{c}/class{c} ({n})_mask.png",
                                                  ("{id}", "{id}_mask"), (), rule="_mask", evidence=""),
    "two files in the folder of a scene": Arrangement("Data/{c}_{n}/NOISY_010.png", "Data/{c}_{n}/GT_010.png",
                                                      ("NOISY_{id}", "GT_{id}"), (), rule="GT", evidence=""),
    "clips": Arrangement("{s}/input_frames/{c}/{n}.png", "{s}/gt_frames/{c}/{n}.png",
                         ("train/input_frames/*", "train/gt_frames/*")),
    "Cityscapes": Arrangement("leftImg8bit/{s}/city{c}/{n}_leftImg8bit.png", "gtFine/{s}/city{c}/{n}_gtFine_ids.png",
                              ("leftImg8bit/train/*", "gtFine/train/*"), rule="names without"),
    # A folder around everything
    "in a folder": Arrangement("mine/{s}/images/{n}.png", "mine/{s}/masks/{n}.png",
                               ("mine/train/images", "mine/train/masks")),
    "annotations in folders": Arrangement("images/{n}.jpg", "annotations/trimaps/{n}.png",
                                          ("images", "annotations/trimaps"), ()),
    # Lists of splits
    "VOC": Arrangement("JPEGImages/{n}.jpg", "SegmentationClass/{n}.png", ("JPEGImages", "SegmentationClass"),
                       lists="ImageSets/Segmentation/{s}.txt: {n}"),
    "a list of paths": Arrangement("images/{n}.png", "masks/{n}.png", ("images", "masks"),
                                   lists="{s}.txt: images/{n}.png masks/{n}.png"),
    "lists in splits": Arrangement("img/{n}.png", "label/{n}_label.png", ("img", "label"), rule="_label",
                                   lists="splits/{s}.txt: {n}"),
}  # fmt: skip

REFUSALS = {
    "two files of fixed names in a folder": Refusal(
        (("case{n}/image.png", "input"), ("case{n}/mask.png", "target")), "ambiguous",
        ({"input": "{id}/image.*", "target": "{id}/mask.*"},),
    ),
    "two suffixes in one folder": Refusal(
        (("{s}/{n}.jpg", "input"), ("{s}/{n}.png", "target")), "ambiguous",
        ({"input": "{split}/{id}.jpg", "target": "{split}/{id}.png"},), SPLITS,
    ),
    "two targets": Refusal(
        (("images/{n}.png", "input"), ("masks/{n}.png", "target"), ("depth/{n}.png", "other")), "ambiguous",
        ({"input": "images", "target": "masks"},),
    ),
    "two inputs for scenes": Refusal(
        (("{s}/GOPR{c}/blur/{n}.png", "input"), ("{s}/GOPR{c}/blur_gamma/{n}.png", "other"),
         ("{s}/GOPR{c}/sharp/{n}.png", "target")),
        "ambiguous", ({"input": "blur", "target": "sharp"},), SPLITS,
    ),
    "two targets of a split": Refusal(
        (("{s}/{n}.png", "input"), ("{s}annot/{n}.png", "target"), ("{s}depth/{n}.png", "other")), "ambiguous",
        ({"input": "{split}/{id}.*", "target": "{split}annot/{id}.*"},), SPLITS,
    ),
    "VOC with objects": Refusal(
        (("JPEGImages/{n}.jpg", "input"), ("SegmentationClass/{n}.png", "target"),
         ("SegmentationObject/{n}.png", "other")),
        "ambiguous", ({"input": "JPEGImages", "target": "SegmentationClass"},), SPLITS,
        "ImageSets/Segmentation/{s}.txt: {n}",
    ),
    "names without a role": Refusal(
        (("monday/{n}.png", "input"), ("tuesday/{n}.png", "target")), "ambiguous",
        ({"input": "monday", "target": "tuesday"},),
    ),
    "names without a role around splits": Refusal(
        (("monday/{s}/{n}.png", "input"), ("tuesday/{s}/{n}.png", "target")), "ambiguous",
        ({"input": "monday", "target": "tuesday"},), SPLITS,
    ),
    "names without a role in splits": Refusal(
        (("{s}/monday/{n}.png", "input"), ("{s}/tuesday/{n}.png", "target")), "ambiguous",
        ({"input": "monday", "target": "tuesday"},), SPLITS,
    ),
    "images beside a name without a role": Refusal(
        (("images/{n}.png", "input"), ("of may/{n}.png", "target")), "ambiguous",
        ({"input": "images", "target": "of may"},),
    ),
    "two kinds of targets in a folder": Refusal(
        (("{s}/{n}.png", "input"), ("{s}annot/{n}_color.png", "other"), ("{s}annot/{n}_ids.png", "target")),
        "ambiguous", ({"input": "{split}/{id}.*", "target": "{split}annot/{id}_ids.*"},), SPLITS,
    ),
    "single images": Refusal((("{s}/{n}.png", "input"),), "single-images", (), SPLITS),
    "images without targets": Refusal((("images/{n}.png", "input"), ("masks/scene {c}.png", "none")), "unmatched", ()),
}  # fmt: skip


@lru_cache
def drawn(index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the photograph [64, 64, 3], its map in colours, and its map of class ids [64, 64], all uint8."""
    photo, colours = draw_pair(index, 5, (SIDE, SIDE))
    ids = (colours[:, :, None] == PALETTE).all(-1).argmax(-1).astype(np.uint8)
    return photo, colours, ids


@lru_cache
def target(index: int, kind: str) -> np.ndarray:
    """Return the target of a pair: a blurred negative, ids, or a mask of 0 and 255."""
    photo, _, ids = drawn(index)
    if kind == "image":
        return (255 - photo // 2).astype(np.uint8)
    return ids if kind == "labels" else ((ids == 1) * 255).astype(np.uint8)


def names(split: int) -> list[tuple[str, str, int]]:
    """Return (name, scene, number) of the pairs of a split."""
    return [(f"{100 + split * 50 + i}", f"{i % 2}", split * 50 + i) for i in range(COUNT if split == 0 else 3)]


def write(root: Path, files: tuple[tuple[str, str], ...], splits: tuple[str, ...], kind: str, lists: str = "") -> None:
    """Write the files of an arrangement: (path, input, target, other or none)."""
    for number, split in enumerate(splits or ("",)):
        for name, scene, index in names(number):
            for path, what in files:
                _save(root / path.format(s=split, n=name, c=scene), index, what, kind)
        if lists:
            path, _, line = lists.partition(": ")
            lines = [line.format(s=split, n=name, c=scene) for name, scene, _ in names(number)]
            place = root / path.format(s=split)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("\n".join(lines))


def files_of(arrangement: Arrangement) -> tuple[tuple[str, str], ...]:
    """Return the paths of an arrangement with what they hold."""
    if not arrangement.target:
        return ((arrangement.input, "both"),)
    return (arrangement.input, "input"), (arrangement.target, "target")


def _save(path: Path, index: int, what: str, kind: str) -> None:
    photo, colours, _ = drawn(index)
    if what == "both":
        save_halves(path, photo, colours if kind == "labels" else target(index, "image"))
    elif what == "input":
        save(path, photo)
    else:
        pixels = target(index, kind) if what == "target" else drawn(index + 900)[1]
        image = Image.fromarray(pixels)
        if kind == "labels" and what == "target":
            image.putpalette(PALETTE.ravel().tolist())
        save(path, image)
