"""Malformed image files of many kinds: cut off, damaged, mislabelled, inconsistent or hostile.

Each must be refused. What decoders repair or cannot notice is not here: a JPEG whose scan has a flipped bit
or ends early but properly (the format has no checksums), a PNG without its last chunk, an animation broken behind its
first frame.
"""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from making import chunk, png, tiff
from PIL import Image

Random = np.random.Generator
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _pixels(random: Random, dtype: str = "uint8") -> np.ndarray:
    """Return noise, [H, W, 3], of 24 to 48 pixels a side."""
    height, width = random.integers(24, 49, 2)
    return random.integers(0, 256, (height, width, 3)).astype(dtype) * (257 if dtype == "uint16" else 1)


def _file(random: Random, kind: str, **options) -> bytes:
    """Return a valid file, written by Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(_pixels(random)).save(buffer, kind, **options)
    return buffer.getvalue()


def _npy(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def _npy_header(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def _made(write: Callable[[Path, np.ndarray], Path], random: Random, folder: Path, dtype: str = "uint16") -> bytes:
    """Return a valid file, written by `making`."""
    path = write(folder / "whole", _pixels(random, dtype))
    data = path.read_bytes()
    path.unlink()
    return data


def _cut(data: bytes, random: Random, keep: int = 0) -> bytes:
    """Cut a file off, so that pixels are missing: its last `keep` bytes hold none."""
    return data[: random.integers(1, len(data) - keep)]


def _changed(data: bytes, at: int, new: bytes) -> bytes:
    assert data[at : at + len(new)] != new
    return data[:at] + new + data[at + len(new) :]


def _flipped(data: bytes, random: Random) -> bytes:
    """Flip one bit of the pixels."""
    at = random.integers(data.index(b"IDAT") + 4, len(data) - 20)
    return _changed(data, at, bytes([data[at] ^ 1 << random.integers(8)]))


def _wrong_checksum(data: bytes) -> bytes:
    return _changed(data, len(data) - 16, b"\1\2\3\4")  # IEND is 12 bytes


def _png(
    random: Random, width=None, height=None, depth=8, colour=2, pixels=None, before=b"", rest=None, interlaced=0
) -> bytes:
    """Return a PNG whose header contradicts its pixels."""
    samples = _pixels(random)
    size = (samples.shape[1] if width is None else width, samples.shape[0] if height is None else height)
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlaced)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in samples)) if pixels is None else pixels
    end = chunk(b"IDAT", rows) + chunk(b"IEND", b"") if rest is None else rest
    return SIGNATURE + chunk(b"IHDR", header) + before + end


def _marker(data: bytes, marker: int) -> int:
    """Return the offset of a segment of a JPEG."""
    at = 2
    while data[at + 1] != marker:
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return at


def _entry(data: bytes, tag: int) -> int:
    """Return the offset of a tag's entry in a little-endian TIFF."""
    at = struct.unpack_from("<I", data, 4)[0] + 2
    while struct.unpack_from("<H", data, at)[0] != tag:
        at += 12
    return at


def _without_scan(random: Random) -> bytes:
    data = _file(random, "JPEG")
    return data[: _marker(data, 0xDA)] + b"\xff\xd9"


def _bad_huffman(random: Random) -> bytes:
    data = _file(random, "JPEG")
    return _changed(data, _marker(data, 0xC4) + 5, bytes([255] * 16))  # more codes of each length than there can be


def _text_bomb(random: Random) -> bytes:
    text = zlib.compress(b"\0" * (64 << 20), 9)
    return _png(random, before=chunk(b"zTXt", b"Comment\0\0" + text))


def _missing_strip(random: Random, folder: Path) -> bytes:
    """Return a TIFF whose image is twice as high as its one strip; decoders leave the rest black."""
    data = _made(tiff, random, folder, "uint8")
    height = struct.unpack_from("<H", data, _entry(data, 257) + 8)[0]
    return _changed(data, _entry(data, 257) + 8, struct.pack("<H", 2 * height))


def _corrupt_tiff(random: Random) -> bytes:
    data = _file(random, "TIFF", compression="tiff_adobe_deflate")
    start = struct.unpack_from("<I", data, _entry(data, 273) + 8)[0]
    return _changed(data, start + 2, random.bytes(200))


def _tiff(random: Random, tag: int, value: int, folder: Path) -> bytes:
    data = _made(tiff, random, folder)
    at = _entry(data, tag)
    return data[: at + 2] + struct.pack("<HII", 4, 1, value) + data[at + 12 :]  # one LONG


def _gif_of(random: Random, width: int, height: int) -> bytes:
    data = _file(random, "GIF")
    at = data.index(b"\x2c", 13 + 768)  # the image behind the palette
    return data[:6] + struct.pack("<HH", width, height) + data[10 : at + 5] + struct.pack("<HH", width, height) + b"\0"


def _bmp(random: Random, at: int, new: bytes) -> bytes:
    return _changed(_file(random, "BMP"), at, new)


# Kind of damage: the file's suffix, and its bytes from a random generator and a folder to work in.
KINDS: dict[str, tuple[str, Callable[[Random, Path], bytes]]] = {
    "png cut off": (".png", lambda random, _: _cut(_file(random, "PNG"), random, 24)),
    "16-bit png cut off": (".png", lambda random, folder: _cut(_made(png, random, folder), random, 24)),
    "jpeg cut off": (".jpg", lambda random, _: _cut(_file(random, "JPEG"), random)),
    "progressive jpeg cut off": (".jpeg", lambda random, _: _cut(_file(random, "JPEG", progressive=True), random)),
    "webp cut off": (".webp", lambda random, _: _cut(_file(random, "WEBP"), random)),
    "gif cut off": (".gif", lambda random, _: _cut(_file(random, "GIF"), random, 4)),
    "bmp cut off": (".bmp", lambda random, _: _cut(_file(random, "BMP"), random)),
    "pcx cut off": (".pcx", lambda random, _: _cut(_file(random, "PCX"), random)),
    "ico cut off": (".ico", lambda random, _: _cut(_file(random, "ICO", sizes=[(24, 24)]), random, 24)),
    "tiff cut off": (".tif", lambda random, _: _cut(_file(random, "TIFF"), random)),
    "16-bit tiff cut off": (".tif", lambda random, folder: _cut(_made(tiff, random, folder), random)),
    "compressed tiff cut off": (".tiff", lambda random, _: _cut(_file(random, "TIFF", compression="tiff_lzw"), random)),
    "npy cut off": (".npy", lambda random, _: _cut(_npy(_pixels(random)), random)),
    "empty": (".png", lambda random, _: b""),
    "text": (".png", lambda random, _: b"not an image\n" * 99),
    "html": (".jpg", lambda random, _: b"<!DOCTYPE html><html><body>404 not found</body></html>\n"),
    "svg": (".png", lambda random, _: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
    "postscript": (".png", lambda random, _: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"),
    "random bytes": (".webp", lambda random, _: random.bytes(999)),
    "wrong magic": (".png", lambda random, _: _changed(_file(random, "PNG"), 1, b"XYZ")),
    "wrong magic of npy": (".npy", lambda random, _: _file(random, "PNG")),
    "transferred as text": (".png", lambda random, _: _file(random, "PNG").replace(b"\r\n", b"\n")),
    "png of no width": (".png", lambda random, _: _png(random, width=0)),
    "png of no height": (".png", lambda random, _: _png(random, height=0)),
    "png bomb": (".png", lambda random, _: _png(random, width=200_000, height=200_000)),
    "16-bit png bomb": (".png", lambda random, _: _png(random, width=99_999, height=99_999, depth=16)),
    "png higher than its pixels": (".png", lambda random, _: _png(random, height=99)),
    "interlaced png higher than its pixels": (".png", lambda random, _: _png(random, height=99, interlaced=1)),
    "16-bit png higher than its pixels": (".png", lambda random, _: _png(random, height=99, depth=16)),
    "png of impossible depth": (".png", lambda random, _: _png(random, depth=3)),
    "png of impossible colour": (".png", lambda random, _: _png(random, colour=5)),
    "png with a wrong header checksum": (".png", lambda random, _: _changed(_file(random, "PNG"), 29, b"\1\2\3\4")),
    "png with a wrong pixel checksum": (".png", lambda random, _: _wrong_checksum(_file(random, "PNG"))),
    "png of garbage": (".png", lambda random, _: _png(random, pixels=random.bytes(999))),
    "png with a flipped bit": (".png", lambda random, _: _flipped(_file(random, "PNG"), random)),
    "png without pixels": (".png", lambda random, _: _png(random, rest=chunk(b"IEND", b""))),
    "png text bomb": (".png", lambda random, _: _text_bomb(random)),
    "jpeg without a scan": (".jpg", lambda random, _: _without_scan(random)),
    "jpeg with a damaged Huffman table": (".jpg", lambda random, _: _bad_huffman(random)),
    "jpeg of nothing": (".jpg", lambda random, _: b"\xff\xd8\xff\xd9"),
    "tiff with a wild offset": (".tif", lambda random, folder: _changed(_made(tiff, random, folder), 4, b"\xee" * 4)),
    "tiff with a missing strip": (".tif", lambda random, folder: _missing_strip(random, folder)),
    "tiff with pixels past its end": (".tif", lambda random, folder: _tiff(random, 273, 1 << 30, folder)),
    "tiff of no width": (".tif", lambda random, folder: _tiff(random, 256, 0, folder)),
    "tiff bomb": (".tif", lambda random, folder: _tiff(random, 257, 1 << 30, folder)),
    "tiff of unknown compression": (".tif", lambda random, folder: _tiff(random, 259, 4711, folder)),
    "tiff of garbage": (".tif", lambda random, _: _corrupt_tiff(random)),
    "bmp of 7 bits": (".bmp", lambda random, _: _bmp(random, 28, struct.pack("<H", 7))),
    "bmp bomb": (".bmp", lambda random, _: _bmp(random, 18, struct.pack("<II", 99_999, 99_999))),
    "bmp of no width": (".bmp", lambda random, _: _bmp(random, 18, struct.pack("<I", 0))),
    "gif of no width": (".gif", lambda random, _: _gif_of(random, 0, 30)),
    "gif bomb": (".gif", lambda random, _: _gif_of(random, 65_535, 65_535)),
    "gif without frames": (".gif", lambda random, _: _file(random, "GIF")[: 13 + 768] + b";"),
    "npy with a short payload": (".npy", lambda random, _: _npy_header((40, 40, 3)) + random.bytes(99)),
    "npy bomb": (".npy", lambda random, _: _npy_header((10**6, 10**6, 3))),
    "npy of a negative shape": (".npy", lambda random, _: _npy_header((-4, 5)) + bytes(99)),
    "npy of objects": (".npy", lambda random, _: _npy(np.array([[{}, 1], [2, 3]], object), allow_pickle=True)),
    "npy of text": (".npy", lambda random, _: _npy(np.full((9, 9), "text"))),
    "npy of 4 dimensions": (".npy", lambda random, _: _npy(np.zeros((1, 9, 9, 3), np.uint8))),
    "npy with its channels first": (".npy", lambda random, _: _npy(np.zeros((3, 30, 40), np.uint8))),
    "npy with a damaged header": (".npy", lambda random, _: _changed(_npy(_pixels(random)), 12, b"\0(['\"")),
}
NO_FILES: dict[str, Callable[[Path], None]] = {
    "folder": lambda path: path.mkdir(),
    "dangling link": lambda path: path.symlink_to(path.with_name("nowhere.png")),
    "link to itself": lambda path: path.symlink_to(path),
}


def make_malformed(folder: Path, count: int = 300, seed: int = 0) -> list[tuple[Path, str]]:
    """Make `count` malformed files in `folder`, each kind in turn; return each path with its kind of damage."""
    random, made = np.random.default_rng(seed), []
    kinds = [*KINDS, *NO_FILES]
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        kind = kinds[index % len(kinds)]
        suffix, make = KINDS.get(kind, (".png", None))
        path = folder / f"{index:03}_{kind.replace(' ', '_')}{suffix}"
        if make is None:
            NO_FILES[kind](path)
        else:
            path.write_bytes(make(random, folder))
        made.append((path, kind))
    return made
