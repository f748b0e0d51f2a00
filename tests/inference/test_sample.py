"""`pix2pix sample`, as a person gives it."""

from pathlib import Path

import numpy as np
import pytest
from commands import SETTINGS, contents, pairs, picture, pix2pix, program, refused, size
from PIL import Image

from pix2pix import load_generator
from pix2pix.errors import DataError
from pix2pix.inference.files import translate_files


def test_sample_a_file_a_folder_or_a_glob_and_keep_the_names(trained):
    weights = trained / "gen.pt"
    for name in ("in/one.png", "in/deep/er/two.jpg", "in/deep/three.JPEG", "in/.hidden.png"):
        picture(name, 20, 30)
    Path("in/notes.txt").write_text("no picture")
    result = pix2pix("sample", "--weights", weights, "--input", "in")
    assert result.code == 0 and "3 translations in run/translated" in result.out
    assert contents(trained / "translated").keys() == {"one.png", "deep/er/two.png", "deep/three.png"}
    assert pix2pix("sample", "--weights", weights, "--input", "in/one.png", "--output", "file").code == 0
    assert contents(Path("file")).keys() == {"one.png"}
    assert pix2pix("sample", "--weights", weights, "--input", "in/**/*.*", "--output", "glob").code == 0
    assert contents(Path("glob")) == contents(trained / "translated")


def test_sample_takes_a_name_that_looks_like_a_glob_and_every_one_of_sixty_files(trained):
    for index in range(60):
        picture(f"in/[{index}].png", 5, 9, seed=index)
    result = program("sample", "--weights", trained / "gen.pt", "--input", "in", "--output", "out")
    assert result.code == 0 and "60 translations" in result.out and result.err == ""
    assert contents(Path("out")).keys() == contents(Path("in")).keys()
    assert len(set(contents(Path("out")).values())) == 60
    assert pix2pix("sample", "--weights", trained / "gen.pt", "--input", "in/[7].png", "--output", "one").code == 0
    assert contents(Path("one"))["[7].png"] == contents(Path("out"))["[7].png"]


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (33, 65), (32, 32)])
def test_a_translation_has_its_pictures_size_or_the_training_size(trained, shape):
    picture("in/a.png", *shape)
    assert pix2pix("sample", "--weights", trained / "gen.pt", "--input", "in", "--output", "out").code == 0
    flags = ("--output", "resized", "--resize")
    assert pix2pix("sample", "--weights", trained / "gen.pt", "--input", "in", *flags).code == 0
    assert size("out/a.png") == shape and size("resized/a.png") == (32, 32)


def test_pictures_of_one_stem_each_have_a_translation(trained):
    for index, name in enumerate(("a.png", "a.jpg", "a.png.jpg", "b.png")):
        picture(f"in/{name}", 8 + index, 8)
    result = pix2pix("sample", "--weights", trained / "gen.pt", "--input", "in", "--output", "out")
    assert result.code == 0 and "4 translations" in result.out
    assert sorted(size(path)[0] for path in Path("out").glob("[!.]*")) == [8, 9, 10, 11]


def test_sample_overwrites_no_input(trained):
    picture("in/a.png"), picture("in/deep/b.jpg")
    before = contents(Path("in"))
    for output in ("in", "in/deep/.."):
        command = ("sample", "--weights", trained / "gen.pt", "--input", "in", "--output", output)
        refused(pix2pix(*command), 2, "a.png: is an input and would be overwritten", "--output")
    assert contents(Path("in")) == before


def test_a_broken_picture_does_not_keep_the_others_from_being_translated(trained):
    for name in "acd":
        picture(f"in/{name}.png")
    Path("in/b.png").write_bytes(picture("in/d.png").read_bytes()[:60])
    Path("in/e.jpg").write_text("no picture")
    result = pix2pix("sample", "--weights", trained / "gen.pt", "--input", "in", "--output", "out")
    refused(result, 3, "in/b.png: ", "in/e.jpg: is not an image", errors=2)
    assert "3 translations in out" in result.out and contents(Path("out")).keys() == {"a.png", "c.png", "d.png"}


def test_sample_a_split_beside_its_targets(trained):
    pairs("mine", "train", "val", size=40)
    command = ("sample", "--weights", trained / "best.pt", "--data", "mine", "--output", "out")
    assert "3 translations in out/val" in pix2pix(*command).out
    assert pix2pix(*command, "--split", "train").code == 0
    assert contents(Path("out")).keys() == {
        *(f"{split}/{name}.png" for split in ("train", "val") for name in range(3)),
        *("train_comparison.png", "val_comparison.png"),
    }
    assert size("out/val/0.png") == (40, 40)
    grid, fake = (np.asarray(Image.open(path)) for path in ("out/val_comparison.png", "out/val/0.png"))
    top, left = len(grid) - 3 * 44, 4 + 44  # rows and columns of 40 and a gap of 4; the first row's generated one
    assert (grid[top : top + 40, left : left + 40] == fake).all()
    refused(pix2pix(*command, "--split", "test"), 3, "mine", "test")


def test_weights_alone_translate_what_they_were_trained_on(trained):
    result = pix2pix("sample", "--weights", trained / "gen.pt")
    assert result.code == 0 and "the val pairs" in result.out
    assert len(list((trained / "translated" / "val").iterdir())) == SETTINGS["data.synthetic.val"]
    assert (trained / "translated" / "val_comparison.png").exists()
    result = pix2pix("sample", "--weights", trained / "gen.pt", "--split", "test", "--output", "out")
    assert len(list(Path("out/test").iterdir())) == SETTINGS["data.synthetic.test"]


def test_sample_refuses_what_it_would_ignore_or_cannot_do(trained):
    command = ("sample", "--weights", trained / "gen.pt", "--input", picture("a.png"))
    refused(pix2pix(*command, "--split", "val"), 2, "--split")
    assert "not allowed with" in pix2pix(*command, "--data", "mine").err
    for device in ("banana", "cuda:x", "meta"):
        result = pix2pix(*command, "--device", device)
        assert result.code == 2 and device in result.err and "cuda:N" in result.err
    refused(pix2pix(*command, "--device", "cuda:99"), 2, "'cuda:99' is not available", "--device cpu")


def test_an_interrupted_sample_leaves_no_half_picture(trained, monkeypatch):
    def interrupted(path, pixels, palette, tags):
        Path(path).write_bytes(b"half a pict")
        raise KeyboardInterrupt

    command = ("sample", "--weights", trained / "gen.pt", "--input", picture("in/a.png"), "--output", "out")
    assert pix2pix(*command).code == 0
    earlier = contents(Path("out"))
    monkeypatch.setattr("pix2pix.inference.files.write_image", interrupted)
    assert pix2pix(*command).code == 130 and contents(Path("out")) == earlier and len(earlier) == 1


def test_broken_pairs_of_a_split_are_named_and_the_others_are_translated(trained):
    pairs("mine", "val", count=4)
    Path("mine/val/2.png").write_bytes(Path("mine/val/2.png").read_bytes()[:200])
    result = pix2pix("sample", "--weights", trained / "gen.pt", "--data", "mine", "--split", "val", "--output", "out")
    refused(result, 3, "mine/val/2.png: ")
    assert "3 translations in out/val, compared" in result.out
    assert {path.name for path in Path("out/val").iterdir()} == {"0.png", "1.png", "3.png"}
    assert Path("out/val_comparison.png").is_file()
    for index in (0, 1, 3):
        Path(f"mine/val/{index}.png").write_bytes(b"")
    refused(
        pix2pix("sample", "--weights", trained / "gen.pt", "--data", "mine", "--split", "val", "--output", "none"),
        3,
        "mine/val/0.png: ",
    )


def test_a_path_is_taken_where_a_picture_is(trained):
    translator = load_generator(trained / "gen.pt", "cpu")
    path = picture("in.png", 40, 30)
    with Image.open(path) as image:
        want = np.asarray(translator(image))
    assert np.array_equal(np.asarray(translator(path)), want) and np.array_equal(
        np.asarray(translator(str(path))), want
    )
    with pytest.raises(DataError, match=r"^gone\.png: no such file"):
        translator("gone.png")


def test_one_picture_goes_to_the_file_that_is_named(trained):
    picture("in/a.png", 20, 30), picture("in/b.png", 20, 30)
    command = ("sample", "--weights", trained / "gen.pt", "--input", "in/a.png", "--output")
    for _ in range(2):  # its own file is replaced
        assert "1 translation in made/result.png" in pix2pix(*command, "made/result.png").out
    assert contents(Path("made")).keys() == {"result.png"} and size("made/result.png") == (20, 30)
    foreign = picture("made/mine.png").read_bytes()
    refused(pix2pix(*command, "made/mine.png"), 2, "made/mine.png: exists")
    assert Path("made/mine.png").read_bytes() == foreign
    refused(pix2pix(*command, "in/a.png"), 2, "in/a.png")
    refused(pix2pix(*command[:3], "--input", "in", "--output", "made/two.png"), 2, "made/two.png", "2")
    Path("folder.png").mkdir()
    assert pix2pix(*command, "folder.png").code == 0 and size("folder.png/a.png") == (20, 30)


def test_batches_and_threads_change_no_pixel_and_keep_the_order_of_errors(trained, monkeypatch):
    monkeypatch.setattr("pix2pix.inference.pipeline._HELD_PIXELS", 4000)  # so that batches are cut short
    for number in range(12):
        picture(f"in/{number:02}.png", 32, (32, 40)[number % 3 == 0], seed=number)
    for number in (9, 4):
        Path(f"in/{number:02}.png").write_bytes(b"")
    command = ("sample", "--weights", trained / "gen.pt", "--input", "in", "--output")
    outputs = []
    for batch in (1, 3, None):
        result = pix2pix(*command, f"out{batch}", *(() if batch is None else ("--batch-size", batch)))
        refused(result, 3, "in/04.png: ", "in/09.png: ", errors=2)
        outputs.append(contents(Path(f"out{batch}")))
    translator = load_generator(trained / "gen.pt", "cpu")
    assert len(outputs[0]) == 10 and outputs[0] == outputs[1] == outputs[2]
    for name in outputs[0]:
        with Image.open(Path("out1", name)) as image:
            assert np.array_equal(np.asarray(image), np.asarray(translator(Path("in", name))))
    assert pix2pix(*command, "out", "--batch-size", "0").code == 2


def test_a_batch_that_runs_out_of_memory_is_translated_one_by_one(trained):
    translator = load_generator(trained / "gen.pt", "cpu")
    whole, sizes = translator.translate_batch, []

    def translate_batch(images):
        sizes.append(len(images))
        if len(images) > 1 or (images[0][0] == 7).all():
            raise MemoryError
        return whole(images)

    translator.translate_batch = translate_batch
    for number in range(3):
        picture(f"in/{number}.png", seed=number)
    Image.new("RGB", (32, 32), (7, 7, 7)).save("in/1.png")
    count, failed = translate_files(translator, "in", Path("out"))
    assert (count, sizes, [error.path for error in failed]) == (2, [3, 1, 1, 1], [Path("in/1.png")])
    assert contents(Path("out")).keys() == {"0.png", "2.png"}
