"""Small images and data sets for the tests, some of them written byte by byte where Pillow cannot write them."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from pix2pix.config import AugmentConfig

SHARED = Path(__file__).parents[2] / "shared"  # real data that only the developers' machines have
ORIENTATION, DESCRIPTION = 0x0112, 0x010E  # EXIF tags
TURNS = {  # EXIF 2.32, 4.6.4 A: what a reader must do to the stored pixels [H, W, 3]
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: np.rot90(p),
}

# Every augmentation at once.
EVERYTHING = AugmentConfig(
    flip_vertical=True,
    quarter_turns=True,
    rotation=20.0,
    scale=(0.8, 1.3),
    brightness=0.3,
    contrast=0.4,
    saturation=0.5,
    hue=0.2,
)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return uniform noise, uint8 [H, W, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    """Return a gradient, uint8 [H, W, 3], which JPEG hardly changes."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([60 + 3 * rows, 200 - 2 * columns, 90 + rows + columns], -1).astype(np.uint8)


def coordinates(height: int, width: int, index: int, offset: int = 0) -> np.ndarray:
    """Return pixels of (row + `offset`, column + `offset`, `index`): uint8 [H, W, 3]."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows + offset, columns + offset, np.full_like(rows, index)], -1).astype(np.uint8)


def save(
    path: Path, image: np.ndarray | Image.Image, orientation: int | None = None, description: str = "", **options
) -> Path:
    """Write an image file with Pillow, making its folder; `orientation` and `description` are EXIF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if orientation is not None:
        options["exif"] = Image.Exif()
        options["exif"][ORIENTATION] = orientation
        if description:
            options["exif"][DESCRIPTION] = description
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


def save_halves(path: Path, a: np.ndarray, b: np.ndarray, **options) -> Path:
    return save(path, np.concatenate([a, b], 1), **options)


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a PNG chunk: its length, name, data and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def exif_chunk(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))


def png(path: Path, samples: np.ndarray, before: bytes = b"", behind: bytes = b"") -> Path:
    """Write a PNG of uint8 or uint16 samples, [H, W] or [H, W, C]; Pillow writes no 16-bit colour.

    `before` and `behind` are chunks on either side of the pixels.
    """
    height, width = samples.shape[:2]
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[samples.shape[2] if samples.ndim == 3 else 1]
    header = struct.pack(">IIBBBBB", width, height, 8 * samples.itemsize, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for row in samples)
    pixels = before + chunk(b"IDAT", zlib.compress(rows)) + behind
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b""))
    return path


def shallow_png(path: Path, values: np.ndarray, depth: int, transparent: int | None = None) -> Path:
    """Write a grey PNG of 1, 2, 4 or 8 bits."""
    height, width = values.shape
    bits = np.unpackbits(values[..., None], axis=2)[..., -depth:].reshape(height, -1)
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in bits)
    key = b"" if transparent is None else chunk(b"tRNS", struct.pack(">H", transparent))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
    end = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + key + end)
    return path


def tiff(path: Path, samples: np.ndarray, **others: int) -> Path:
    """Write an uncompressed TIFF [H, W, C] of the samples' own type; the meaning of a fourth channel is unspecified.

    `others` replace or add tags, such as t274=6, an orientation.
    """
    samples = samples.astype(samples.dtype.newbyteorder("<"))
    height, width, channels = samples.shape
    bits, fmt = 8 * samples.itemsize, {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    tags = {
        256: [width],
        257: [height],
        258: [bits] * channels,
        259: [1],  # no compression
        262: [2 if channels > 2 else 1],  # RGB, or black is zero
        273: [0],  # where the pixels begin: filled in below
        277: [channels],
        278: [height],
        279: [samples.nbytes],
        **({338: [0]} if channels == 4 else {}),
        339: [fmt] * channels,
        **{int(tag[1:]): [value] for tag, value in others.items()},
    }
    tags = dict(sorted(tags.items()))
    long_values = 8 + 2 + 12 * len(tags) + 4
    tags[273] = [long_values + sum(2 * len(v) for v in tags.values() if len(v) > 2)]
    entries, extra = b"", b""
    for tag, values in tags.items():  # type 3 is SHORT
        packed = struct.pack(f"<{len(values)}H", *values)
        if len(packed) > 4:
            packed, extra = struct.pack("<I", long_values + len(extra)), extra + packed
        entries += struct.pack("<HHI", tag, 3, len(values)) + packed.ljust(4, b"\0")
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + directory + extra + samples.tobytes())
    return path
