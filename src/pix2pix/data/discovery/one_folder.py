"""Match the two files of each pair in one folder, such as `1.png` and `1_mask.png`, or `photo_1` and `label_1`."""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import combinations

from pix2pix.data.discovery.matching import Ambiguity, Match, Names
from pix2pix.data.discovery.names import normalized, split_folder, token_ends, token_starts, tokens, trimmed
from pix2pix.data.discovery.words import INPUTS, KINDS, PICTURES, TARGETS

_INPUT, _TARGET = INPUTS | PICTURES, TARGETS | KINDS
_ROLES = ((_INPUT, _TARGET, True), (INPUTS, PICTURES, True), ({"x"}, {"y"}, True), ({"a"}, {"b"}, False))
_MOST_FAMILIES = 6
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class OneFolderMatch:
    """Pairs in one folder. `has_roles`: whether the names show which file is the input; otherwise they show A and B."""

    match: Match
    has_roles: bool


def differ_in_numbers_alone(names: Names) -> bool:
    """Return whether names differ only in their numbers, so that they cannot be of two kinds."""
    return len({_NUMBER.sub("0", name) for name in names}) < 2


def match_one_folder(names: Names) -> OneFolderMatch | Ambiguity | None:
    """Pair the files of one folder by the text before or after a common id.

    A family is the names that fit one pattern, such as `{id}_mask`. Returns None unless two families pair most of the
    files. Returns an Ambiguity if there are more families, or if the names do not show which file is the input.
    """
    families = _families(names)
    matches: dict[frozenset[tuple[str, ...]], tuple[str, str]] = {}
    for first, second in combinations(sorted(families, key=lambda pattern: (len(pattern), pattern)), 2):
        sides = _apart(families[first], families[second])
        if sides is None:
            continue
        pairs = {(sides[0][key], sides[1][key]) for key in sides[0].keys() & sides[1].keys()}
        smaller, covered = min(map(len, sides)), 2 * len(pairs)
        if pairs and covered > smaller and len(names) <= covered * _MOST_FAMILIES / 2:
            matches.setdefault(frozenset(tuple(sorted(pair)) for pair in pairs), (first, second))
    if not matches:
        return None
    chosen = [patterns for pairs, patterns in matches.items() if len(pairs) * 2 == len(names)] or [*matches.values()]
    roles = {patterns: _roles(*patterns) for patterns in chosen}
    known = [patterns for patterns in chosen if roles[patterns]]
    if len(chosen) > 1 or not known:
        by_names = {frozenset(families[pattern].values()): pattern for patterns in chosen for pattern in patterns}
        affixes = {*by_names.values()}
        only_prefixes = all(pattern.endswith("{id}") and pattern != "{id}" for pattern in affixes)
        return None if only_prefixes and not known else Ambiguity(tuple(sorted(affixes)))
    return _matched(names, families, known[0])


def _families(names: Names) -> dict[str, dict[str, str]]:
    """Return the most frequent patterns, such as `{id}_mask`, each with the names that fit it by normalized id."""
    families: dict[str, dict[str, str]] = {}
    twice: Counter[str] = Counter()
    for name in names:
        folder, base = split_folder(name)
        ends = [
            end + base.startswith((")", "]"), end) for end in token_ends(base)
        ]  # the ids of `1 (2)_mask` end with )
        starts = token_starts(base)
        cuts = [(base[:end], "{id}" + base[end:]) for end in ends]
        cuts += [(base[start:], base[:start] + "{id}") for start in starts if start]
        for core, pattern in cuts:
            if any(token.isdecimal() for token in tokens(pattern.replace("{id}", ""))) and not _is_word(pattern):
                continue
            key = normalized(folder + trimmed(core))
            by_id = families.setdefault(pattern, {})
            twice[pattern] += key in by_id
            by_id[key] = name
    common = sorted((p for p in families if not twice[p]), key=lambda p: (p != "{id}", -len(families[p])))
    least = len(names) / (2 * _MOST_FAMILIES)
    return {pattern: families[pattern] for pattern in common[: 3 * _MOST_FAMILIES] if len(families[pattern]) > least}


def _is_word(pattern: str) -> bool:
    """Return whether each number in a pattern is part of a word, such as `_manual1` or `_leftImg8bit`."""
    return not any(
        part.isdecimal() for part in pattern.replace("{id}", " ").replace("_", " ").replace("-", " ").split()
    )


def _apart(first: dict[str, str], second: dict[str, str]) -> tuple[dict[str, str], dict[str, str]] | None:
    """Return two families without shared names: if one contains the other, its rest; None if a side would be empty."""
    shared = {*first.values()} & {*second.values()}
    if not shared:
        return first, second
    larger = max((first, second), key=len)
    rest = {key: name for key, name in larger.items() if name not in shared}
    sides = (rest, second) if larger is first else (first, rest)
    return sides if all(sides) and len(shared) == min(len(first), len(second)) else None


def _roles(first_pattern: str, second_pattern: str) -> tuple[str, str, bool] | None:
    """Return the two families as (input, target, True) or as (A, B, False); None if the names show no roles."""
    words = [
        {w.rstrip("0123456789") for w in tokens(pattern.replace("{id}", " "))[-2:]}
        for pattern in (first_pattern, second_pattern)
    ]
    for first, second, has_roles in _ROLES:
        for (own_words, pattern), (partner_words, partner) in (
            ((words[0], first_pattern), (words[1], second_pattern)),
            ((words[1], second_pattern), (words[0], first_pattern)),
        ):
            if own_words & first and partner_words & second:
                return pattern, partner, has_roles
    targets = [bool(pattern_words & _TARGET) for pattern_words in words]
    inputs = [bool(pattern_words & _INPUT) for pattern_words in words]
    if targets[0] != targets[1]:
        return (second_pattern, first_pattern, True) if targets[0] else (first_pattern, second_pattern, True)
    if inputs[0] != inputs[1] and "{id}" not in (first_pattern, second_pattern):
        return (first_pattern, second_pattern, True) if inputs[0] else (second_pattern, first_pattern, True)
    return None


def _matched(names: Names, families: dict[str, dict[str, str]], patterns: tuple[str, str]) -> OneFolderMatch:
    roles = _roles(*patterns)
    assert roles is not None
    first_pattern, second_pattern, has_roles = roles
    sides = _apart(families[first_pattern], families[second_pattern])
    assert sides is not None
    first, second = sides
    pairs: dict[str, tuple[str, ...]] = {
        _id(first[key], first_pattern): (first[key], second[key]) for key in first if key in second
    }
    used = {name for pair in pairs.values() for name in pair}
    unpaired = tuple(name for name in names if name not in used)
    return OneFolderMatch(Match(f"{first_pattern} with {second_pattern}", pairs, (unpaired, ())), has_roles)


def _id(name: str, pattern: str) -> str:
    """Return the id of a name that fits a pattern."""
    folder, base = split_folder(name)
    before, after = pattern.split("{id}")
    return folder + trimmed(base[len(before) : len(base) - len(after)])
