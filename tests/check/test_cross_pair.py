"""Copies, leaks and swapped pairs: at least 18 of 20 planted ones are named, and nothing else."""

from planting import ENOUGH, PLANTED, SOURCES, brighter, clean, codes, jpeg, look, named, numbers, resized, write


@SOURCES
def test_duplicates(tmp_path, source):
    pairs = clean(source)
    write(tmp_path, [*pairs, *pairs[:PLANTED]])
    found = named(look(tmp_path), "duplicate")
    assert found == numbers("train", [*range(PLANTED), *range(len(pairs), len(pairs) + PLANTED)])


@SOURCES
def test_the_same_picture_in_two_splits(tmp_path, source):
    pairs = clean(source)
    write(tmp_path, pairs[:40])
    # Whole pairs, then inputs with another target, then targets with another input.
    leaks = [*pairs[:10], *((pairs[i][0], pairs[i + 30][1]) for i in range(10, 15))]
    leaks += [(pairs[i + 30][0], pairs[i][1]) for i in range(15, PLANTED)]
    write(tmp_path, [*leaks, *pairs[50:]], "val")
    assert named(look(tmp_path), "leak") == numbers("train", range(PLANTED)) | numbers("val", range(PLANTED))


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
    assert len(found & numbers("val", range(PLANTED))) >= ENOUGH
    assert found <= numbers("train", range(PLANTED)) | numbers("val", range(PLANTED))


@SOURCES
def test_swapped_pairs(tmp_path, source):
    pairs = clean(source)
    write(tmp_path, [pair[::-1] for pair in pairs[:PLANTED]] + list(pairs[PLANTED:]))
    assert named(look(tmp_path), "swapped") == numbers("train", range(PLANTED))


@SOURCES
def test_one_swapped_pair(source):
    pairs, found = clean(source)[:20], 0
    for index in range(PLANTED):
        found += "swapped" in codes([*pairs[:index], pairs[index][::-1], *pairs[index + 1 :]])
    assert found >= ENOUGH


def test_a_whole_swapped_set_is_not_reported():
    assert "swapped" not in codes([pair[::-1] for pair in clean("drawn")[:20]])


def test_two_photographs_have_no_usual_direction():
    photographs = [target for _, target in clean("drawn")]
    assert "swapped" not in codes(list(zip(photographs[:30], photographs[30:], strict=True)))
