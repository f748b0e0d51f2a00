"""Detect JPEG files with missing pixels, which decoders silently fill with grey.

Huffman-coded data has no checksums, but it must last exactly to the last block. So the end mark is withheld from the
decoder: one that asks for more has had too little, and one that is done early has read damaged data. That costs no
second decoding. Files of several scans (progressive ones) need their end mark; there the scans are counted instead.
"""

import io
import re
from collections.abc import Iterator
from typing import BinaryIO

MOST_SEGMENTS, MOST_BYTES = 1000, 16 << 20  # before the first scan: Pillow's time grows with their square
_START_OF_SCAN, _RESTART_INTERVAL, _END = 0xDA, 0xDD, b"\xff\xd9"
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive
_RESTARTS = re.compile(rb"\xff([\xd0-\xd7])")
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_LOOKAHEAD = b"\xff\x00" * 8  # 8 bytes of ones, which are no code: as much as libjpeg wants to see ahead, and no more
_PADDING = 16  # zeros or more before the end mark are filling


def segments(file: BinaryIO, start: int = 2) -> Iterator[tuple[int, bytes]]:
    """Yield (marker, content) of the segments from byte `start` up to and including a scan's header.

    Raises ValueError where there are implausibly many.
    """
    file.seek(start)
    for _ in range(MOST_SEGMENTS):
        mark = file.read(2)
        if len(mark) < 2 or mark[0] != 0xFF or mark == _END:
            return
        if mark[1] == 0xFF:  # filling
            file.seek(-1, 1)
        elif mark[1] not in (0x00, 0x01, *range(0xD0, 0xD9)):
            size = int.from_bytes(file.read(2), "big") - 2
            yield mark[1], file.read(max(0, size))
            if mark[1] == _START_OF_SCAN:
                return
            if file.tell() > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES >> 20} MiB precede its pixels")
    raise ValueError(f"more than {MOST_SEGMENTS:,} segments precede its pixels")


class Feed(io.BytesIO):
    """A JPEG file for the decoder. `hold_back` withholds the end mark; then `require_used` checks how much was read.

    `found`: the segments of `file`, whose position is behind them.
    """

    def __init__(self, file: BinaryIO, found: dict[int, bytes]):
        self.found, self.scan = found, file.tell()
        file.seek(0)
        super().__init__(file.read())
        self.edge: int | None = None
        self.passed = False

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to `size` bytes, but never across the edge."""
        at = self.tell()
        if self.edge is not None and at >= self.edge:
            self.passed = True
        elif self.edge is not None and size is not None and size >= 0:
            size = min(size, self.edge - at)
        return super().read(size)

    def hold_back(self) -> None:
        """Withhold the end mark, between header and pixels. Raises ValueError where parts of scans are missing."""
        at, data = self.tell(), self.getvalue()
        found, scan = self.found, self.scan
        kind, frame = next(((m, c) for m, c in found.items() if m in _FRAMES), (0, b""))
        end, header = data.find(_END, scan), found.get(_START_OF_SCAN)
        if header and frame and end > 0:
            if kind == 0xC2 or header[0] != frame[5]:
                if kind == 0xC2:
                    _require_scans(self, frame)
            else:
                if interval := int.from_bytes(found.get(_RESTART_INTERVAL, b"\0\0"), "big"):
                    _require_restarts(data[scan:end], -(-_units(frame) // interval))
                end = _without_filling(data, end)
                self.seek(end)
                self.truncate()
                self.write(_LOOKAHEAD)
                self.edge = end - 2
        self.seek(at)

    def require_used(self) -> None:
        """Raise ValueError where the image was complete before all of its data was read."""
        if self.edge is not None and not self.passed:
            raise ValueError("its pixels are damaged: data is left behind the last of them")


def _without_filling(data: bytes, end: int) -> int:
    """Return the end of the coded data: zeros and 0xFF may fill the space before the end mark."""
    while data[end - 1] == 0xFF:
        end -= 1
    bare = len(data[:end].rstrip(b"\0"))
    return bare if end - bare >= _PADDING else end


def _units(frame: bytes) -> int:
    """Return the number of coded units (MCUs) in an image of one scan (ITU T.81, A.2)."""
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    factors = [(frame[at] >> 4, frame[at] & 15) for at in range(7, 6 + 3 * frame[5], 3)]
    across, down = (max(some) for some in zip(*factors, strict=True)) if frame[5] > 1 else (1, 1)
    return -(-width // (8 * across)) * -(-height // (8 * down))


def _require_restarts(scan: bytes, parts: int) -> None:
    marks = [mark[0] - 0xD0 for mark in _RESTARTS.findall(scan)]
    if marks != [number % 8 for number in range(parts - 1)]:
        raise ValueError(
            f"its pixels are damaged: {len(marks)} of {parts - 1} restart marks are there, or out of order"
        )


def _require_scans(file: Feed, frame: bytes) -> None:
    """Raise ValueError where the scans of a progressive image lack bits of a coefficient (ITU T.81, G.1)."""
    components = [frame[at] for at in range(6, 6 + 3 * frame[5], 3)]
    missing = {(component, place): 14 for component in components for place in range(64)}
    data, at = file.getvalue(), 2
    while True:
        found = dict(segments(file, at))
        header = found.get(_START_OF_SCAN)
        if not header or len(header) != 4 + 2 * header[0]:
            break
        first, last, low = header[-3], header[-2], header[-1] & 15
        for component in header[1:-3:2]:
            missing.update(((component, place), low) for place in range(first, min(last, 63) + 1))
        following = _NEXT_MARKER.search(data, file.tell())
        if following is None:
            break
        at = following.start()
    if any(missing.values()):
        raise ValueError("its pixels are damaged: scans are missing")
