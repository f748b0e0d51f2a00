"""Whether two runs saw the same pairs, told without reading them."""

import hashlib
from collections.abc import Sequence

from pix2pix.data.pairs import Pair
from pix2pix.errors import DataError


def fingerprint(pairs: Sequence[Pair]) -> str:
    """A word that changes with the pairs' number, order and names, and with their files' names and sizes.

    Not with where the data lie or when they were copied there. Raises DataError where a file is gone.
    """
    digest = hashlib.sha256()
    for pair in pairs:
        files = [(path.name, _size(path)) for path in pair.files]
        digest.update(repr((pair.name, files or vars(pair))).encode("utf-8", "surrogatepass"))
    return f"{len(pairs)} pairs {digest.hexdigest()[:32]}"


def _size(path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); mend or remove it") from None
