"""Manifests: pairs as they are listed, and every way in which a list can be wrong, with its line."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import SETTINGS, overrides, picture, pix2pix
from making import noise, save

from pix2pix.config import DataConfig
from pix2pix.data import PairedDataset
from pix2pix.data.index import DatasetIndex
from pix2pix.errors import DataError

SIZE = (4, 6)


@pytest.fixture(autouse=True)
def pictures(tmp_path, monkeypatch) -> None:
    """in/0.png ... in/3.png, out/0.png ... out/3.png, deep/er/4.png and far.jpg, seeds by name."""
    monkeypatch.chdir(tmp_path)
    for index in range(4):
        save(Path(f"in/{index}.png"), noise(*SIZE, index))
        save(Path(f"out/{index}.png"), noise(*SIZE, 10 + index))
    save(Path("deep/er/4.png"), noise(*SIZE, 4))


def write(name: str, rows: list[dict[str, str]]) -> str:
    """Writes rows as the kind of file that the name says."""
    if name.endswith(".csv"):
        lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    else:
        lines = [json.dumps(row) for row in rows]
    Path(name).write_text("\n".join(lines) + "\n")
    return name


def check(data: PairedDataset, want: dict[str, tuple[int, int]]) -> None:
    """Exactly these pairs with pictures of these seeds."""
    assert data.layout == "manifest"
    items = [data[i] for i in range(len(data))]
    assert [item["name"] for item in items] == list(want)
    for item in items:
        for side, seed in zip(("input", "target"), want[item["name"]], strict=True):
            np.testing.assert_array_equal(item[side].permute(1, 2, 0).numpy(), noise(*SIZE, seed))


ROWS = [
    {"input": "in/0.png", "target": "out/3.png", "split": "train"},
    {"input": "out/1.png", "target": "in/1.png", "split": "val"},
    {"input": "deep/er/4.png", "target": "out/2.png", "split": "train"},
]


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".CSV"])
@pytest.mark.parametrize("layout", ["auto", "manifest"])
def test_pairs_as_listed(kind, layout):
    file = write(f"m{kind}".replace(".CSV", ".csv"), ROWS)
    if kind == ".CSV":
        file = str(Path(file).rename("m.CSV"))
    for where in ({"manifest": file}, {"root": file}, {"root": ".", "manifest": file}):
        check(PairedDataset.from_folder(**where, layout=layout), {"deep/er/4": (4, 12), "in/0": (0, 13)})
        check(PairedDataset.from_folder(**where, split="val", layout=layout), {"out/1": (11, 1)})
        assert DatasetIndex.scan(DataConfig(**where, layout=layout)).splits == ["train", "val"]
    with pytest.raises(DataError, match="lists no pairs of test; it has train, val"):
        PairedDataset.from_folder(file, "test")
    layout = str(DatasetIndex.scan(DataConfig(manifest=file)).layout())
    assert layout.startswith("input and target as listed; the column 'input' is the input")


def test_paths_are_relative_to_the_manifest_or_absolute(tmp_path):
    Path("lists").mkdir()
    absolute = str(tmp_path / "out/0.png")
    write("lists/m.csv", [{"input": "../in/0.png", "target": absolute}, {"input": absolute, "target": "../in/1.png"}])
    name = "out/0"
    check(
        PairedDataset.from_folder("lists/m.csv", val_fraction=0.0),
        dict(sorted({"in/0": (0, 10), name: (10, 1)}.items())),
    )
    check(
        PairedDataset.from_folder("lists", manifest="m.csv", val_fraction=0.0),
        dict(sorted({"in/0": (0, 10), name: (10, 1)}.items())),
    )


def test_a_table_as_people_write_them():
    text = '\ufeffINPUT,Id, Target \r\nin/0.png ,7, out/0.png\r\n\r\n"in/1.png",8,"out/1.png"\r\n,,\r\n'
    Path("m.csv").write_text(text, encoding="utf-8", newline="")
    check(PairedDataset.from_folder("m.csv", val_fraction=0.0), {"in/0": (0, 10), "in/1": (1, 11)})
    Path("m.jsonl").write_text('\n{"input": "in/2.png", "target": "out/2.png", "split": null, "id": 3}\n\n')
    check(PairedDataset.from_folder("m.jsonl", val_fraction=0.0), {"in/2": (2, 12)})


def test_an_input_with_several_targets_stays_in_one_split():
    rows = [{"input": f"in/{i}.png", "target": f"out/{j}.png"} for i in range(4) for j in range(4)]
    data = DataConfig(root=write("m.csv", rows), val_fraction=0.5)
    train, val = ({pair.name for pair in DatasetIndex.scan(data).pairs(split, SIZE)} for split in ("train", "val"))
    assert train | val == {f"in/{i}--{j}" for i in range(4) for j in range(4)} and len(train) + len(val) == 16
    assert train and val and not {name.split("--")[0] for name in train} & {name.split("--")[0] for name in val}
    assert str(DatasetIndex.scan(data).layout()).endswith(
        "; no split val: 4 training pairs held out for validation (data.val_fraction 0.5), picked by name"
    )


CSV = "input,target,split\nin/0.png,out/0.png,train\n"


@pytest.mark.parametrize(
    ("name", "text", "place", "named"),
    [
        ("m.csv", "", "m.csv", ""),
        ("m.csv", "input,target\n", "m.csv", ""),
        ("m.csv", "left,target\nin/0.png,out/0.png\n", "m.csv:1", "data.columns.input"),
        ("m.csv", "image,photo,mask\nin/0.png,in/1.png,out/0.png\n", "m.csv:1", "image, photo"),
        ("m.csv", "input,target,Input\nin/0.png,out/0.png,in/1.png\n", "m.csv:1", "data.columns.input"),
        ("m.csv", "image,label\nin/0.png,7\n", "m.csv:1", "data.columns.target"),
        ("m.csv", "in/0.png\nin/1.png\n", "m.csv:1", "1 cells"),
        ("m.csv", "in/0.png,out/0.png,train,7\n", "m.csv:1", "4 cells"),
        ("m.csv", CSV + "in/1.png,out/1.png\n", "m.csv:3", "2 cells"),
        ("m.csv", CSV + "in/1.png,,val\n", "m.csv:3", "target"),
        ("m.csv", CSV + "\n\nin/1.png,out/1.png,value\n", "m.csv:5", "'value'"),
        ("m.csv", CSV + "in/1.png,out/1.png,\n", "m.csv:3", "no split"),
        ("m.csv", CSV + "in/1.png,out/1.txt,val\n", "m.csv:3", "'out/1.txt'"),
        ("m.csv", CSV + "in/0.png,out/0.png,train\n", "m.csv:3", "m.csv:2"),
        ("m.csv", CSV + "./in/0.png,out/../out/0.png,val\n", "m.csv:3", "m.csv:2"),
        ("m.csv", CSV + "in/0.png,in/1.png,train\n" + "in/0.png,out/1.png,train\n", "m.csv:4", "in/0--1"),
        ("m.csv", CSV + "in/8.png,out/9.png,val\n", "m.csv", "2 files that do not exist: m.csv:3 in/8.png, m.csv:3"),
        ("m.csv", CSV + 'in/1.png,"out/1.png,val\n', "m.csv:3", "quotes"),
        ("m.csv", CSV + "in/1.png,out/1\0.png,val\n", "m.csv", "m.csv:3"),
        ("m.csv", b"input,target\n\xff\xfe,out/0.png\n", "m.csv", "UTF-8"),
        ("m.jsonl", "", "m.jsonl", ""),
        ("m.jsonl", '{"input": "in/0.png", "target": "out/0.png"}\n{"input": ', "m.jsonl:2", "JSON"),
        ("m.jsonl", "[1]", "m.jsonl:1", "JSON"),
        ("m.jsonl", '\n{"input": "in/0.png", "b": "out/0.png"}', "m.jsonl:1", "data.columns.target"),
        ("m.jsonl", '{"input": 5, "target": "out/0.png"}', "m.jsonl:1", "input is 5"),
        ("m.jsonl", '{"input": null, "target": "out/0.png"}', "m.jsonl:1", "input"),
        ("m.jsonl", '{"input": "in/0.png", "target": "out/0.png", "split": ["val"]}', "m.jsonl:1", "['val']"),
        ("m.json", "[]", "m.json", ".jsonl"),
        ("m.parquet", "input\n", "m.parquet", "damaged"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(name, text, place, named):
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError) as caught:
        DatasetIndex.scan(DataConfig(manifest=name)).pairs("train", SIZE)
    assert str(caught.value.path) == place and named in caught.value.detail and caught.value.remedy, caught.value


def test_many_missing_files_are_counted():
    write("m.csv", [{"input": f"in/{i}.png", "target": "out/0.png"} for i in range(30)])
    with pytest.raises(DataError, match=r"lists 26 files that do not exist: m.csv:6 in/4.png.*in/13.png and 16 more"):
        DatasetIndex.scan(DataConfig(root="m.csv")).pairs("train", SIZE)


def test_a_manifest_that_is_not_there_or_a_folder():
    Path("d.csv").mkdir()
    for name, words in (("gone.csv", "gone.csv: no such file; fix data.manifest"), ("d.csv", "d.csv: cannot be read")):
        with pytest.raises(DataError, match=words):
            DatasetIndex.scan(DataConfig(manifest=name))
    with pytest.raises(DataError, match=r"x/m.csv: no such file"):
        DatasetIndex.scan(DataConfig(root="x", manifest="m.csv"))


def test_direction_contradicts_the_columns():
    file = write("m.csv", ROWS)
    with pytest.raises(DataError, match=r"m.csv: .* data.direction b2a"):
        PairedDataset.from_folder(file, direction="b2a")
    check(PairedDataset.from_folder(file, "val", "a2b"), {"out/1": (11, 1)})


def test_training_and_sampling_by_a_manifest():
    rows = []
    for index, split in enumerate(("train", "train", "test")):
        picture(f"p/{index}.png", seed=index), picture(f"q/{index}.png", seed=5 + index)
        rows.append({"input": f"p/{index}.png", "target": f"q/{index}.png", "split": split})
    file = write("pairs.jsonl", rows)
    settings = SETTINGS | {"schedule.epochs": 1, "data.direction": None}
    result = pix2pix("train", "--config", "demo", *overrides(settings), "--data", file, "--output", "run")
    assert result.code == 0, result
    assert "pairs.jsonl, manifest: 1 pairs to train on, 1 of val to validate" in result.out
    sample = ("sample", "--weights", "run/gen.pt", "--output", "out")
    assert "1 translations in out/val" in pix2pix(*sample).out
    assert "1 translations in out/test" in pix2pix(*sample, "--split", "test").out and Path("out/test/p/2.png").exists()
    assert "1 translations in out/train" in pix2pix(*sample, "--data", file, "--split", "train").out
