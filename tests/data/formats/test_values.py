"""Missing values and ranges: found in the files, never blended, and given back."""

import numpy as np
import pytest
import tifffile
import torch
from making import EVERYTHING

from pix2pix.config import config_from_dict
from pix2pix.data.augment.apply import augment_batch, to_float, to_pixels
from pix2pix.data.formats.convert import decode, preview, resized
from pix2pix.data.formats.image_format import ImageFormat, PairFormat
from pix2pix.data.images.decoded import DecodedImage
from pix2pix.data.images.files import write_image
from pix2pix.data.infer import infer_formats
from pix2pix.errors import ConfigError, DataError

RNG = np.random.default_rng(3)
TERRAIN = RNG.uniform(100, 900, (32, 32, 1)).astype(np.float32)
FLOATS = ImageFormat(channels=1, dtype="float32", range=(0.0, 1000.0), suffix=".tif", nodata=-9999.0)


def holed(pixels: np.ndarray, value: float) -> np.ndarray:
    pixels = pixels.copy()
    pixels[4:12, 6:20] = value
    return pixels


def formats_of(tmp_path, pixels: np.ndarray, settings: dict | None = None, tag: str | None = None):
    """The formats of two equal pairs, whose targets are these pixels."""
    for name in ("a", "b"):
        write_image(tmp_path / f"train/input/{name}.png", np.full((*pixels.shape[:2], 1), 9, np.uint8))
        path = tmp_path / f"train/target/{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        extra = [] if tag is None else [(42113, "s", 0, tag, True)]
        stored = pixels[..., 0] if pixels.shape[2] == 1 else pixels
        planar = "contig" if pixels.shape[2] > 1 else None
        tifffile.imwrite(path, stored, extratags=extra, metadata=None, photometric="minisblack", planarconfig=planar)
    data = {"root": str(tmp_path), "target_format": {"kind": "image", **(settings or {})}}
    return infer_formats(config_from_dict({"data": data}, "test").data)


FOUND = {  # pixels, what the tag says, the nodata that is found
    "-9999": (holed(TERRAIN, -9999), None, -9999.0),
    "the lowest float": (holed(TERRAIN, -3.4028235e38), None, float(np.float32(-3.4028235e38))),
    "a huge one": (holed(TERRAIN, 5e15), None, float(np.float32(5e15))),
    "int16": (holed(TERRAIN, -32768).astype(np.int16), None, -32768.0),
    "uint16": (holed(TERRAIN, 65535).astype(np.uint16), None, 65535.0),
    "the tag": (holed(TERRAIN, 0), "0", 0.0),
    "the tag is nan": (holed(TERRAIN, np.nan), "nan", "nan"),
    "the tag is the lowest double": (holed(TERRAIN, -np.inf), "-1.7976931348623157e+308", -1.7976931348623157e308),
    "five bands": (np.repeat(holed(TERRAIN, -9999), 5, 2), None, -9999.0),
    "a tag that 16 bits cannot hold": (TERRAIN.astype(np.uint16), "-9999", None),
    "depths below -9999": (holed(TERRAIN * 12 - 11000, -9999), None, None),
    "a saturated sensor": (holed(TERRAIN * 60, 65535).astype(np.uint16), None, None),
    "a mask of 0 and 65535": (holed(np.zeros_like(TERRAIN), 65535).astype(np.uint16), None, None),
    "0 and 1": (holed(np.zeros_like(TERRAIN), 1), None, None),
}


@pytest.mark.parametrize("case", FOUND)
def test_missing_values_are_found_in_the_files_and_leave_the_range_alone(tmp_path, case):
    pixels, tag, nodata = FOUND[case]
    found = formats_of(tmp_path, pixels, tag=tag)
    fmt = found.target
    assert fmt.nodata == nodata
    assert any("nodata" in note for note in found.notes) == (nodata is not None)
    assert PairFormat.from_dict(found.to_dict()) == PairFormat(found.input, fmt)
    decoded = decode(fmt, DecodedImage(pixels), "x")
    if nodata is not None:
        assert f"nodata {nodata if nodata == 'nan' else f'{nodata:g}'}" in str(fmt)
        assert -100 <= fmt.range[0] <= 100 and 880 <= fmt.range[1] <= 1023
        values = to_float(torch.from_numpy(decoded.transpose(2, 0, 1).copy())[None], fmt)
        assert values.isnan()[0, 0].numpy()[4:12, 6:20].all() and values.isnan().sum() == 8 * 14 * pixels.shape[2]
        np.testing.assert_array_equal(to_pixels(values, fmt)[0, 0].numpy()[4:12, 6:20], decoded[4:12, 6:20, 0])
        assert (preview(decoded, fmt)[4:12, 6:20] == 0).all()


def test_settings_decide_over_what_is_found(tmp_path):
    assert formats_of(tmp_path / "a", holed(TERRAIN, -9999), {"nodata": None}).target.nodata is None
    assert formats_of(tmp_path / "b", holed(TERRAIN, np.nan), {"nodata": "nan"}).target.nodata == "nan"
    with pytest.raises(DataError) as raised:
        formats_of(tmp_path / "c", holed(TERRAIN, np.nan))
    assert "data.target_format.nodata: nan" in str(raised.value)
    with pytest.raises(DataError) as raised:
        formats_of(tmp_path / "d", TERRAIN.astype(np.uint16), {"nodata": -1})
    assert "data.target_format.nodata" in str(raised.value)
    with pytest.raises(ConfigError) as refused:
        formats_of(tmp_path / "e", TERRAIN, {"kind": "mask", "nodata": -1})
    assert "data.target_format.nodata" in str(refused.value)


def test_formats_without_missing_values_are_written_as_before():
    assert {"nodata", "clip", "channel_ranges"}.isdisjoint(PairFormat().to_dict()["target"])


@pytest.mark.parametrize("size", [(64, 64), (20, 24), (11, 70)])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_resizing_never_blends_missing_values(size, interpolation):
    pixels = holed(TERRAIN, -9999)
    small = resized(FLOATS, pixels, size, interpolation)
    missing = small == -9999
    assert 0.5 < missing.mean() / (pixels == -9999).mean() < 1.5
    assert small[~missing].min() >= 0 and small[~missing].max() <= 1000
    flat = resized(FLOATS, np.where(pixels == -9999, pixels, np.float32(500)), size, interpolation)
    np.testing.assert_allclose(flat[flat != -9999], 500, rtol=1e-5)
    plain = resized(FLOATS, TERRAIN, size, interpolation)
    far = np.s_[size[0] * 3 // 4 :, size[1] * 7 // 8 :]
    np.testing.assert_allclose(small[far], plain[far], rtol=1e-3)


def test_augmentation_never_blends_missing_values():
    fmt = ImageFormat(channels=3, dtype="float32", range=(0.0, 1000.0), suffix=".tif", nodata=-9999.0)
    pixels = holed(np.full((44, 44, 3), 500, np.float32), -9999)
    images = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].repeat(2, 1, 1, 1)
    batch = {"input": images, "target": images, "flip": torch.tensor([True, False])}
    batch |= {"warp": torch.tensor([[0.9, 0.3], [1.1, -0.2]]), "colour": torch.tensor([[1.0, 1, 1, 0]] * 2)}
    for key, found in augment_batch(batch, torch.device("cpu"), EVERYTHING, (32, 32), PairFormat((fmt,), fmt)).items():
        missing = found == -9999
        assert missing.any() and not missing.all(), key
        torch.testing.assert_close(found[~missing], torch.full_like(found[~missing], 500), rtol=1e-4, atol=0.01)


def test_percentiles_clip_and_may_differ_by_channel(tmp_path):
    bands = np.concatenate([TERRAIN, TERRAIN * 100], 2)
    bands[0, 0] = 1e7
    wish = {"percentiles": [5, 95]}
    both = formats_of(tmp_path / "a", bands, {"range": wish}).target
    assert both.clip and both.channel_ranges is None
    assert both.range == pytest.approx(tuple(np.percentile(bands, [5, 95])), rel=1e-5)
    each = formats_of(tmp_path / "b", bands, {"range": wish | {"by_channel": True}}).target
    expected = np.percentile(bands.reshape(-1, 2), [5, 95], axis=0).T
    np.testing.assert_allclose(each.channel_ranges, expected, rtol=1e-5)
    decoded = decode(each, DecodedImage(bands), "x")
    values = to_float(torch.from_numpy(decoded.transpose(2, 0, 1).copy())[None], each)
    assert values.amin((0, 2, 3)).tolist() == pytest.approx([-1, -1], abs=1e-6)
    assert values.amax((0, 2, 3)).tolist() == pytest.approx([1, 1], abs=1e-6)
    back = to_pixels(values, each)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(back, bands.clip(*each_limits(each)), rtol=1e-5)
    assert PairFormat.from_dict(PairFormat((each,), each).to_dict()).target == each
    whole = formats_of(tmp_path / "c", TERRAIN.astype(np.uint16), {"range": wish}).target
    assert all(end == int(end) for end in whole.range)
    with pytest.raises(ConfigError) as raised:
        formats_of(tmp_path / "d", bands, {"range": {"percentiles": [95, 5]}})
    assert "data.target_format.range" in str(raised.value)


def each_limits(fmt: ImageFormat) -> np.ndarray:
    return np.array(fmt.channel_ranges, np.float32).T


def test_a_range_that_few_values_need_is_noted(tmp_path):
    assert not formats_of(tmp_path / "a", TERRAIN).notes
    pixels = TERRAIN.repeat(2, 0).repeat(2, 1)
    pixels[0, 0] = 90000
    (note,) = formats_of(tmp_path / "b", pixels).notes
    assert "data.target_format.range: {percentiles: [0.1, 99.9]}" in note


@pytest.mark.parametrize("value", ["wide", [1], {"percentiles": [1, 101]}, {"percentile": [1, 2]}])
def test_another_range_is_refused_with_the_spellings_that_exist(value):
    with pytest.raises(ConfigError) as raised:
        config_from_dict({"data": {"layout": "synthetic", "target_format": {"range": value}}}, "test")
    assert "data.target_format.range" in str(raised.value) and "{percentiles: [1, 99]" in str(raised.value)
