"""Whether two pictures are the same, or nearly: exact digests, perceptual hashes, and thumbnails as a second look."""

import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pix2pix.check.registration import SIDE

_KEPT = 8  # low frequencies each way
_THUMB = 16
_BITS = _KEPT * _KEPT
_HASH_DISTANCE = 10  # of 64 bits: JPEG, a resize or a change of brightness turns at most as many
_SAME, _PARTNER = 0.975, 0.85  # correlations of thumbnails; of 606 facades no two are above 0.96
_BLOCK = 2048  # pictures compared at once

_frequencies, _places = np.mgrid[0:_KEPT, 0:SIDE]
_DCT = np.cos(np.pi * (2 * _places + 1) * _frequencies / (2 * SIDE)).astype(np.float32)  # [8, SIDE], DCT-II
_MEANS = np.kron(np.eye(_THUMB), np.full(SIDE // _THUMB, _THUMB / SIDE)).astype(np.float32)  # [16, SIDE]


class Likeness(NamedTuple):
    """What is kept of a picture to compare it with others, in a few hundred bytes. Equal ones are of equal pictures."""

    digest: int
    hash: bytes  # 8: 64 bits
    thumb: bytes  # 16 x 16 grey


def digest(pixels: np.ndarray) -> int:
    """A checksum of a picture, contiguous [H, W, C]; with hash and thumbnail enough to tell it from all others."""
    return zlib.crc32(pixels, zlib.crc32(repr(pixels.shape).encode()))


def hashes(greys: np.ndarray) -> list[bytes]:
    """64 bits of each of several reduced grey copies, float32 [n, SIDE, SIDE]: near where pictures are alike.

    pHash's: the signs of the lowest frequencies of a small grey copy against their median (C. Zauner, Implementation
    and Benchmarking of Perceptual Image Hash Functions, 2010, section 3.2.1).
    """
    waves = (_DCT @ greys @ _DCT.T).reshape(len(greys), _BITS)
    bits = np.packbits(waves > np.median(waves[:, 1:], axis=1, keepdims=True), axis=1)
    return [one.tobytes() for one in bits]


def thumbs(greys: np.ndarray) -> list[bytes]:
    """Thumbnails, 16 x 16, of reduced grey copies, float32 [n, SIDE, SIDE] in 0..255."""
    return [one.tobytes() for one in (_MEANS @ greys @ _MEANS.T).round().astype(np.uint8)]


def _signs(hashes: Sequence[bytes]) -> np.ndarray:
    """float32 [n, 64], -1 and 1: a product of two rows is 64 less twice the bits in which they differ."""
    bits = np.unpackbits(np.frombuffer(b"".join(hashes), np.uint8)).reshape(-1, _BITS)
    return 2 * bits.astype(np.float32) - 1


def _units(thumbs: Sequence[bytes]) -> np.ndarray:
    """float32 [n, 256] around 0 and of length 1, so that a product is a correlation; a flat thumb is 0."""
    grey = np.frombuffer(b"".join(thumbs), np.uint8).reshape(-1, _THUMB * _THUMB).astype(np.float32)
    grey -= grey.mean(1, keepdims=True)
    return grey / np.maximum(np.linalg.norm(grey, axis=1, keepdims=True), 1e-6)


def near_duplicates(
    these: Sequence[tuple[Likeness, Likeness]], those: Sequence[tuple[Likeness, Likeness]]
) -> Iterator[tuple[int, int]]:
    """(i, j) where pair `these[i]` nearly equals pair `those[j]`: at most one j an i.

    A pair is the picture to look for, the one more like a photograph, and its partner. The first must have a near hash
    and the same thumbnail, and the partners must not contradict that.
    """
    for start in range(0, len(these), _BLOCK):
        some, found = these[start : start + _BLOCK], set()
        for other in range(0, len(those), _BLOCK):
            near = _near(some, those[other : other + _BLOCK])
            for i in np.flatnonzero(near.any(1)).tolist():
                if i not in found:
                    found.add(i)
                    yield start + i, other + int(near[i].argmax())


def _near(some: Sequence[tuple[Likeness, Likeness]], others: Sequence[tuple[Likeness, Likeness]]) -> np.ndarray:
    """Which nearly equal which: bool [n, m]."""
    signs = [_signs([first.hash for first, _ in group]) for group in (some, others)]
    near = signs[0] @ signs[1].T >= _BITS - 2 * _HASH_DISTANCE
    for side, least in ((0, _SAME), (1, _PARTNER)):
        if near.any():
            units = [_units([pair[side].thumb for pair in group]) for group in (some, others)]
            flat = [~group.any(1) for group in units]
            # A flat partner, such as an empty mask, only equals another flat one; a flat picture is not looked for.
            both_flat = flat[0][:, None] & flat[1] if side else False
            near &= (units[0] @ units[1].T >= least) | both_flat
    return near
