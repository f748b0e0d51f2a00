"""What is known of the published data sets, and who speaks of them."""

import re
from pathlib import Path

import pytest
from commands import pix2pix

from pix2pix.config import DataConfig, load_config, shipped_configs
from pix2pix.data.index import DatasetIndex
from pix2pix.datasets.catalogue import DATASETS, download_command, names, split_counts
from pix2pix.errors import DataError

NAMES = ["facades", "maps", "edges2shoes", "edges2handbags", "night2day", "cityscapes"]


@pytest.mark.parametrize(
    ("name", "bytes", "listed", "md5", "counts"),
    [
        ("facades", 30_168_306, "29M", "e2e25dd517e9d15828416ab329da2854", {"train": 400, "val": 100, "test": 106}),
        ("maps", 250_242_400, "239M", "e5f65d26eb288457f5ac056deb94d154", {"train": 1096, "val": 1098}),
        ("edges2shoes", None, "2.0G", "71da478b54fedde126e234a2a050bc15", {"train": 49825, "val": 200}),
        ("edges2handbags", None, "8.0G", "815592f22fa7f7534a286a25bb73bf03", {"train": 138567, "val": 200}),
        ("night2day", None, "1.9G", "fd21b1d447a1f927fed41aabedd85baa", {"train": 17823, "val": 10, "test": 2287}),
    ],
)
def test_registered_as_published(name, bytes, listed, md5, counts):
    dataset = DATASETS[name]
    assert dataset.url == f"http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/{name}.tar.gz"
    assert (dataset.bytes, dataset.md5, dataset.counts, split_counts(name)) == (bytes, md5, counts, counts)
    unit = {"M": 1 << 20, "G": 1 << 30}[listed[-1]]
    assert dataset.listed == pytest.approx(float(listed[:-1]) * unit, rel=0.08)
    if bytes is not None:
        assert dataset.listed == pytest.approx(bytes, rel=0.02)
    # JPEG does not shrink: what is unpacked is as large as the archive, and the padding of tar, which the caps must fit
    unpacked = dataset.expected_bytes + 1536 * sum(counts.values())
    assert 1.5 * unpacked < dataset.most_bytes <= 64 << 30 and dataset.most_files > 2 * sum(counts.values())


def test_names_and_commands():
    assert names() == NAMES
    assert split_counts("cityscapes") == {"train": 2975, "val": 500}
    assert download_command("maps") == "pix2pix download maps"
    assert download_command("maps", Path("data")) == "pix2pix download maps"
    assert download_command("maps", "my data") == "pix2pix download maps --output 'my data'"


def test_the_help_names_every_data_set():
    result = pix2pix("download", "--help")
    assert result.code == 0
    assert ", ".join(NAMES) in re.sub(r"\s+", " ", result.out)


@pytest.mark.parametrize("name", [name for name in shipped_configs() if name not in ("demo", "own")])
def test_a_shipped_config_says_which_command_fetches_its_data(name):
    dataset = Path(load_config(name).data.root).name
    assert dataset in NAMES
    head = shipped_configs()[name].read_text(encoding="utf-8").split("\ndata:")[0]
    assert f"`{download_command(dataset)}`" in head


@pytest.mark.parametrize(
    ("root", "command"),
    [
        (None, "get the facades with: pix2pix download facades"),
        ("data/other", "get the facades with: pix2pix download facades"),
        ("data/facades", "get the facades with: pix2pix download facades"),
        ("data/maps", "get maps with: pix2pix download maps"),
        ("data/cityscapes/", "get cityscapes with: pix2pix download cityscapes"),
        ("far/night2day", "get night2day with: pix2pix download night2day --output far"),
        ("edges2shoes", "get edges2shoes with: pix2pix download edges2shoes --output ."),
    ],
)
def test_a_missing_root_names_the_command_that_fills_it(root, command):
    with pytest.raises(DataError) as caught:
        DatasetIndex.scan(DataConfig(root=root))
    assert str(caught.value).endswith(f", or {command}")
