"""The choice of the pairs that are held out for validation."""

import hashlib
from collections.abc import Iterable


def held_out_keys(keys: Iterable[str], fraction: float) -> frozenset[str]:
    """Choose the keys of the validation pairs by a hash of each key, so that the choice is stable as a data set grows.

    If `fraction` is above 0 and there are two or more keys, at least one is chosen (that of the smallest hash), and
    never all of them.
    """
    numbers = {key: int.from_bytes(_digest(key)[:8], "big") for key in keys}
    order = sorted(numbers, key=lambda key: (numbers[key], key))
    if fraction == 0 or len(order) < 2:
        return frozenset()
    count = sum(number < fraction * 2**64 for number in numbers.values())
    return frozenset(order[: min(max(count, 1), len(order) - 1)])


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
