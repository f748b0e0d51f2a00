"""Archives that are hostile, wrong or broken: refused, with nothing left of them, in their folder or beside it."""

import gzip
import tarfile

import pytest
from download_server import ARCHIVE, FILES, SLACK, archive, member, picture, refused, serving


@pytest.fixture
def server(monkeypatch):
    with serving(monkeypatch) as server:
        yield server


REGULAR, HEADER_BOMB = tarfile.REGTYPE, member("tiny/a", tarfile.REGTYPE)
HEADER_BOMB.pax_headers = {"comment": "0" * SLACK * len(ARCHIVE)}
MANY = tuple(member(f"tiny/{number}", tarfile.DIRTYPE) for number in range(SLACK * len(FILES)))
REFUSED = {
    "parent": (archive(FILES, member("../escaped.jpg", REGULAR)), "outside"),
    "parent inside": (archive(FILES, member("tiny/../../escaped.jpg", REGULAR)), "escaped.jpg"),
    "absolute": (archive(FILES, member("/tmp/escaped.jpg", REGULAR)), "outside"),
    "elsewhere": (archive(FILES, member("other/1.jpg", REGULAR)), "outside"),
    "symlink": (archive(FILES, member("tiny/link", tarfile.SYMTYPE, "/etc")), "a link"),
    "inner symlink": (archive(FILES, member("tiny/link", tarfile.SYMTYPE, "train")), "a link"),
    "hardlink": (archive(FILES, member("tiny/hard", tarfile.LNKTYPE, "tiny/train/1.jpg")), "a link"),
    "device": (archive(FILES, member("tiny/null", tarfile.CHRTYPE)), "a device"),
    "fifo": (archive(FILES, member("tiny/fifo", tarfile.FIFOTYPE)), "a device"),
    "bomb": (
        archive({**FILES, "tiny/zeros": bytes(SLACK * len(ARCHIVE))}),
        f"unpacks to more than {SLACK * len(ARCHIVE):,} bytes",
    ),
    "bomb in a header": (archive(FILES, HEADER_BOMB), f"unpacks to more than {SLACK * len(ARCHIVE):,} bytes"),
    "bomb behind the end": (
        ARCHIVE + gzip.compress(bytes(SLACK * len(ARCHIVE))),
        f"unpacks to more than {SLACK * len(ARCHIVE):,} bytes",
    ),
    "too many members": (archive(FILES, *MANY), "more than 120 files"),
    "empty": (b"", "is not the data set 'tiny'"),
    "web page": (b"<html>moved</html>", "is not the data set 'tiny'"),
    "no tar": (gzip.compress(b"not a tar" * 100), "is not the data set 'tiny'"),
    "truncated": (ARCHIVE[:-3000], "is not the data set 'tiny'"),
    "checksum": (ARCHIVE[:-8] + bytes(8), "is not the data set 'tiny'"),
    "broken image": (archive({**FILES, "tiny/val/1.jpg": picture(0)[:300]}), ": tiny/val/1.jpg: "),
    "one column": (archive({**FILES, "tiny/val/1.jpg": picture(0, 1)}), "tiny/val/1.jpg: is 1 pixels wide"),
    "odd width": (archive({**FILES, "tiny/val/1.jpg": picture(0, 63)}), "tiny/val/1.jpg: is 63 pixels wide"),
    "pair missing": (archive(dict(list(FILES.items())[1:])), "train holds 2 pairs instead of 3"),
    "pair too many": (archive({**FILES, "tiny/val/9.jpg": picture(9)}), "val holds 2 pairs instead of 1"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_archive(server, tmp_path, kind):
    server.body, words = REFUSED[kind]
    refused(tmp_path, words)
