"""The published data sets of pairs: where each lies and what it holds. Light, so that `pix2pix --help` can name them.

The archives are those of P. Isola et al., CVPR 2017. Counts as several people found them who unpacked these archives;
sizes as the server's own listing has them, or exact where a download's log tells; md5 sums as seen in the wild.
"""

import shlex
from collections import namedtuple
from pathlib import Path

_SLACK = 20  # archive, unpacked bytes and members may be this many times what is expected, for mirrors that repack
_MOST = 64 << 30  # bytes, whatever the slack says: edges2handbags as raw pixels take 55 GB, and nothing here takes more


class Dataset(namedtuple("Dataset", ("url", "listed", "bytes", "md5", "counts"))):
    """A .tar.gz with one folder of the data set's name, in it a folder of side-by-side pairs for each split.

    `listed`: bytes of the archive, to the two or three digits of the server's listing; `bytes`: the exact number, or
    None where it is not known. `md5`: a mismatch is refused; where --url chose the address it only warns, since then
    what decides is that every pair is there and decodes. `counts`: pairs by split. (A dataclass would double the time
    of `--help`.)
    """

    @property
    def expected_bytes(self) -> int:
        """Bytes of the archive, and nearly of what it unpacks to, since JPEG does not shrink any further."""
        return self.bytes or self.listed

    @property
    def most_bytes(self) -> int:
        return min(_SLACK * self.expected_bytes, _MOST)

    @property
    def most_files(self) -> int:
        return _SLACK * sum(self.counts.values())


_SERVER = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets"
DATASETS = {
    # R. Tylecek, R. Sara, "Spatial Pattern Templates for Recognition of Objects with Regular Structure", GCPR 2013.
    "facades": Dataset(
        url=f"{_SERVER}/facades.tar.gz",
        listed=29 << 20,
        bytes=30_168_306,
        md5="e2e25dd517e9d15828416ab329da2854",
        counts={"train": 400, "val": 100, "test": 106},
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

# M. Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016. Its licence wants every
# user registered, so there is nothing to fetch; the pictures of its test split come without labels.
CITYSCAPES = "cityscapes"
CITYSCAPES_COUNTS = {"train": 2975, "val": 500}


def names() -> list[str]:
    """What `pix2pix download` takes."""
    return [*DATASETS, CITYSCAPES]


def split_counts(name: str) -> dict[str, int]:
    """Split: pairs, of a data set in `names()`."""
    return CITYSCAPES_COUNTS if name == CITYSCAPES else DATASETS[name].counts


def download_command(name: str, output: str | Path = "data") -> str:
    """What a person types to get the data set into `<output>/<name>`; for the messages of other modules."""
    where = "" if Path(output) == Path("data") else f" --output {shlex.quote(str(output))}"
    return f"pix2pix download {name}{where}"
