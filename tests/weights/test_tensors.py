"""Files of tensors: read as torch.load reads them, and nothing else is read."""

import io
import os
import pickle
import time
import zipfile

import pytest
import torch

from pix2pix.errors import CheckpointError, ConfigError
from pix2pix.runtime.io import output_path
from pix2pix.runtime.plain_pickle import MOST_OPERATIONS, parse
from pix2pix.runtime.tensors import read_tensors
from pix2pix.weights.format import load_generator_file


def _value() -> dict:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 3, 8, 8)).sum().backward()
    optimizer.step()
    tensors = [torch.arange(12.0).reshape(3, 4).T[1:], torch.zeros(0), torch.tensor(3), torch.ones(2, 0, 3)]
    tensors += [
        torch.ones(5, dtype=getattr(torch, name)) for name in ("float16", "bfloat16", "float64", "uint8", "bool")
    ]
    plain = {"x": 2**70, "f": 1.5, "t": (1, (2, None)), "l": [True, "\u00e4"], 3: {}}
    return {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "tensors": tensors, **plain}


def _same(a: object, b: object) -> None:
    if isinstance(b, dict):
        assert list(a) == list(b)
        a, b = list(a.values()), list(b.values())
    if isinstance(b, list | tuple):
        assert type(a) is type(b)
        for pair in zip(a, b, strict=True):
            _same(*pair)
    elif isinstance(b, torch.Tensor):
        assert torch.equal(a, b) and (a.dtype, a.stride()) == (b.dtype, b.stride())
    else:
        assert (a, type(a)) == (b, type(b))


@pytest.mark.parametrize("checksums", [True, False])
def test_it_is_read_as_torch_does(tmp_path, checksums):
    torch.manual_seed(0)
    torch.save(_value(), tmp_path / "a.pt")
    _same(read_tensors(tmp_path / "a.pt", checksums=checksums), torch.load(tmp_path / "a.pt", weights_only=True))


def test_on_meta_no_numbers_are_read(tmp_path):
    torch.save({"a": torch.ones(3, 4)}, tmp_path / "a.pt")
    tensor = read_tensors(tmp_path / "a.pt", "meta")["a"]
    assert tensor.is_meta and tensor.shape == (3, 4)


def test_numbers_that_tensors_share_are_shared(tmp_path):
    whole = torch.zeros(6)
    torch.save([whole, whole[2:]], tmp_path / "a.pt")
    one, two = read_tensors(tmp_path / "a.pt")
    two += 1
    assert one.tolist() == [0, 0, 1, 1, 1, 1]


def test_a_tensor_larger_than_its_numbers_is_refused(tmp_path):
    torch.save(torch.zeros(1).expand(1000), tmp_path / "a.pt")
    with pytest.raises(ValueError, match="is larger than its storage"):
        read_tensors(tmp_path / "a.pt")


def test_a_changed_number_is_refused_by_its_checksum(tmp_path):
    torch.save(torch.full((50,), 3.0), tmp_path / "a.pt")
    data = (tmp_path / "a.pt").read_bytes()
    number = torch.tensor(3.0).numpy().tobytes()
    (tmp_path / "a.pt").write_bytes(data.replace(number, b"\0" * 4, 1))
    with pytest.raises(ValueError, match="Bad CRC-32"):
        read_tensors(tmp_path / "a.pt")
    assert read_tensors(tmp_path / "a.pt", checksums=False)[0] == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: b"x" + data, "points elsewhere"),
        (lambda data: data + b"x", "bytes after its end"),
        (lambda data: data[:-1], "is not an archive"),
        (lambda data: data.replace(b"little", b"biggie"), "Bad CRC-32"),
        (lambda data: b"", "is not an archive"),
    ],
)
def test_other_archives_are_refused(tmp_path, change, words):
    buffer = io.BytesIO()
    torch.save({"a": 1}, buffer)
    (tmp_path / "a.pt").write_bytes(change(buffer.getvalue()))
    with pytest.raises(ValueError, match=words):
        read_tensors(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["x/data.pkl", "x/DATA.pkl"], "two entries of one name"),
        (["x/data.pkl", "y/version"], "outside its folder"),
        (["x/data.pkl", "y/data.pkl"], "holds 2 pickles"),
        (["x/data.PKL", "x/other.pkl"], "holds 0 pickles"),
    ],
)
def test_entries_that_readers_may_take_for_each_other_are_refused(tmp_path, names, words):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        for name in names:
            archive.writestr(name, pickle.dumps({}, 2))
    with pytest.raises(ValueError, match=words):
        read_tensors(tmp_path / "a.pt")


def test_an_archive_behind_something_else_is_refused(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps({"a": 1}, 2))
    (tmp_path / "a.pt").write_bytes(buffer.getvalue())
    assert read_tensors(tmp_path / "a.pt") == {"a": 1}
    (tmp_path / "a.pt").write_bytes(b"x" + buffer.getvalue())
    with pytest.raises(ValueError, match="bytes before its first entry"):
        read_tensors(tmp_path / "a.pt")


def _nested(value: object, times: int) -> object:
    for _ in range(times):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pickle.dumps(print, 2), "names"),
        (pickle.dumps({(1, 2): 3}, 2), "neither text nor whole numbers"),
        (pickle.dumps(_nested(1, 40), 2), "nested deeply"),
        (pickle.dumps(_nested(1, 25), 2), "repeated very often"),
        (pickle.dumps(["x" * 10**6] * 1000, 2), "repeated very often"),
        (b"\x80\x02ctorch\nFloatStorage\n.", "holds a class"),
        (b"\x80\x02N" + b"q\0" * MOST_OPERATIONS + b".", "operations"),
        (b"\x80\x02(N.", "ends within a value"),
        (b"\x80\x02NN.", "too many values"),
        (b"\x80\x02N", "exhausted before seeing STOP"),
        (pickle.dumps([1], 4), "FRAME|STACK_GLOBAL|MEMOIZE"),
        (bytes(5 << 20), "more than 4,194,304"),
    ],
)
def test_other_pickles_are_refused_soon(data, words):
    start = time.monotonic()
    with pytest.raises(ValueError, match=words):
        parse(data, None)
    assert time.monotonic() - start < 5


def test_outputs_stay_in_their_folder(tmp_path):
    folder, outside = tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    folder.mkdir()
    (folder / "link").symlink_to(outside, target_is_directory=True)
    (folder / "file.png").symlink_to(outside / "file.png")  # which is replaced, not followed
    for fine in ("a.png", "sub/deep/a.png", "sub/../a.png", "..a.png", "file.png"):
        assert output_path(folder, fine) == folder / fine
    for wrong in (
        "../a.png",
        "sub/../../a.png",
        "/a.png",
        f"{outside}/a.png",
        "link/a.png",
        "link/new/a.png",
        "..",
        "",
    ):
        with pytest.raises(ConfigError, match="nothing is written there"):
            output_path(folder, wrong)
    (tmp_path / "linked").symlink_to(folder, target_is_directory=True)  # a person's own choice
    assert output_path(tmp_path / "linked", "a.png") == tmp_path / "linked/a.png"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_fifo_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "gen.pt")
    with pytest.raises(CheckpointError) as caught:
        load_generator_file(tmp_path / "gen.pt")
    assert caught.value.exit_code == 4 and "gen.pt" in str(caught.value)
