"""The published data sets: their addresses, sizes, pair counts and label colours.

The archives are those of P. Isola et al., CVPR 2017. Pair counts were confirmed by several people who unpacked them;
sizes come from the server's listing, or from a download log where exact; md5 sums from public reports. This module
imports little, so that `pix2pix --help` can list the names quickly.
"""

import shlex
from pathlib import Path
from typing import NamedTuple

_SLACK = 20  # a repacked mirror may exceed the expected archive size, unpacked size and file count by this factor
_MAX_BYTES = 64 << 30  # upper bound despite the factor: the largest set, edges2handbags, has 55 GB of raw pixels


Colour = tuple[int, int, int]


class LabelColours(NamedTuple):
    """The classes of a data set's label maps and the RGB colour of each, in class order.

    `archived` are the colours in the files of the archive, where those differ from the authors' `palette`.
    """

    classes: tuple[str, ...]
    palette: tuple[Colour, ...]
    archived: tuple[Colour, ...] = ()


class Dataset(NamedTuple):
    """An archive (.tar.gz) of one folder, named like the data set, with a folder of side-by-side pairs per split.

    Attributes:
        url: address of the archive.
        listed: bytes of the archive, to the two or three digits of the server's listing.
        bytes: exact size of the archive; None where it is not known.
        md5: checksum of the archive. A mismatch is refused, except for an address given with --url, where it is a
            warning: that all pairs exist and decode is checked in any case.
        counts: number of pairs by split.
        labels: colours of the label maps, where one side of the pairs is one.
    """

    url: str
    listed: int
    bytes: int | None
    md5: str
    counts: dict[str, int]
    labels: LabelColours | None = None

    @property
    def expected_bytes(self) -> int:
        """Size of the archive, and about that of the unpacked files, since JPEG does not compress further."""
        return self.bytes or self.listed

    @property
    def most_bytes(self) -> int:
        """Largest size accepted, of the archive and of what it unpacks to."""
        return min(_SLACK * self.expected_bytes, _MAX_BYTES)

    @property
    def most_files(self) -> int:
        """Largest number of files and folders accepted in the archive."""
        return _SLACK * sum(self.counts.values())


# R. Tylecek, R. Sara, "Spatial Pattern Templates for Recognition of Objects with Regular Structure", GCPR 2013. The
# archive's label maps have other colours, which were measured in its files and are not exact, since those are JPEG. The
# nearest colour of `palette` would give most of their pixels another class: the archive's background becomes facade.
FACADES_LABELS = LabelColours(
    (
        *("background", "facade", "window", "door", "cornice", "sill"),
        *("balcony", "blind", "deco", "molding", "pillar", "shop"),
    ),
    (
        *((0, 0, 170), (0, 0, 255), (0, 85, 255), (0, 170, 255), (0, 255, 255), (85, 255, 170)),
        *((170, 255, 85), (255, 255, 0), (255, 170, 0), (255, 85, 0), (255, 0, 0), (170, 0, 0)),
    ),
    (
        *((0, 0, 222), (0, 48, 255), (0, 128, 255), (0, 207, 255), (32, 255, 224), (112, 254, 142)),
        *((192, 255, 63), (255, 240, 0), (255, 159, 0), (255, 80, 0), (254, 0, 0), (174, 0, 0)),
    ),
)
_SERVER = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets"
DATASETS = {
    "facades": Dataset(
        url=f"{_SERVER}/facades.tar.gz",
        listed=29 << 20,
        bytes=30_168_306,
        md5="e2e25dd517e9d15828416ab329da2854",
        counts={"train": 400, "val": 100, "test": 106},
        labels=FACADES_LABELS,
    ),
    "maps": Dataset(
        url=f"{_SERVER}/maps.tar.gz",
        listed=239 << 20,
        bytes=250_242_400,
        md5="e5f65d26eb288457f5ac056deb94d154",
        counts={"train": 1096, "val": 1098},
    ),
    # A. Yu, K. Grauman, "Fine-Grained Visual Comparisons with Local Learning", CVPR 2014 (UT Zappos50K).
    "edges2shoes": Dataset(
        url=f"{_SERVER}/edges2shoes.tar.gz",
        listed=2 << 30,
        bytes=None,
        md5="71da478b54fedde126e234a2a050bc15",
        counts={"train": 49_825, "val": 200},
    ),
    # J.-Y. Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", ECCV 2016.
    "edges2handbags": Dataset(
        url=f"{_SERVER}/edges2handbags.tar.gz",
        listed=8 << 30,
        bytes=None,
        md5="815592f22fa7f7534a286a25bb73bf03",
        counts={"train": 138_567, "val": 200},
    ),
    # P.-Y. Laffont et al., "Transient Attributes for High-Level Understanding and Editing of Outdoor Scenes", 2014.
    "night2day": Dataset(
        url=f"{_SERVER}/night2day.tar.gz",
        listed=1_900_000_000,
        bytes=None,
        md5="fd21b1d447a1f927fed41aabedd85baa",
        counts={"train": 17_823, "val": 10, "test": 2287},
    ),
}

# M. Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016. Its licence
# requires every user to register, so it cannot be downloaded here; its test split is published without labels.
CITYSCAPES = "cityscapes"
CITYSCAPES_COUNTS = {"train": 2975, "val": 500}
# As in its gtFine_color images, where all unlabelled areas are black and licence plates have the colour of cars.
CITYSCAPES_LABELS = LabelColours(
    (
        *("void", "dynamic", "ground", "road", "sidewalk", "parking"),
        *("rail track", "building", "wall", "fence", "guard rail", "bridge"),
        *("tunnel", "pole", "traffic light", "traffic sign", "vegetation", "terrain"),
        *("sky", "person", "rider", "car", "truck", "bus"),
        *("caravan", "trailer", "train", "motorcycle", "bicycle"),
    ),
    (
        *((0, 0, 0), (111, 74, 0), (81, 0, 81), (128, 64, 128), (244, 35, 232)),
        *((250, 170, 160), (230, 150, 140), (70, 70, 70), (102, 102, 156), (190, 153, 153)),
        *((180, 165, 180), (150, 100, 100), (150, 120, 90), (153, 153, 153), (250, 170, 30)),
        *((220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60)),
        *((255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100), (0, 0, 90)),
        *((0, 0, 110), (0, 80, 100), (0, 0, 230), (119, 11, 32)),
    ),
)


def names() -> list[str]:
    """Return the names that `pix2pix download` accepts."""
    return [*DATASETS, CITYSCAPES]


def split_counts(name: str) -> dict[str, int]:
    """Return the number of pairs in each split of the data set `name`."""
    return CITYSCAPES_COUNTS if name == CITYSCAPES else DATASETS[name].counts


def label_colours(name: str) -> LabelColours | None:
    """Return the classes and colours of the label maps of the data set `name`; None where it has none."""
    return CITYSCAPES_LABELS if name == CITYSCAPES else DATASETS[name].labels


def known_palettes() -> dict[str, tuple[Colour, ...]]:
    """Return the label colours of the published data sets, by a name for messages."""
    return {
        "the facades archive": FACADES_LABELS.archived,
        "CMP Facades and the drawn facades": FACADES_LABELS.palette,
        "Cityscapes": CITYSCAPES_LABELS.palette,
    }


def download_command(name: str, output: str | Path = "data") -> str:
    """Return the command that puts the data set into `<output>/<name>`, for messages."""
    where = "" if Path(output) == Path("data") else f" --output {shlex.quote(str(output))}"
    return f"pix2pix download {name}{where}"
