"""What is planted in a data set is named by `check`: at least 18 of 20, and nothing else; nothing where all is well."""

import numpy as np
import pytest
from making import save
from PIL import Image
from planting import FACADES, brighter, clean, jpeg, judge, look, named, resized, shifted, write

from pix2pix.check import check
from pix2pix.config import config_from_dict
from pix2pix.datasets.synthetic.draw import PALETTE

PLANTED, ENOUGH = 20, 18
SOURCES = pytest.mark.parametrize("source", ["drawn", "facades"])


def _numbers(split: str, some) -> set[str]:
    return {f"{split}/{number:03}" for number in some}


def _judge(pairs) -> set[str]:
    """The codes of what is found in pairs in memory."""
    return {one.code for one in judge(pairs)}


@SOURCES
def test_nothing_is_wrong_with_what_is_clean(tmp_path, source):
    pairs = clean(source)
    write(tmp_path, pairs[:40])
    write(tmp_path, pairs[40:], "val")
    assert [one for one in look(tmp_path).findings if one.severity != "note"] == []


@pytest.mark.skipif(not FACADES.is_dir(), reason="needs the real facades, which only developers have")
def test_nothing_is_wrong_with_all_606_facades():
    report = check(config_from_dict({"data": {"root": str(FACADES), "direction": "b2a"}}, "test"))
    assert {name: split.pairs for name, split in report.splits.items()} == {"train": 400, "val": 100, "test": 106}
    assert [(one.code, one.severity, one.count) for one in report.findings] == [("blended-labels", "note", 606)]


@SOURCES
def test_duplicates(tmp_path, source):
    pairs = clean(source)
    write(tmp_path, [*pairs, *pairs[:PLANTED]])
    found = named(look(tmp_path), "duplicate")
    assert found == _numbers("train", [*range(PLANTED), *range(len(pairs), len(pairs) + PLANTED)])


@SOURCES
def test_the_same_picture_in_two_splits(tmp_path, source):
    pairs = clean(source)
    write(tmp_path, pairs[:40])
    # Whole pairs, then inputs with another target, then targets with another input.
    leaks = [*pairs[:10], *((pairs[i][0], pairs[i + 30][1]) for i in range(10, 15))]
    leaks += [(pairs[i + 30][0], pairs[i][1]) for i in range(15, PLANTED)]
    write(tmp_path, [*leaks, *pairs[50:]], "val")
    assert named(look(tmp_path), "leak") == _numbers("train", range(PLANTED)) | _numbers("val", range(PLANTED))


CHANGES = (
    lambda pixels: jpeg(pixels, 40),
    lambda pixels: jpeg(pixels, 80),
    lambda pixels: resized(pixels, 0.75),
    lambda pixels: resized(pixels, 1.5),
    lambda pixels: brighter(pixels, 0.85),
    lambda pixels: brighter(pixels, 1.1),
)


@SOURCES
def test_nearly_the_same_picture_in_two_splits(tmp_path, source):
    pairs = clean(source)
    write(tmp_path, pairs[:40])
    changed = [tuple(map(CHANGES[i % len(CHANGES)], pairs[i])) for i in range(PLANTED)]
    write(tmp_path, [*changed, *pairs[40:]], "val")
    found = named(look(tmp_path), "near-duplicate")
    assert len(found & _numbers("val", range(PLANTED))) >= ENOUGH
    assert found <= _numbers("train", range(PLANTED)) | _numbers("val", range(PLANTED))


@SOURCES
def test_pairs_the_wrong_way_round(tmp_path, source):
    pairs = clean(source)
    write(tmp_path, [pair[::-1] for pair in pairs[:PLANTED]] + list(pairs[PLANTED:]))
    assert named(look(tmp_path), "swapped") == _numbers("train", range(PLANTED))


@SOURCES
def test_one_pair_the_wrong_way_round(source):
    pairs, found = clean(source)[:20], 0
    for index in range(PLANTED):
        found += "swapped" in _judge([*pairs[:index], pairs[index][::-1], *pairs[index + 1 :]])
    assert found >= ENOUGH


def test_a_whole_set_the_wrong_way_round_cannot_be_told():
    assert "swapped" not in _judge([pair[::-1] for pair in clean("drawn")[:20]])


def test_two_photographs_have_no_usual_way_round():
    photographs = [target for _, target in clean("drawn")]
    assert "swapped" not in _judge(list(zip(photographs[:30], photographs[30:], strict=True)))


@SOURCES
def test_pictures_that_do_not_lie_on_each_other(tmp_path, source):
    pairs, rng = list(clean(source)), np.random.default_rng(0)
    side = pairs[0][0].shape[0]
    for index in range(PLANTED):
        down, right = rng.integers(side // 25, side // 11, 2) * rng.choice([-1, 1], 2)
        pairs[index] = (pairs[index][0], shifted(pairs[index][1], down, right))
    write(tmp_path, pairs)
    found = named(look(tmp_path), "misregistered")
    assert len(found) >= ENOUGH and found <= _numbers("train", range(PLANTED))


def test_the_few_edges_of_a_mask_do_not_mislead():
    windows = PALETTE[8]
    pairs = [(target, np.where((input == windows).all(-1, keepdims=True), 255, 0)) for input, target in clean("drawn")]
    assert _judge([(target, np.repeat(mask.astype(np.uint8), 3, axis=2)) for target, mask in pairs]) <= {"constant"}


def test_where_a_target_lies_is_said_in_pixels():
    input, target = clean("drawn")[0]
    pairs = [*clean("drawn")[:10], (input, shifted(target, 8, -11)), (input, shifted(target, -8, 0))]
    (found,) = judge(pairs)
    assert [str(item) for item in found.items] == [
        "10: 8 pixels too low and 11 pixels too far left",
        "11: 8 pixels too high",
    ]


@SOURCES
def test_a_whole_set_that_is_moved(source):
    pairs, rng, found = clean(source)[:12], np.random.default_rng(1), 0
    side = pairs[0][0].shape[0]
    for _ in range(PLANTED):
        down, right = rng.integers(side // 25, side // 11, 2) * rng.choice([-1, 1], 2)
        codes = _judge([(input, shifted(target, down, right)) for input, target in pairs])
        found += "offset" in codes and "misregistered" not in codes
    assert found >= ENOUGH


def test_labels_that_jpeg_or_resizing_has_blended():
    pairs, found = clean("drawn")[:8], 0
    for number in range(PLANTED):
        if number % 4:
            blended = [(jpeg(input, 35 + 3 * number), target) for input, target in pairs]
        else:
            blended = [tuple(resized(side, 1.2 + number / 20) for side in pair) for pair in pairs]
        found += "blended-labels" in _judge(blended)
    assert found >= ENOUGH and "blended-labels" not in _judge(pairs)


def test_one_label_map_among_clean_ones_that_jpeg_has_blended(tmp_path):
    pairs = list(clean("drawn"))
    for index in range(PLANTED):
        pairs[index] = (jpeg(pairs[index][0], 50 + 2 * index), pairs[index][1])
    write(tmp_path, pairs)
    (found,) = look(tmp_path).findings[:1]
    assert found.code == "blended-labels" and found.severity == "note"
    assert {item.files[0][-7:-4] for item in found.items} == {f"{index:03}" for index in range(PLANTED)}


def test_pictures_of_one_colour(tmp_path):
    pairs, rng = list(clean("drawn")), np.random.default_rng(2)
    for index in range(PLANTED):
        empty = np.full((128, 128, 3), rng.integers(0, 256, 3), np.uint8)
        pairs[index] = (empty, pairs[index][1]) if index % 2 else (pairs[index][0], empty)
    write(tmp_path, pairs)
    assert named(look(tmp_path), "constant") == _numbers("train", range(PLANTED))


def test_pictures_almost_of_one_colour(tmp_path):
    pairs = list(clean("drawn"))
    for index in range(PLANTED):
        faint = np.full((128, 128, 3), 10 * index + 30, np.uint8)
        faint[index : index + 20, 30:60] += 2
        pairs[index] = (pairs[index][0], faint)
    write(tmp_path, pairs)
    assert named(look(tmp_path), "almost-constant") == _numbers("train", range(PLANTED))


@pytest.mark.parametrize(("top", "kind"), [(1, "mask"), (11, "labels")])
def test_masks_and_ids_that_come_out_black(tmp_path, top, kind):
    pairs = list(clean("drawn"))
    for index in range(PLANTED):
        ids = (pairs[index][0][..., :1] == PALETTE[1, 0]) * np.uint8(top)
        pairs[index] = (pairs[index][0], np.repeat(ids, 3, axis=2))
    write(tmp_path, pairs)
    report = look(tmp_path)
    assert named(report, "black") == _numbers("train", range(PLANTED))
    assert f"data.target_format kind {kind}" in report.findings[0].remedy


def test_pairs_of_unequal_size(tmp_path):
    pairs = list(clean("drawn"))
    for index in range(PLANTED):
        pairs[index] = (pairs[index][0][: 127 - index], pairs[index][1])
    write(tmp_path, pairs)
    report = look(tmp_path)
    assert named(report, "unequal-size") == _numbers("train", range(PLANTED)) and report.fails


def test_files_without_two_halves(tmp_path):
    for index, pair in enumerate(clean("drawn")[:30]):
        pixels = np.concatenate(pair, axis=1)
        save(tmp_path / "data" / "train" / f"{index:03}.bmp", pixels[:, : 255 if index < PLANTED else 256])
    report = look(tmp_path / "data")
    assert named(report, "no-halves") == _numbers("data", range(PLANTED)) and report.fails


def test_a_pair_of_quite_another_size():
    pairs, found = clean("drawn")[:40], 0
    for index in range(PLANTED):
        odd = tuple(resized(side, 4 + index / 10 if index % 2 else 0.3 - index / 200) for side in pairs[index])
        found += "odd-size" in _judge([*pairs[:index], odd, *pairs[index + 1 :]])
    assert found >= ENOUGH and "odd-size" not in _judge(pairs)


def test_pictures_without_a_partner(tmp_path):
    pairs = clean("drawn")
    write(tmp_path, pairs[:40])
    write(tmp_path, pairs[40:], "val")
    for index in range(10):
        (tmp_path / "train" / "target" / f"{index:03}.bmp").unlink()
        (tmp_path / "val" / "input" / f"{index:03}.bmp").unlink()
    report = look(tmp_path)
    assert named(report, "unmatched") == _numbers("train", range(10)) | _numbers("val", range(10)) and report.fails
    assert {name: split.pairs for name, split in report.splits.items()} == {"train": 30, "val": 10}


def test_pictures_of_one_name(tmp_path):
    pairs = clean("drawn")[:30]
    write(tmp_path, pairs)
    for index in range(PLANTED):
        save(tmp_path / "train" / "input" / f"{index:03}.png", pairs[index][0])
    report = look(tmp_path)
    assert named(report, "same-name") == _numbers("train", range(PLANTED)) and report.fails


def test_files_that_cannot_be_read(tmp_path):
    pairs = clean("drawn")[:40]
    write(tmp_path, pairs)
    whole = (tmp_path / "train" / "input" / "000.bmp").read_bytes()
    broken = [
        b"",
        b"BM",
        b"no picture",
        whole[:60],
        whole[:-1000],
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
    ]
    for index in range(PLANTED - 1):
        (tmp_path / "train" / ("input", "target")[index % 2] / f"{index:03}.bmp").write_bytes(broken[index % 8])
    (tmp_path / "train" / "input" / "019.bmp").unlink()
    (tmp_path / "train" / "input" / "019.npy").write_bytes(b"\x93NUMPY\x01\0")
    report = look(tmp_path)
    assert named(report, "unreadable") == _numbers("train", range(PLANTED)) and report.fails
    assert all(item.detail for item in report.findings[0].items)


def _classes(pixels: np.ndarray) -> np.ndarray:
    """The class of each pixel of a drawn label map: uint8 [H, W]."""
    return (pixels[:, :, None] == PALETTE).all(-1).argmax(-1).astype(np.uint8)


def _write_ids(root, pairs, change) -> None:
    """Label maps as ids, of which `change(index, ids)` makes what is written, beside their photographs."""
    for index, (labels, photograph) in enumerate(pairs):
        save(root / "train" / "input" / f"{index:03}.png", change(index, _classes(labels)))
        save(root / "train" / "target" / f"{index:03}.png", photograph)


def test_ids_that_are_no_class(tmp_path):
    def plant(index: int, ids: np.ndarray) -> np.ndarray:
        ids = ids.copy()
        if index < PLANTED:
            ids[index, 3 * index] = 12 + index
        return ids

    _write_ids(tmp_path, clean("drawn")[:40], plant)
    report = look(tmp_path, input_format={"kind": "labels", "classes": 12})
    assert named(report, "label-ids") == _numbers("train", range(PLANTED)) and report.fails
    assert "the id 31 at row 19, column 57" in report.findings[0].items[19].detail
    assert report.splits["train"].input.startswith("labels of 12 classes")


def test_masks_with_other_values(tmp_path):
    def plant(index: int, ids: np.ndarray) -> np.ndarray:
        mask = np.where(ids == 1, 255, 0).astype(np.uint8)
        return jpeg(mask, 50 + index) if index < PLANTED else mask

    _write_ids(tmp_path, clean("drawn")[:40], plant)
    report = look(tmp_path, input_format={"kind": "mask"})
    assert named(report, "mask-values") == _numbers("train", range(PLANTED)) and report.fails


def test_empty_masks_are_a_note(tmp_path):
    def plant(index: int, ids: np.ndarray) -> np.ndarray:
        return np.where((ids == 1) & (index >= PLANTED), 255, 0).astype(np.uint8)

    _write_ids(tmp_path, clean("drawn")[:40], plant)
    report = look(tmp_path, input_format={"kind": "mask"})
    assert named(report, "constant") == _numbers("train", range(PLANTED))
    assert {one.severity for one in report.findings} == {"note"}


def test_colours_that_are_snapped_to_a_palette_are_a_warning(tmp_path):
    pairs = list(clean("drawn")[:40])
    for index in range(PLANTED):
        pairs[index] = (jpeg(pairs[index][0], 40 + 2 * index), pairs[index][1])
    write(tmp_path, pairs)
    palette = {"kind": "labels", "palette": PALETTE.tolist()}
    report = look(tmp_path, input_format=palette)
    assert named(report, "blended-labels") == _numbers("train", range(PLANTED)) and not report.fails
    assert report.findings[0].severity == "warning"


def test_ids_in_jpeg_are_a_warning(tmp_path):
    for index, (labels, photograph) in enumerate(clean("drawn")[:30]):
        suffix = "jpg" if index < PLANTED else "png"
        ids = np.full((128, 128), index % 12, np.uint8) if index < PLANTED else _classes(labels)
        save(tmp_path / "train" / "input" / f"{index:03}.{suffix}", ids)
        save(tmp_path / "train" / "target" / f"{index:03}.png", photograph)
    report = look(tmp_path, input_format={"kind": "labels", "classes": 12})
    assert named(report, "blended-labels") == _numbers("train", range(PLANTED))


def test_pictures_unlike_the_others(tmp_path):
    pairs = clean("drawn")[:60]
    for index, (labels, photograph) in enumerate(pairs):
        if index < PLANTED:
            photograph = [np.dstack([photograph, photograph[..., 0]]), photograph[..., 0].astype(np.uint16) * 257][
                index % 2
            ]
        save(tmp_path / "train" / "input" / f"{index:03}.png", labels)
        save(tmp_path / "train" / "target" / f"{index:03}.png", photograph)
    report = look(tmp_path, target_format={"channels": 3})
    assert named(report, "format") == _numbers("train", range(PLANTED)) and report.fails


def test_pictures_that_exif_turns_on_one_side_only(tmp_path):
    for index, (labels, photograph) in enumerate(clean("drawn")[:40]):
        turn = {"orientation": 1 + index % 8} if index < PLANTED + 3 else {}
        save(tmp_path / "train" / "input" / f"{index:03}.png", labels)
        save(tmp_path / "train" / "target" / f"{index:03}.jpg", photograph, quality=95, **turn)
    report = look(tmp_path)
    turned = [one for one in report.findings if one.code == "turned"]
    assert {item.files[0][-7:-4] for item in turned[0].items} == {
        f"{index:03}" for index in range(PLANTED + 3) if index % 8
    }
    assert not report.fails


def test_files_of_several_frames(tmp_path):
    write(tmp_path, clean("drawn")[:30])
    for index in range(PLANTED):
        (tmp_path / "train" / "input" / f"{index:03}.bmp").unlink()
        frames = [Image.fromarray(clean("drawn")[place][0]) for place in (index, index + 1, index + 2)]
        suffix = ("gif", "webp", "png", "tif")[index % 4]
        save(
            tmp_path / "train" / "input" / f"{index:03}.{suffix}",
            frames[0],
            save_all=True,
            append_images=frames[1:],
            **({"lossless": True} if suffix == "webp" else {}),
        )
    assert named(look(tmp_path), "animated") == _numbers("train", range(PLANTED))


@pytest.mark.skipif(not FACADES.is_dir(), reason="needs the real facades, which only developers have")
def test_the_facades_labels_are_a_warning_where_they_are_taken_for_labels():
    colours = (
        "0,0,222 0,48,255 0,128,255 0,207,255 32,255,224 112,254,142 192,255,63 255,240,0 255,159,0 255,80,0 254,0,0"
    )
    palette = [[int(value) for value in colour.split(",")] for colour in f"{colours} 174,0,0".split()]
    data = {"root": str(FACADES), "direction": "b2a", "input_format": {"kind": "labels", "palette": palette}}
    report = check(config_from_dict({"data": data}, "test"))
    (found,) = report.findings
    assert (found.code, found.severity, report.fails) == ("blended-labels", "warning", False)
    assert found.count > 590
