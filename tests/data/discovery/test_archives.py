"""Data sets in zip and tar archives: the same pairs as from the folder, and archives that are refused."""

import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from making import noise, save
from PIL import Image

from pix2pix.config import DataConfig
from pix2pix.data import PairedDataset
from pix2pix.data.fingerprint import cache_key
from pix2pix.data.images.files import read_image
from pix2pix.data.index import DatasetIndex
from pix2pix.errors import DataError


@pytest.fixture(autouse=True)
def pairs(tmp_path, monkeypatch) -> None:
    """set/train and set/val, each with folders a and b, of PNG and JPEG files."""
    monkeypatch.chdir(tmp_path)
    for index, name in enumerate(("train/{}/0.png", "train/{}/deep/1.png", "val/{}/2.jpg")):
        for side, seed in (("a", index), ("b", 10 + index)):
            save(Path("set", name.format(side)), noise(8, 12, seed))


def pack(target: str, folder: str = "set", top: str = "") -> str:
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    names = [str(Path(top, path.relative_to(folder))) for path in files]
    if target.endswith(".zip"):
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, name in zip(files, names, strict=True):
                archive.write(path, name)
    else:
        with tarfile.open(target, "w") as tar:
            for path, name in zip(files, names, strict=True):
                tar.add(path, name)
    return target


@pytest.mark.parametrize("name", ["set.zip", "set.tar", "SET.ZIP"])
@pytest.mark.parametrize("top", ["", "facades"])
def test_an_archive_is_read_like_its_folder(name, top):
    archive = pack(name.lower(), top=top)
    Path(archive).rename(name)
    for split in ("train", "val"):
        want, got = PairedDataset.from_folder("set", split), PairedDataset.from_folder(name, split)
        assert [got[i]["name"] for i in range(len(got))] == [want[i]["name"] for i in range(len(want))]
        for i in range(len(want)):
            assert torch.equal(got[i]["input"], want[i]["input"]) and torch.equal(got[i]["target"], want[i]["target"])
        assert got.fingerprint() == want.fingerprint() and got.layout == want.layout == "two-folders"
    assert got.files(0)[0] == str(Path(name, top, "val/a/2.jpg"))


@pytest.mark.parametrize("container", ["more.zip", "more.tar"])
def test_every_file_format_is_read_from_an_archive(container):
    import tifffile

    Path("more").mkdir()
    np.save("more/floats.npy", np.linspace(-3, 9, 60, dtype=np.float32).reshape(5, 12))
    tifffile.imwrite("more/deep.tif", np.arange(180, dtype=np.uint16).reshape(5, 12, 3), photometric="rgb")
    save(Path("more/palette.png"), Image.fromarray(noise(5, 12)).quantize(7))
    save(Path("more/lossy.jpg"), noise(5, 12))
    archive = Path(pack(container, "more"))
    for path in Path("more").iterdir():
        want, got = read_image(path), read_image(archive / path.name)
        assert got.pixels.dtype == want.pixels.dtype and np.array_equal(got.colours(), want.colours())


def test_worker_processes_open_the_archive_themselves():
    data = PairedDataset.from_folder(pack("set.zip"), load_size=8)
    data._cache = None  # so that the workers read the archive
    want = [data[i]["input"] for i in range(2)]
    loader = torch.utils.data.DataLoader(data, num_workers=2)
    assert all(torch.equal(item["input"][0], want[i]) for i, item in enumerate(loader))


def test_the_cache_key_changes_with_the_archive():
    pack("set.zip")
    pairs = DatasetIndex.scan(DataConfig(root="set.zip")).pairs("train", (8, 12))
    before = cache_key(pairs, "recipe")
    assert cache_key(pairs, "recipe") == before
    save(Path("set/train/a/0.png"), noise(8, 12, 99))
    pack("set.zip")
    assert cache_key(pairs, "recipe") != before
    assert np.array_equal(read_image("set.zip/train/a/0.png").pixels, noise(8, 12, 99))


def _tar_of(kind: bytes, name: str = "train/a/1.png") -> None:
    with tarfile.open("bad.tar", "w") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "elsewhere.png"
        tar.addfile(info)


def _zip_of(name: str, mode: int = 0o100644, times: int = 1) -> None:
    with zipfile.ZipFile("bad.zip", "w") as archive:
        for _ in range(times):
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, b"x")


def _encrypted_zip() -> None:
    _zip_of("1.png")
    data = bytearray(Path("bad.zip").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    Path("bad.zip").write_bytes(data)


def _cut(name: str) -> None:
    data = Path(pack(name)).read_bytes()
    Path(f"bad{Path(name).suffix}").write_bytes(data[: len(data) // 2])


def _damaged_header() -> None:
    data = bytearray(Path(pack("set.tar")).read_bytes())
    with tarfile.open("set.tar") as tar:
        header = tar.getmembers()[2].offset
    data[header + 5] ^= 0xFF
    Path("bad.tar").write_bytes(data)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("make", "root"),
    [
        (lambda: _tar_of(tarfile.SYMTYPE), "bad.tar"),
        (lambda: _tar_of(tarfile.LNKTYPE), "bad.tar"),
        (lambda: _tar_of(tarfile.FIFOTYPE), "bad.tar"),
        (lambda: _tar_of(tarfile.REGTYPE, "../../1.png"), "bad.tar"),
        (lambda: _zip_of("/etc/1.png"), "bad.zip"),
        (lambda: _zip_of("a/../../1.png"), "bad.zip"),
        (lambda: _zip_of("..\\1.png"), "bad.zip"),
        (lambda: _zip_of("C:/1.png"), "bad.zip"),
        (lambda: _zip_of("1.png", 0o120777), "bad.zip"),
        (lambda: _zip_of("1.png", times=2), "bad.zip"),
        (_encrypted_zip, "bad.zip"),
        (lambda: _cut("set.zip"), "bad.zip"),
        (lambda: _cut("set.tar"), "bad.tar"),
        (_damaged_header, "bad.tar"),
        (lambda: Path("bad.zip").write_bytes(b""), "bad.zip"),
        (lambda: Path("bad.tar").write_bytes(b""), "bad.tar"),
        (lambda: Path("bad.tar.gz").write_bytes(b"\x1f\x8b"), "bad.tar.gz"),
    ],
)  # fmt: skip
def test_an_unsafe_or_damaged_archive_is_refused(make, root):
    make()
    with pytest.raises(DataError) as caught:
        DatasetIndex.scan(DataConfig(root=root)).pairs("train", (8, 12))
    error = caught.value
    assert (str(error.path), error.code, error.exit_code) == (root, "archive", 3) and error.remedy
    assert "\n" not in str(error)


def test_a_member_that_claims_a_huge_size_is_refused():
    _zip_of("train/a/1.png")
    data = bytearray(Path("bad.zip").read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (3 << 30).to_bytes(4, "little")
    Path("bad.zip").write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_image("bad.zip/train/a/1.png")
    assert str(caught.value.path) == "bad.zip/train/a/1.png" and f"{3 << 30:,}" in caught.value.reason


def test_a_damaged_member_is_named():
    pack("set.zip")
    data = bytearray(Path("set.zip").read_bytes())
    with zipfile.ZipFile("set.zip") as archive:
        info = archive.getinfo("train/b/0.png")
    data[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 0xFF
    Path("set.zip").write_bytes(data)
    with pytest.raises(DataError) as caught:
        PairedDataset.from_folder("set.zip", load_size=8).prepare()
    assert str(caught.value.path) == "set.zip/train/b/0.png"
    with pytest.raises(DataError) as caught:
        read_image("set.zip/train/b/9.png")
    assert caught.value.reason == "no such file"
