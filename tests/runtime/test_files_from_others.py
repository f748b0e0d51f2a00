"""Foreign text is shown escaped, and foreign files are opened only where they are files."""

import io
import os
import pickle

import pytest
from making import noise, save
from PIL import Image

from pix2pix.data.images import info as headers
from pix2pix.data.images import jpeg
from pix2pix.data.images.files import read_image, read_info
from pix2pix.errors import ConfigError, DataError
from pix2pix.runtime.log import write_line
from pix2pix.runtime.opening import create_new, open_regular, open_trusted, read_regular
from pix2pix.text import LONGEST, show_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 그림 \\ 🙂", "plain é 그림 \\ 🙂"),
        ("a\x1b[2Jb\n\r\tc", r"a\x1b[2Jb\n\r\tc"),
        ("\u202egnp\u2028\x9b", r"\u202egnp\u2028\x9b"),
        ("\udcff", r"\udcff"),
        (5, "5"),
    ],
)
def test_text_is_shown_on_one_line(text, shown):
    assert show_text(text) == shown and show_text(shown) == shown


def test_long_text_keeps_its_ends():
    shown = show_text("a" * LONGEST + "z" * LONGEST)
    assert len(shown) == LONGEST and shown.startswith("aa") and shown.endswith("zz") and show_text(shown) == shown


def test_an_error_has_a_line_an_argument():
    error = ConfigError("a\nb", "  c")
    assert str(error) == "a\\nb\n  c" and str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_stream_without_the_characters():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    write_line("\n".join(map(show_text, ["그림\n", "b"])), stream)
    assert raw.getvalue() == b"\\uadf8\\ub9bc\\n\nb\n"


def test_only_regular_files_are_opened(tmp_path):
    file, fifo, link = tmp_path / "file", tmp_path / "fifo", tmp_path / "link"
    file.write_bytes(b"12345")
    os.mkfifo(fifo)
    link.symlink_to("file")
    with open_regular(link) as opened:
        assert opened.read() == b"12345"
    assert read_regular(file, 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_regular(file, 4)
    for path, what in ((fifo, "a FIFO"), (tmp_path, "a folder"), ("/dev/zero", "a device")):
        with pytest.raises(OSError, match=what):
            open_regular(path)
    with pytest.raises(OSError, match="a link"):
        open_trusted(link)
    with pytest.raises(OSError, match="a FIFO"):
        open_trusted(fifo)
    with pytest.raises(FileExistsError):
        create_new(link)
    assert file.read_bytes() == b"12345"


def _jpeg(**options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(noise(80, 100, 3)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


WAYS = {"baseline": {}, "progressive": {"progressive": True}, "restarts": {"restart_marker_blocks": 3}}


@pytest.mark.parametrize("way", WAYS)
def test_a_jpeg_with_half_of_its_data_is_refused(tmp_path, way):
    data = _jpeg(**WAYS[way])
    path = tmp_path / "a.jpg"
    for whole in (data, data + b"trailer", data[:-2] + b"\xff\xff" + data[-2:]):
        path.write_bytes(whole)
        assert read_image(path).pixels.shape == (80, 100, 3)
    path.write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    with pytest.raises(
        DataError, match=r"a\.jpg: cannot be read as an image \((its pixels are damaged|image file is tr)"
    ):
        read_image(path)


def test_a_jpeg_with_more_data_than_pixels_is_refused(tmp_path):
    data, path = _jpeg(), tmp_path / "a.jpg"
    path.write_bytes(data[:-2] + b"\x35" * 64 + data[-2:])
    with pytest.raises(DataError, match="data is left behind"):
        read_image(path)


def test_endless_headers_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(headers, "MOST_PAGES", 3)
    monkeypatch.setattr(jpeg, "MOST_SEGMENTS", 12)
    pages = [Image.new("RGB", (8, 8))] * 4
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:3])
    assert read_info(tmp_path / "a.tif").frames == 3
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    save(tmp_path / "a.jpg", noise(8, 8, 0))
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xe1\0\3x" * 12 + data[2:])
    for name, what in (("a.tif", "more than 3 pages"), ("a.jpg", "more than 12 segments")):
        for read in (read_info, read_image):
            with pytest.raises(DataError, match=what):
                read(tmp_path / name)
