"""The columns of manifests: found by name or position, or as configured, in every kind of table."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from making import noise, save
from pyarrow import parquet

from pix2pix.config import DataConfig, config_from_dict
from pix2pix.data import PairedDataset
from pix2pix.data.dataset import open_split
from pix2pix.data.images.files import read_image
from pix2pix.data.index import DatasetIndex
from pix2pix.errors import ConfigError, DataError

SIZE = (4, 6)


@pytest.fixture(autouse=True)
def pictures(tmp_path, monkeypatch) -> None:
    """in/0.png ... in/2.png with seeds 0 to 2, out/0.png ... out/2.png with seeds 10 to 12."""
    monkeypatch.chdir(tmp_path)
    for index in range(3):
        save(Path(f"in/{index}.png"), noise(*SIZE, index))
        save(Path(f"out/{index}.png"), noise(*SIZE, 10 + index))


def seeds(split: str = "train", **settings) -> dict[str, list[np.ndarray]]:
    """Return the seed of each image of each pair, by the name of the pair."""
    pairs = DatasetIndex.scan(DataConfig(**settings)).pairs(split, SIZE)
    known = {noise(*SIZE, seed).tobytes(): seed for seed in (0, 1, 2, 10, 11, 12)}
    return {pair.name: [known[image.pixels.tobytes()] for image in pair.images()] for pair in pairs}


ROWS = [
    ("in/0.png", "out/0.png", "training"),
    ("in/1.png", "out/1.png", "Validation"),
    ("in/2.png", "out/2.png", "train"),
]


@pytest.mark.parametrize(
    "header",
    [
        ("input", "target", "split"),
        ("image_path", "mask_path", "fold"),
        ("X", "y", "subset"),
        ("file_name", "label_file_name", "set"),
        ("source-img", "Target Image", "Split"),
        (),
    ],
)
@pytest.mark.parametrize(
    ("suffix", "delimiter"), [("csv", ","), ("csv", ";"), ("csv", "\t"), ("tsv", "\t"), ("txt", " ")]
)
def test_columns_by_name_or_position_in_any_table(header, suffix, delimiter):  # fmt: skip
    if suffix == "txt" and "Target Image" in header:
        header = [f'"{name}"' for name in header]
    lines = [delimiter.join(row) for row in ([header] if header else []) + ROWS]
    Path(f"m.{suffix}").write_text("\n".join(lines))
    assert seeds(root=f"m.{suffix}") == {"in/0": [0, 10], "in/2": [2, 12]}
    assert seeds("val", root=f"m.{suffix}") == {"in/1": [1, 11]}


def test_configured_columns_and_several_inputs():
    text = "image;left;right;mask;fold\n" + "".join(
        f"7;in/{i}.png;out/{i}.png;in/{(i + 1) % 3}.png;test\n" for i in range(3)
    )
    Path("m.csv").write_text(text)
    columns = {"input": "LEFT", "target": "right", "split": "fold"}
    assert seeds("test", root="m.csv", columns=columns) == {"in/0": [0, 10], "in/1": [1, 11], "in/2": [2, 12]}
    data = DataConfig(root="m.csv", columns={"input": ["left", "right"]})
    assert seeds("test", **data.model_dump(include={"root", "columns"}))["in/0"] == [0, 10, 1]
    item = open_split(data, "test", None)[0]
    assert np.array_equal(item["input_2"].permute(1, 2, 0).numpy(), noise(*SIZE, 10))


def test_a_number_is_no_split_and_a_column_of_folds_is_ignored():
    Path("m.csv").write_text("image,mask,fold\n" + "".join(f"in/{i}.png,out/{i}.png,{i}\n" for i in range(3)))
    assert len(seeds(root="m.csv", val_fraction=0.0)) == 3
    with pytest.raises(DataError) as caught:
        seeds(root="m.csv", columns={"split": "fold"})
    assert caught.value.path == "m.csv:2" and "data.columns.split" in caught.value.remedy


def test_relative_and_absolute_paths_give_the_same_names_and_splits(tmp_path):
    rows = [(f"in/{i}.png", f"out/{i}.png") for i in range(3)]
    Path("r.csv").write_text("\n".join(",".join(row) for row in rows))
    Path("a.csv").write_text("\n".join(",".join(str(tmp_path / file) for file in row) for row in rows))
    for split in ("train", "val"):
        assert seeds(split, root="r.csv", val_fraction=0.4) == seeds(
            split, root=str(tmp_path / "a.csv"), val_fraction=0.4
        )


@pytest.mark.parametrize("kind", ["metadata.jsonl", "metadata.csv"])
@pytest.mark.parametrize("by_split", [True, False])
def test_hugging_face_metadata_in_a_folder(kind, by_split):
    for folder, numbers in (("train", (0, 2)), ("validation", (1,))) if by_split else (("", (0, 1, 2)),):
        rows = [{"file_name": f"{i}.png", "mask_file_name": f"masks/{i}.png"} for i in numbers]
        for i in numbers:
            save(Path("hf", folder, f"{i}.png"), noise(*SIZE, i))
            save(Path("hf", folder, f"masks/{i}.png"), noise(*SIZE, 10 + i))
        lines = [json.dumps(row) for row in rows]
        if kind.endswith("csv"):
            lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
        Path("hf", folder, kind).write_text("\n".join(lines))
    want = {"0": [0, 10], "1": [1, 11], "2": [2, 12]}
    if by_split:
        assert seeds("val", root="hf") == {"1": want.pop("1")}
    assert seeds(root="hf", val_fraction=0.0) == want


def write_parquet(path: str, numbers: range = range(3), as_struct: bool = True, **options) -> None:
    def cells(folder: str) -> list:
        data = [Path(folder, f"{i}.png").read_bytes() for i in numbers]
        named = [{"bytes": some, "path": f"{i}.png"} for i, some in zip(numbers, data, strict=True)]
        return named if as_struct else data

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(
        pa.table({"text": ["a"] * len(numbers), "image": cells("in"), "mask": cells("out")}), path, **options
    )


@pytest.mark.parametrize("as_struct", [True, False])
@pytest.mark.parametrize("row_group_size", [1, 2, 100])
def test_parquet_with_images(as_struct, row_group_size):
    write_parquet("m.parquet", as_struct=as_struct, row_group_size=row_group_size)
    assert seeds(root="m.parquet", val_fraction=0.0) == {"0": [0, 10], "1": [1, 11], "2": [2, 12]}
    data = PairedDataset.from_folder("m.parquet", val_fraction=0.0)
    assert data.files(2) == ["m.parquet/2/image.png", "m.parquet/2/mask.png"]
    before = data.fingerprint()
    write_parquet("m.parquet", range(2, -1, -1), as_struct)
    assert np.array_equal(read_image("m.parquet/0/image.png").pixels, noise(*SIZE, 2))
    assert PairedDataset.from_folder("m.parquet", val_fraction=0.0).fingerprint() != before


def test_parquet_files_of_a_folder_are_its_splits():
    write_parquet("hf/data/train-00000-of-00002.parquet", range(0, 1))
    write_parquet("hf/data/train-00001-of-00002.parquet", range(1, 2))
    write_parquet("hf/data/validation-00000-of-00001.parquet", range(2, 3))
    assert seeds(root="hf") == {"0": [0, 10], "1": [1, 11]} and seeds("val", root="hf") == {"2": [2, 12]}


def test_a_row_without_bytes_is_named():
    table = pa.table({"image": [{"bytes": b"\x89PNG", "path": "0.png"}, {"bytes": None, "path": "1.png"}]})
    parquet.write_table(table, "m.parquet")
    for row, named in ((0, "can be read"), (1, "has no bytes")):
        with pytest.raises(DataError) as caught:
            read_image(f"m.parquet/{row}/image.png")
        assert str(caught.value.path) == f"m.parquet/{row}/image.png" and named in caught.value.reason


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ({"columns": {"input": "a", "target": " A"}}, ["data.columns.input", "data.columns.target"]),
        ({"columns": {"input": ["a", "b"], "split": "b"}}, ["data.columns.input", "data.columns.split"]),
        ({"columns": {"target": "a"}, "layout": "two-folders"}, ["data.columns", "data.layout"]),
        ({"columns": {"target": "a"}, "input": "x", "target": "y"}, ["data.columns", "data.input"]),
        ({"manifest": "m.csv", "layout": "two-folders"}, ["data.layout", "data.manifest"]),
        ({"columns": {"inputs": "a"}}, ["input"]),
    ],
)
def test_settings_that_contradict_each_other(settings, keys):
    with pytest.raises(ConfigError) as caught:
        config_from_dict({"data": {"root": "data", **settings}}, "test")
    assert caught.value.exit_code == 2 and all(key in str(caught.value) for key in keys), caught.value


def test_columns_that_are_missing_and_columns_of_no_manifest():
    Path("m.csv").write_text("image,mask\nin/0.png,out/0.png\n")
    with pytest.raises(DataError) as caught:
        seeds(root="m.csv", columns={"target": "gt"})
    assert caught.value.code == "columns" and "data.columns.target" in caught.value.reason
    assert caught.value.path == "m.csv:1" and "image, mask" in caught.value.remedy
    with pytest.raises(DataError) as caught:
        seeds(root="in", columns={"target": "gt"})
    assert caught.value.code == "manifest" and "data.columns" in caught.value.remedy


def test_paths_of_windows_and_a_split_that_only_its_cells_tell():
    lines = [
        "Bild,Maske,Datensatz",
        *(f"in\\{i}.png,.\\out\\{i}.png,{s}" for i, s in enumerate(("Train", "VALID", "train"))),
    ]
    Path("pairs.csv").write_text("\n".join(lines))
    columns = {"input": "Bild", "target": "Maske"}
    assert seeds(manifest="pairs.csv", columns=columns) == {"in/0": [0, 10], "in/2": [2, 12]}
    assert seeds("val", manifest="pairs.csv", columns=columns) == {"in/1": [1, 11]}
    evidence = DatasetIndex.scan(DataConfig(manifest="pairs.csv", columns=columns)).layout().evidence
    assert evidence == "the column 'Bild' is the input and 'Maske' the target; 'Datensatz' is the split"


def test_one_column_of_images_is_not_proposed_for_both_sides():
    Path("pairs.jsonl").write_text("\n".join(json.dumps({"file_name": f"in/{i}.png", "text": "a"}) for i in range(3)))
    with pytest.raises(DataError) as caught:
        seeds(manifest="pairs.jsonl")
    assert caught.value.code == "columns"
    assert caught.value.remedy.startswith("add a column")
