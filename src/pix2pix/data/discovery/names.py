"""The parts of file names: tokens, affixes, and keys under which names of different spelling are equal.

A name is a path relative to the folder of its side, with `/`, without the extension of the file.
"""

import re
from collections.abc import Sequence

_SEPARATORS = " _-.+()[]{}~,;@#'!&=%$^"
_TOKEN = re.compile(r"\d+|[A-Z]*[^\W\d_A-Z]+|[A-Z]+")  # a number or a word; labelIds is two words
_PURE_NUMBER = re.compile(r"(?<![^\W_])\d+(?![^\W_])")
_MOST_OPTIONS = 8  # of the prefixes and of the suffixes of a side


def split_folder(name: str) -> tuple[str, str]:
    """Split a name into its folder, with the `/`, and the name of the file."""
    folder, slash, base = name.rpartition("/")
    return folder + slash, base


def normalized(text: str) -> str:
    """Return the text in lower case, its numbers without leading zeros."""
    return re.sub(r"\d+", lambda number: number[0].lstrip("0") or "0", text.casefold())


def trimmed(text: str) -> str:
    """Return the text without separators at its ends."""
    return text.strip(_SEPARATORS)


def tokens(text: str) -> list[str]:
    """Return the words and the numbers of a text, normalized, in order."""
    return [normalized(token) for token in _TOKEN.findall(text)]


def pure_numbers(text: str) -> list[int]:
    """Return the numbers in a text that are not part of a word such as `manual1`."""
    return [int(number) for number in _PURE_NUMBER.findall(text)]


def token_ends(base: str) -> list[int]:
    """Return where the tokens of a name end."""
    return [token.end() for token in _TOKEN.finditer(base)]


def token_starts(base: str) -> list[int]:
    """Return where the tokens of a name start."""
    return [token.start() for token in _TOKEN.finditer(base)]


def affix_options(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the (prefix, suffix) that all names of a side have in common, cut between tokens, the shortest first."""
    bases = [split_folder(name)[1] for name in names]
    first, prefix = bases[0], len(_common_start(bases))
    suffix = len(_common_start([base[::-1] for base in bases]))
    starts = {start for start in token_starts(first) if start <= prefix}
    if prefix in starts and any(_inside_token(base, prefix) for base in bases):
        starts.remove(prefix)
    ends = {len(first) - end for end in token_ends(first) if len(first) - end <= suffix}
    if suffix in ends and any(_inside_token(base, len(base) - suffix) for base in bases):
        ends.remove(suffix)
    prefixes = [first[:start] for start in sorted({0, *starts})[-_MOST_OPTIONS:]]
    suffixes = [first[len(first) - end :] for end in sorted({0, *ends})[-_MOST_OPTIONS:]]
    return sorted(((p, s) for p in prefixes for s in suffixes), key=lambda option: sum(map(len, option)))


def shared_affixes(options: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Return the start of all prefixes and the end of all suffixes, cut between tokens."""
    prefixes, suffixes = zip(*options, strict=True)
    prefix = _common_start(prefixes)
    cuts = {0, len(prefixes[0]), *token_starts(prefixes[0])}
    start = max(cut for cut in cuts if cut <= len(prefix) and not any(_inside_token(p, cut) for p in prefixes))
    suffix = _common_start([suffix[::-1] for suffix in suffixes])
    lengths = {0, len(suffixes[0]), *(len(suffixes[0]) - end for end in token_ends(suffixes[0]))}
    end = max(n for n in lengths if n <= len(suffix) and not any(_inside_token(s, len(s) - n) for s in suffixes))
    return prefix[:start], suffixes[0][len(suffixes[0]) - end :]


def without_affixes(name: str, prefix: str, suffix: str) -> str:
    """Return the name without a prefix and a suffix of its last part; "" where nothing or too little is left."""
    folder, base = split_folder(name)
    if not base.startswith(prefix) or not base.endswith(suffix) or len(base) <= len(prefix) + len(suffix):
        return ""
    core = trimmed(base[len(prefix) : len(base) - len(suffix)])
    return folder + core if core else ""


def _common_start(texts: Sequence[str]) -> str:
    """Return the characters that all texts start with."""
    low, high = min(texts), max(texts)  # all others are between them
    return low[: next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))]


def _inside_token(base: str, position: int) -> bool:
    """Return whether a position in a name is between two characters of one token."""
    if not 0 < position < len(base):
        return False
    pair = base[position - 1 : position + 1]
    return token_starts(pair) == [0] and token_ends(pair) == [2]
