"""Checksums, hashes and thumbnails."""

import numpy as np
from planting import clean, grey_copies

from pix2pix.check.likeness import Likeness, checksum, hashes, near_duplicates, thumbnails
from pix2pix.check.registration import SIDE


def test_likeness_is_of_the_pixels_and_the_size():
    pixels = clean("drawn")[0][1]
    other = pixels.copy()
    other[50, 50, 2] ^= 1
    digests = {checksum(some) for some in (pixels, other, pixels.reshape(64, 256, 3), pixels.copy())}
    assert len(digests) == 3


def test_near_duplicates_need_a_partner_that_agrees():
    greys = grey_copies(*(side for pair in clean("drawn")[:6] for side in pair))
    likeness = [Likeness(index, *some) for index, some in enumerate(zip(hashes(greys), thumbnails(greys), strict=True))]
    some = [(likeness[2 * i + 1], likeness[2 * i]) for i in range(6)]
    assert list(near_duplicates(some, some)) == [(i, i) for i in range(6)]
    assert list(near_duplicates(some[:3], some[3:])) == []
    assert list(near_duplicates([(some[0][0], some[1][1])], some)) == []


def test_the_hash_is_the_signs_of_low_frequencies():
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    wave = 100 + 50 * np.cos(np.pi * 2 * rows / SIDE) * np.cos(np.pi * 3 * columns / SIDE)
    (bits,) = hashes(wave[None].astype(np.float32))
    assert np.unpackbits(np.frombuffer(bits, np.uint8)).reshape(8, 8)[[0, 2], [0, 3]].tolist() == [1, 1]
    (thumb,) = thumbnails(np.full((1, SIDE, SIDE), 37, np.float32))
    assert thumb == bytes([37]) * 256
