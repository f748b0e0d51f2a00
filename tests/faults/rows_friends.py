"""Rows F22 and F23: weights and checkpoints that somebody else has made, with wrong fields or as endless archives."""

import copy
import math
import pickle
import random
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from harness import Outcome, finish, uninterrupted
from PIL import Image
from rows_files import MEMORY, SECONDS, archive_of, read_apart

from pix2pix.errors import CheckpointError
from pix2pix.runtime.tensors import read_tensors
from pix2pix.weights import load_generator_file

TARGET, GONE = ("forms", "target"), object()
# The field and what it becomes; all of the format of a target that is 8-bit RGB.
FIELDS: list[tuple[tuple, object]] = [
    *((("version",), value) for value in (None, 2, -1, 1.0, math.nan, "1", [1], {}, True)),
    *((("kind",), value) for value in (None, "critic", 1, ["generator"], "generator\n")),
    *((("library",), value) for value in (None, 1, "\x1b[2J", "x" * 10**6, "")),
    *((("step",), value) for value in (-1, 1.5, math.nan, "1", 2**70, None)),
    *((("epoch",), value) for value in (-1, math.inf, [], GONE)),
    *((("per_image_norm",), value) for value in (1, "yes", [])),
    *((("state_dict",), value) for value in (None, [], {"x": 1}, {1: torch.zeros(1)})),
    *((("forms",), value) for value in (None, [], {})),
    *((("forms", "input"), value) for value in ([], {}, [3], None)),
    (("unknown",), 1),
    (("forms", "output"), {}),
    *(((*TARGET, "kind"), value) for value in ("video", None, ["image"])),
    *(((*TARGET, "channels"), value) for value in (0, -3, 10**9, 3.0, True)),
    *(((*TARGET, "dtype"), value) for value in ("int8", "object", "float64", None)),
    *(((*TARGET, "range"), value) for value in ([0, math.nan], [-math.inf, math.inf], [5, 5], [255, 0], [0], 3)),
    *(((*TARGET, "classes"), value) for value in (1, -1, 3, 10**9)),
    *(((*TARGET, "palette"), value) for value in ([[0, 0, 256]] * 2, [[0, 0]] * 2, [], "red", [[0, 0, 0]] * 10**4)),
    *(((*TARGET, "snap"), value) for value in (True, 1)),
    *(((*TARGET, "suffix"), value) for value in ("", ".jpg", ".exe", "/x.png", "png", ".png\n", None)),
    *(((*TARGET, "alpha"), value) for value in (True, "no")),
]


def _changed(content: dict, place: tuple, value: object) -> dict:
    content = copy.deepcopy(content)
    section = content
    for key in place[:-1]:
        section = section[key]
    section[place[-1]] = value
    if value is GONE:
        del section[place[-1]]
    return content


def _contents(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def f22_fields(count: int, folder: Path) -> Outcome:
    """Every wrong field is exit code 4 and one line, and nothing is written; no translation leaves its folder."""
    found, (whole, _) = Outcome(), uninterrupted(folder)
    content, gen, outside = torch.load(whole / "gen.pt", weights_only=True), folder / "gen.pt", folder / "outside"
    outside.mkdir()
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(outside / "holiday.png")
    shutil.copy(outside / "holiday.png", folder / "input.png")
    before = _contents(outside)
    suffixes = ["/../../outside/holiday.png", f"/../../..{outside}/holiday.png", "/../../outside/new/x.png"]
    fields = FIELDS + [((*TARGET, "suffix"), suffix) for suffix in suffixes]
    random.Random(22).shuffle(fields)
    for place, value in fields[: count - 2]:
        torch.save(_changed(content, place, value), gen)
        code, said = finish(
            ["sample", "--weights", f"{gen}", "--input", f"{folder}/input.png", "--output", f"{folder}/o"]
        )
        good = code == 4 and len(said.splitlines()) == 1 and not (folder / "o").exists()
        found.note(good and _contents(outside) == before, f"{place} {value!r:.40}: {code} {said[-200:]}")
    pairs = folder / "pairs/sub"
    pairs.mkdir(parents=True)
    shutil.copy(outside / "holiday.png", pairs / "holiday.png")
    Image.fromarray(np.zeros((32, 64, 3), np.uint8)).save(folder / "pairs/holiday.png")
    for link, source in (
        ("sub", ["--input", f"{folder}/pairs"]),
        ("train", ["--data", f"{folder}/pairs/sub", "--split", "train"]),
    ):
        output = folder / f"linked-{link}"
        output.mkdir()
        (output / link).symlink_to(outside, target_is_directory=True)
        code, said = finish(["sample", "--weights", f"{whole}/gen.pt", *source, "--output", f"{output}"])
        found.note(code in (2, 3) and _contents(outside) == before, f"a link at {link}: {code} {said[-200:]}")
    return found


# Archives


def _rezipped(source: Path, path: Path, change: Callable[[str, bytes], list[tuple[str, bytes]]]) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.infolist():
            for name, data in change(entry.filename, old.read(entry)):
                new.writestr(zipfile.ZipInfo(name), data)


def _replaced(data: bytes, old: bytes, new: bytes, first: int = 0) -> bytes:
    at = data.rindex(old) if first < 0 else data.index(old, first)
    return data[:at] + new + data[at + len(old) :]


def _archives(gen: Path) -> list[Callable[[Path], object]]:
    """Those that another reader would take for something else than ours does."""
    data, other = gen.read_bytes(), pickle.dumps({"format": "other"}, 2)
    prefix = "archive" if b"archive/data.pkl" in data else "gen"
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, 0, 0, 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 4, 1)

    def twice(name: str, more: str) -> Callable[[Path], object]:
        return lambda path: _rezipped(gen, path, lambda n, d: [(n, d)] + [(more, other)] * n.endswith(name))

    def renamed(path: Path) -> None:
        more = {"data.pkl": [("x/other.pkl", other)]}
        _rezipped(gen, path, lambda n, d: [(n.replace("data.pkl", "data.PKL"), d), *more.get(Path(n).name, [])])

    def flagged(path: Path) -> None:
        at = data.rindex(b"PK\1\2") + 8
        path.write_bytes(data[:at] + b"\1\0" + data[at + 2 :])

    return [
        lambda path: archive_of(path, other, {"x/data.PKL": other}),
        lambda path: _rezipped(gen, path, lambda n, d: [(n.replace("data.pkl", "data.PKL"), d)]),
        renamed,
        twice("/data.pkl", "archive2/data.pkl"),
        twice("/version", f"{prefix}/VERSION"),
        twice("/version", "elsewhere/version"),
        twice("/version", "../version"),
        lambda path: path.write_bytes(b"\x7fELF" + data),
        lambda path: path.write_bytes(data + b"\0"),
        lambda path: path.write_bytes(data + end),
        lambda path: path.write_bytes(data + data),
        lambda path: path.write_bytes(data[:-22] + locator + data[-22:]),
        lambda path: path.write_bytes(data[:-2] + struct.pack("<H", 22) + end),
        lambda path: path.write_bytes(_replaced(data, b"/data.pkl", b"/data.PKL")),  # in the entry's own header alone
        lambda path: path.write_bytes(_replaced(data, b"/data.pkl", b"/data.PKL", -1)),
        lambda path: path.write_bytes(_replaced(data, b"little", b"biggie")),
        flagged,
        _many_entries,
    ]


def _many_entries(path: Path) -> None:
    entry, name = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, *[0] * 14)[:46], b"x/data/0"
    directory = (entry[:28] + struct.pack("<H", len(name)) + entry[30:] + name) * 300_000
    path.write_bytes(directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, len(directory), 0, 0))


def _multiplied(value: object, kind: Callable = list) -> object:
    for _ in range(40):
        value = kind([value, value])
    return value


def _deep(depth: int) -> bytes:
    return b"\x80\x02" + b"(" * depth + b"N" + b"t" * depth + b"."


def _endless(content: dict) -> list[Callable[[Path], object]]:
    """Those that other readers would not come to an end with, or only with all memory."""
    plain = content | {"state_dict": {}}
    fmt, head = pickle.dumps(content["forms"]["target"], 2)[2:-1], b"\x80\x02"
    formats = head + b"(" + fmt + b"r\xff\xff\0\0" + b"j\xff\xff\0\0" * 700_000 + b"l."
    unknown = {f"key{number}": number for number in range(120_000)}
    cycle: list = []
    cycle.append(cycle)
    laughs, text = _multiplied([1]), ["x" * 10**6] * 10**5
    keyed = head + b"}" + b"K\1\x85q\0" + b"h\0h\0\x86q\0" * 60 + b"Ns."  # a dict whose key is nested tuples
    values: list[object] = [
        *(plain | {name: laughs} for name in ("format", "version", "kind", "library", "step", "forms", "config")),
        *(plain | {"config": {"data": {"root": value}}} for value in (laughs, text, cycle, _multiplied((1,), tuple))),
        *(plain | {"config": value} for value in (unknown, {"data": unknown}, {"model": {"generator": unknown}})),
        *(plain | unknown, plain | {"forms": content["forms"] | {"input": [content["forms"]["target"]] * 120_000}}),
    ]
    pickles = [
        *(head + b"q\0" * 20_000_000, head + b"N" + b"q\0" * 2_000_000 + b".", head + b"(1" * 2_000_000 + b"N."),
        *(keyed, formats, _deep(1000), _deep(10**6), head + b"Nr\xff\xff\xff\x7f."),
        *(head + b"\x8e" + struct.pack("<Q", 2**40), head + b"\x8b" + struct.pack("<i", 2**31 - 1)),
        *(b"I" + b"9" * 4_000_000 + b"\n.", head + b"X" + struct.pack("<I", 2**32 - 1) + b"x."),
    ]
    pickles += [pickle.dumps(value, 2) for value in values]
    return [lambda path, data=data: archive_of(path, data) for data in pickles]


def _load_state(path: Path) -> None:
    """As a checkpoint's state is read."""
    try:
        read_tensors(path, checksums=False)
    except ValueError as error:
        raise CheckpointError(str(error)) from None


def f23_archives(count: int, folder: Path) -> Outcome:
    """Refused by what reads weights, under 1 GB and 5 s; what reads checkpoints takes no more, whatever it says."""
    found, (whole, _) = Outcome(), uninterrupted(folder)
    content = torch.load(whole / "gen.pt", weights_only=True)
    makers = _archives(whole / "gen.pt") + _endless(content)
    random.Random(23).shuffle(makers)
    path = folder / "friend.pt"
    for make in makers[:count]:
        make(path)
        for read, fine in ((load_generator_file, {"refused"}), (_load_state, {"refused", "it was read"})):
            said, seconds, grown = read_apart(read, path)
            good = said in fine and seconds < SECONDS and grown < MEMORY
            found.note(good, f"{read.__name__}: {said}, {seconds:.1f} s, {grown:,} bytes")
    return found
