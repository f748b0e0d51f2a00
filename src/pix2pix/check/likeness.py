"""Find equal and nearly equal images: exact checksums, perceptual hashes, and thumbnails to confirm them."""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pix2pix.check.registration import SIDE

_FREQUENCIES = 8  # the lowest of each axis
_THUMBNAIL = 16  # pixels a side
_BITS = _FREQUENCIES * _FREQUENCIES
_HASH_DISTANCE = 10  # of 64 bits: the most that JPEG, resizing or a change of brightness flips
_SAME, _PARTNER = 0.975, 0.85  # correlations of thumbnails; no two of the 606 facades exceed 0.96
_BLOCK = 2048  # images compared at once

_frequencies, _places = np.mgrid[0:_FREQUENCIES, 0:SIDE]
_DCT = np.cos(np.pi * (2 * _places + 1) * _frequencies / (2 * SIDE)).astype(np.float32)  # [8, SIDE], DCT-II
_MEANS = np.kron(np.eye(_THUMBNAIL), np.full(SIDE // _THUMBNAIL, _THUMBNAIL / SIDE)).astype(np.float32)  # [16, SIDE]


Pixels = NDArray[Any]


class Likeness(NamedTuple):
    """A signature of an image, a few hundred bytes long. Equal signatures mean equal images."""

    checksum: int
    hash: bytes  # 8 bytes: 64 bits
    thumbnail: bytes  # 16 x 16, grey


def checksum(pixels: Pixels) -> int:
    """Return the CRC-32 of the shape and the pixels of an image, contiguous [H, W, C].

    Different images with the same CRC-32 are told apart by their hashes and thumbnails.
    """
    return zlib.crc32(pixels.data, zlib.crc32(repr(pixels.shape).encode()))


def hashes(greys: Pixels) -> list[bytes]:
    """Return 64 bits for each of several grey copies, float32 [n, SIDE, SIDE]; similar images differ in few bits.

    This is pHash: whether each of the lowest frequencies exceeds their median (C. Zauner, Implementation and
    Benchmarking of Perceptual Image Hash Functions, 2010, section 3.2.1), computed for many images in one product.
    """
    waves = (_DCT @ greys @ _DCT.T).reshape(len(greys), _BITS)
    bits = np.packbits(waves > np.median(waves[:, 1:], axis=1, keepdims=True), axis=1)
    return [row.tobytes() for row in bits]


def thumbnails(greys: Pixels) -> list[bytes]:
    """Return thumbnails, 16 x 16, of reduced grey copies, float32 [n, SIDE, SIDE] in 0..255."""
    return [row.tobytes() for row in (_MEANS @ greys @ _MEANS.T).round().astype(np.uint8)]


def _signs(hashes: Sequence[bytes]) -> Pixels:
    """Return float32 [n, 64] of -1 and 1: the product of two rows is 64 less twice the number of bits that differ."""
    bits = np.unpackbits(np.frombuffer(b"".join(hashes), np.uint8)).reshape(-1, _BITS)
    return 2 * bits.astype(np.float32) - 1


def _units(thumbnails: Sequence[bytes]) -> Pixels:
    """Return float32 [n, 256] with mean 0 and length 1, so that a product is a correlation; 0 for a flat thumbnail."""
    grey = np.frombuffer(b"".join(thumbnails), np.uint8).reshape(-1, _THUMBNAIL * _THUMBNAIL).astype(np.float32)
    grey -= grey.mean(1, keepdims=True)
    units: Pixels = grey / np.maximum(np.linalg.norm(grey, axis=1, keepdims=True), 1e-6)
    return units


def near_duplicates(
    pairs: Sequence[tuple[Likeness, Likeness]], others: Sequence[tuple[Likeness, Likeness]]
) -> Iterator[tuple[int, int]]:
    """Yield (i, j) where `pairs[i]` nearly equals `others[j]`, with at most one j for each i.

    Each pair is given as (first image, partner), the first being the one that is more like a photograph. The first
    images must have similar hashes and the same thumbnail, and the partners must be similar too.
    """
    for start in range(0, len(pairs), _BLOCK):
        block, matched = pairs[start : start + _BLOCK], set()
        for other in range(0, len(others), _BLOCK):
            near: Pixels = _near(block, others[other : other + _BLOCK])
            for i in np.flatnonzero(near.any(1)).tolist():
                if i not in matched:
                    matched.add(i)
                    yield start + i, other + int(near[i].argmax())


def _near(pairs: Sequence[tuple[Likeness, Likeness]], others: Sequence[tuple[Likeness, Likeness]]) -> Pixels:
    """Return which pairs nearly equal which: bool [n, m]."""
    signs = [_signs([first.hash for first, _ in group]) for group in (pairs, others)]
    near: Pixels = signs[0] @ signs[1].T >= _BITS - 2 * _HASH_DISTANCE
    for side, least in ((0, _SAME), (1, _PARTNER)):
        if near.any():
            units = [_units([pair[side].thumbnail for pair in group]) for group in (pairs, others)]
            similar: Pixels = units[0] @ units[1].T >= least
            if side == 1:  # a flat partner, such as an empty mask, equals only another flat one
                flat = [np.equal(group, 0).all(axis=1, keepdims=True) for group in units]
                similar |= flat[0] & flat[1].T
            near &= similar
    return near
