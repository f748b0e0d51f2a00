"""Translations of TIFF files: values to the bit, missing ones written back, georeference and resolution kept."""

import numpy as np
import pytest
import tifffile
from identity import Identity

from pix2pix.config import config_from_dict
from pix2pix.data.formats.image_format import ImageFormat, PairFormat
from pix2pix.data.images.files import read_image, read_info
from pix2pix.data.images.tags import read_tags
from pix2pix.inference.files import translate_files
from pix2pix.inference.translator import Translator

GEO = {
    33550: ("d", 3, (30.0, 30.0, 0.0)),
    33922: ("d", 6, (0.0, 0.0, 0.0, 440720.0, 3751320.0, 0.0)),
    34735: ("H", 8, (1, 1, 0, 1, 1024, 0, 1, 1)),
    34736: ("d", 1, (6378206.4,)),
    34737: ("s", 0, "WGS 84|"),
    42112: ("s", 0, "<GDALMetadata/>"),
    42113: ("s", 0, "-9999"),
}
CASES = {
    "float32": (ImageFormat(channels=1, dtype="float32", range=(0.0, 1024.0), suffix=".tif", nodata=-9999.0), -9999),
    "16 bits": (ImageFormat(channels=1, dtype="uint16", range=(0.0, 4095.0), suffix=".tif", nodata=65535.0), 65535),
    "five bands": (ImageFormat(channels=5, dtype="float32", range=(0.0, 1024.0), suffix=".tif", nodata=-9999.0), -9999),
    "nan": (ImageFormat(channels=1, dtype="float32", range=(0.0, 1024.0), suffix=".tif", nodata="nan"), np.nan),
}


def written(path, fmt: ImageFormat, missing: float) -> np.ndarray:
    """Write an image with a hole, and return its pixels."""
    pixels = np.random.default_rng(5).integers(0, 1024, (64, 96, fmt.channels)).astype(fmt.dtype)
    pixels[5:20, 30:50] = missing
    path.parent.mkdir()
    tifffile.imwrite(
        path,
        pixels if fmt.channels > 1 else pixels[..., 0],
        photometric="minisblack",
        planarconfig="contig" if fmt.channels > 1 else None,
        extratags=[(code, *rest, True) for code, rest in GEO.items()],
        resolution=((300, 1), (150, 1)),
        resolutionunit=3,
        metadata=None,
    )
    return pixels


@pytest.mark.parametrize("case", CASES)
def test_values_missing_values_georeference_and_resolution_come_back(tmp_path, case, capfd):
    fmt, missing = CASES[case]
    pixels = written(tmp_path / "in/a.tif", fmt, missing)
    config = config_from_dict({"data": {"layout": "synthetic", "image_size": 32}}, "test")
    translator = Translator(Identity(), config, PairFormat((fmt,), fmt), "cpu")
    assert translate_files(translator, str(tmp_path / "in"), tmp_path / "out") == (1, [])
    np.testing.assert_array_equal(read_image(tmp_path / "out/a.tif").pixels, pixels)
    before, after = (read_tags(tmp_path / folder / "a.tif").values for folder in ("in", "out"))
    assert before.keys() == after.keys() >= {*GEO, 282, 283, 296} - {42113}
    assert {code: value for code, (_, value) in before.items()} == {code: value for code, (_, value) in after.items()}
    assert read_info(tmp_path / "out/a.tif").nodata == fmt.nodata
    resized = Translator(Identity(), config, PairFormat((fmt,), fmt), "cpu", resize=True)
    assert translate_files(resized, str(tmp_path / "in"), tmp_path / "small") == (1, [])
    assert GEO.keys().isdisjoint(read_tags(tmp_path / "small/a.tif").values)
    assert capfd.readouterr().err == ""


def test_missing_inputs_are_missing_in_the_output_whatever_the_network_says(tmp_path):
    fmt, missing = CASES["float32"]
    pixels = written(tmp_path / "in/a.tif", fmt, missing)
    config = config_from_dict({"data": {"layout": "synthetic", "image_size": 32}}, "test")
    for nodata in (None, 7.5):
        target = ImageFormat(channels=1, dtype="float32", range=(0.0, 1.0), suffix=".tif", nodata=nodata)
        translator = Translator(Identity(), config, PairFormat((fmt,), target), "cpu")
        output = translator.translate(pixels)
        assert ((output == (-9999 if nodata is None else nodata)) == (pixels == missing)).all()


def test_many_bands_are_read_without_noise(tmp_path, capfd):
    for bands in (8, 13):
        pixels = np.random.default_rng(bands).integers(0, 255, (8, 9, bands)).astype(np.uint8)
        tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig", metadata=None)
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, pixels)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
