"""The preview: pairs as training sees them."""

import numpy as np
from commands import contents, pix2pix, refused
from PIL import Image
from planting import NO_VALIDATION, checked, clean, write

from pix2pix.config import config_from_dict
from pix2pix.data.augment.apply import prepare, to_pixels
from pix2pix.data.dataset import open_split
from pix2pix.data.loader import open_loader


def test_nothing_is_written_but_the_sheet(tmp_path):
    write(tmp_path / "data", clean("drawn")[:8])
    before = contents(tmp_path)
    pix2pix("check", "--data", tmp_path / "data", "--preview", tmp_path / "sheets" / "a.png")
    after = contents(tmp_path)
    assert after.keys() - before.keys() == {"sheets/a.png"}
    assert {name: after[name] for name in before} == before


def test_the_sheet_shows_pairs_as_training_draws_them(tmp_path):
    write(tmp_path / "data", clean("drawn")[:6])
    (tmp_path / "data" / "train" / "input" / "002.bmp").write_bytes(b"")  # shown are those that can be read
    settings = {
        "data.load_size": 72,
        "data.image_size": 64,
        "data.flip": "true",
        "data.val_fraction": 0,
        "data.augment.brightness": 0.5,
        "data.input_format.kind": "image",
    }
    flags = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    sheet = tmp_path / "sheet.png"
    assert pix2pix("check", "--data", tmp_path / "data", *flags, "--preview", sheet).code == 3
    with Image.open(sheet) as image:
        shown = np.asarray(image)
    assert shown.shape == (14 + 4 + 5 * 68, 4 + 4 * 68, 3)
    (tmp_path / "data" / "train" / "input" / "002.bmp").unlink()
    (tmp_path / "data" / "train" / "target" / "002.bmp").unlink()
    overrides = [f"{key}={value}" for key, value in settings.items()]
    config = config_from_dict({"data": {"root": str(tmp_path / "data")}}, "test", overrides)
    data = config.data.model_copy(update={"batch_size": 1, "workers": 0})
    loader = open_loader(data, open_split(data, "train", data.load), config.run.seed)
    for epoch in (0, 1):
        for batch in loader.epoch(epoch):
            for side, images in enumerate(prepare(batch, "cpu", data.augment, data.crop)):
                top, left = 14 + 4 + 68 * int(batch["index"]), 4 + 68 * (2 * epoch + side)
                pixels = to_pixels(images)[0].permute(1, 2, 0).numpy()
                np.testing.assert_array_equal(shown[top : top + 64, left : left + 64], pixels)


def test_without_a_pair_to_read_there_is_a_report_and_no_sheet(tmp_path):
    write(tmp_path / "data", clean("drawn")[:2])
    for path in (tmp_path / "data" / "train" / "input").iterdir():
        path.write_bytes(b"")
    code, report = checked(tmp_path / "data", *NO_VALIDATION, "--preview", tmp_path / "a.png")
    assert code == 3 and report["sheet"] is None and not (tmp_path / "a.png").exists()
    assert [one["code"] for one in report["findings"]] == ["unreadable", "no-validation"]
    assert report["splits"]["train"]["size"] == "none readable"


def test_a_sheet_that_cannot_be_written_says_so(tmp_path):
    write(tmp_path / "data", clean("drawn")[:2])
    (tmp_path / "file").write_bytes(b"")
    refused(pix2pix("check", "--data", tmp_path / "data", "--preview", tmp_path / "file" / "a.png"), 4, "file")
    refused(pix2pix("check", "--data", tmp_path / "data", "--preview", tmp_path / "a.txt"), 2, "a.txt", ".png")
