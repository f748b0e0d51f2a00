"""The words in names of folders, files and columns that show the split and the role: the only table of them."""

import re
from dataclasses import dataclass

SPLITS = ("train", "val", "test")
SPLIT_NAME = "training|train|validation|valid|val|testing|test"  # a regular expression, in any capitals

# Words for inputs.
_INPUTS = """before blur blurred blurry condition conditioning degraded edge edges foggy hazy in input inputs lineart
low lowlight lowres lq lr noisy rain rainy raw scribble scribbles sketch sketches source src"""
# Words for ordinary pictures: the input of masks or labels, the target of sketches or noisy images.
_PICTURES = "image images img imgs jpegimages leftimg original photo photos picture rgb sat"
_TARGETS = """after anno annot annotation annotations annots clean clear edited enhanced ground_truth groundtruth gt
high highres hq hr ids label labels lbl lbls manual mask masks msk msks norain out output outputs reference seg
segmentation segmentations sharp target targets tgt truth"""
# Words for targets, if the other side is a picture.
_KINDS = "color colors colour colours depth inst instance instances normal normals"
INPUTS, PICTURES = frozenset(_INPUTS.split()), frozenset(_PICTURES.split())
TARGETS, KINDS = frozenset(_TARGETS.split()), frozenset(_KINDS.split())
LETTERS = (("a", "b"), ("x", "y"))  # names of two sides, where nothing else is in the name
_LETTERS = frozenset(letter for letters in LETTERS for letter in letters)

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")  # leftImg8bit is left, Img, 8 and bit
_GLUED = re.compile(f"({SPLIT_NAME})([a-z]+)")
_WITH_A_ROLE = {"tr": "train", "ts": "test", "eval": "val"}  # too short or too vague without a role
_WITH_A_NUMBER = re.compile(r"(our|eval)\d+")  # of LOL, whose splits are our485 and eval15


@dataclass(frozen=True)
class FolderName:
    """What the name of a folder shows.

    `split`: train, val, test or "". `role`: input, picture, target, one of the letters a, b, x and y, or "".
    `template`: the name with {split} in place of its split. `pattern`: the same where a pattern's {split} stands for
    this spelling, else the name.
    """

    split: str
    role: str
    template: str
    pattern: str

    @property
    def is_free(self) -> bool:
        """Whether the name shows neither split nor role, such as that of a scene or a city."""
        return not self.split and not self.role


def split_named(text: object) -> str | None:
    """Return the split that a word stands for, in any spelling and case; None for other words."""
    known = re.fullmatch(SPLIT_NAME, text.strip(), re.IGNORECASE) if isinstance(text, str) else None
    return next(split for split in SPLITS if known[0].lower().startswith(split)) if known else None


def parse_folder_name(name: str) -> FolderName:
    """Return the split and the role in a folder name such as `Training_Images` or `trainannot`."""
    if _WITH_A_NUMBER.fullmatch(name.lower()):
        return FolderName("train" if name.lower().startswith("our") else "val", "", "{split}", name)
    words = [(word[0].lower(), word.start(), word.end()) for word in _WORD.finditer(name)]
    splits = [(split, start, end) for word, start, end in words if (split := split_named(word))]
    rest = [word for word, _, _ in words if not word.isdecimal() and not split_named(word)]
    if not splits:
        splits, rest = _hidden_split(words, rest)
    role = role_of(rest)
    if role in _LETTERS and any(word.isdecimal() for word, _, _ in words):
        role = ""
    if len({split for split, _, _ in splits}) != 1 or (rest and not role):
        return FolderName("", role, name, name)
    split, start, end = splits[0]
    template = name[:start] + "{split}" + name[end:]
    return FolderName(split, role, template, template if split_named(name[start:end]) else name)


def role_of(words: list[str]) -> str:
    """Return the role that lower-case words show together, "" for none."""
    if len(words) == 1 and words[0] in _LETTERS:
        return words[0]
    is_input, is_target = not INPUTS.isdisjoint(words), not (TARGETS | KINDS).isdisjoint(words)
    if is_input or is_target:
        return "" if is_input and is_target else "input" if is_input else "target"
    return "" if PICTURES.isdisjoint(words) else "picture"


def _hidden_split(words: list[tuple[str, int, int]], rest: list[str]) -> tuple[list[tuple[str, int, int]], list[str]]:
    """Return the split, with its position, that is joined to a role or abbreviated next to one, and the other words."""
    for word, start, _ in words:
        glued = _GLUED.fullmatch(word)
        others = [other for other in rest if other != word]
        if glued is not None and role_of([*others, glued[2]]):
            return [(split_named(glued[1]) or "", start, start + len(glued[1]))], [*others, glued[2]]
    for word, start, end in words:
        others = [other for other in rest if other != word]
        if word in _WITH_A_ROLE and role_of(others):
            return [(_WITH_A_ROLE[word], start, end)], others
    return [], rest
