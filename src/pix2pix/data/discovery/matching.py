"""Match the files of the sides of pairs by their names. Nothing is read from disk.

The rules, in the order in which they are tried: the same name; the same name in other capitals; the same name with
other leading zeros; the name without the affixes that all names of a side share (`_in` and `_out`), first exactly, then
in other capitals or with other leading zeros; one number that the names share. The first rule that pairs every file
wins. If no rule does, the one that pairs the most files shows which partners are missing. Folders within a side must
have the same names.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pix2pix.data.discovery.names import (
    affix_options,
    normalized,
    pure_numbers,
    shared_affixes,
    split_folder,
    token_ends,
    token_starts,
    tokens,
    trimmed,
    without_affixes,
)

SAME_NAME = "same name"
_SAMPLE = 100  # names on which combinations of affixes are compared

Names = Sequence[str]
Sides = Sequence[Names]


@dataclass(frozen=True)
class Match:
    """Pairs of names.

    `rule`: a text that says how they were matched. `pairs`: by the id of each pair, its name on each side. `unpaired`:
    the names on each side without a partner. `clashes`: groups of names of which several fit the same partner.
    """

    rule: str
    pairs: dict[str, tuple[str, ...]]
    unpaired: tuple[tuple[str, ...], ...]
    clashes: tuple[tuple[str, ...], ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every name has one partner."""
        return bool(self.pairs) and not any(self.unpaired)

    @property
    def holds_most(self) -> bool:
        """Whether most names of the smallest side are paired; for equal names, one pair is enough."""
        least = min(len(names) + len(self.pairs) for names in self.unpaired)
        return bool(self.pairs) and (self.rule == SAME_NAME or len(self.pairs) * 2 > least)


@dataclass(frozen=True)
class Ambiguity:
    """Names that can be paired in several ways.

    `candidates`: patterns or names to choose from. `patterns`: an example of a choice, with a pattern for each side.
    """

    candidates: tuple[str, ...]
    patterns: tuple[str, ...] = ()


def match_sides(sides: Sides, exact_only: bool = False) -> Match | Ambiguity:
    """Pair the names of two or more sides; the names of a side are distinct. `exact_only`: use only the first rule.

    Returns the match of the first rule that pairs every name, or else the match with the most pairs, possibly none.
    """
    if sides[0] and all(len(names) == len(sides[0]) and {*names} == {*sides[0]} for names in sides[1:]):
        return Match(SAME_NAME, {name: (name,) * len(sides) for name in sides[0]}, ((),) * len(sides))
    exact = _match(SAME_NAME, sides, sides, sides)
    if exact_only or not all(sides):
        return exact
    matches: list[Match] = [exact]
    for attempt in _attempts(sides):
        if isinstance(attempt, Ambiguity):
            return attempt
        if attempt.is_complete:
            conflict = _conflict(exact, attempt)
            return Ambiguity(conflict) if conflict else attempt
        matches.append(attempt)
    best = max(matches, key=lambda match: len(match.pairs) + len(match.clashes))  # the first of equal ones
    if best.clashes:
        return Ambiguity(tuple(name for names in best.clashes for name in names))
    if not best.holds_most and (families := _families(sides)):
        return families
    return best if best.holds_most else exact


def _attempts(sides: Sides) -> Iterator[Match | Ambiguity]:
    """Yield the match of each rule but the first, in order."""
    lower = [[name.casefold() for name in names] for names in sides]
    yield _match("same name in other capitals", sides, lower, sides)
    plain = [[normalized(name) for name in names] for names in sides]
    yield _match("same name with other leading zeros", sides, plain, sides)
    options = [affix_options(names) for names in sides]
    longest = [some[-1] for some in options]
    if all(_agree(longest[0], other) for other in longest[1:]):
        yield _without_affixes(sides, longest)
        yield _without_affixes(sides, longest, normalized)
    yield _by_some_affixes(sides, options)
    yield _by_number(sides)


def _match(rule: str, sides: Sides, keys: Sides, ids: Sides) -> Match:
    """Pair the names with equal keys; `ids` of the first side name the pairs. A key "" has no partner."""
    grouped = []
    for names, some in zip(sides, keys, strict=True):
        by_key: dict[str, list[str]] = {}
        for name, key in zip(names, some, strict=True):
            if key:
                by_key.setdefault(key, []).append(name)
        grouped.append(by_key)
    pairs: dict[str, tuple[str, ...]] = {}
    paired: list[set[str]] = [set() for _ in sides]
    clashes: list[tuple[str, ...]] = []
    done: set[str] = set()
    for key, name in zip(keys[0], ids[0], strict=True):
        if not key or key in done or any(key not in by_key for by_key in grouped):
            continue
        done.add(key)
        group = [by_key[key] for by_key in grouped]
        if any(len(names) > 1 for names in group):
            clashes.append(tuple(dict.fromkeys(name for names in group for name in names)))
            continue
        pairs[name] = tuple(names[0] for names in group)
        for used, names in zip(paired, group, strict=True):
            used.add(names[0])
    unpaired = (tuple(n for n in names if n not in used) for names, used in zip(sides, paired, strict=True))
    return Match(rule, pairs, tuple(unpaired), tuple(clashes))


def _conflict(exact: Match, other: Match) -> tuple[str, ...]:
    """Return a name that the first rule pairs with itself and a later rule with another name, and these names."""
    for names in other.pairs.values():
        for name in names:
            if name in exact.pairs and names != exact.pairs[name]:
                return tuple(dict.fromkeys((name, *names)))
    return ()


def _without_affixes(
    sides: Sides, options: Sequence[tuple[str, str]], normalize: Callable[[str], str] | None = None
) -> Match:
    """Pair the names without the affix of each side. The ids include what the affixes have in common."""
    keys: list[list[str]] = [
        [without_affixes(name, *option) for name in names] for names, option in zip(sides, options, strict=True)
    ]
    prefix, suffix = shared_affixes(options)
    folders = (split_folder(key) for key in keys[0])
    ids = [[f"{folder}{prefix}{core}{suffix}" for folder, core in folders]]
    parts = dict.fromkeys(affix for option in options for affix in (option[0][len(prefix) :], _cut(option[1], suffix)))
    rule = f"names without {' and '.join(part for part in parts if part) or 'what they have in common'}"
    if normalize is None:
        return _match(rule, sides, keys, ids)
    keys = [[normalize(key) for key in some] for some in keys]
    return _match(f"{rule}, in other capitals or with other leading zeros", sides, keys, ids)


def _cut(text: str, end: str) -> str:
    return text[: len(text) - len(end)]


def _by_some_affixes(sides: Sides, options: Sequence[list[tuple[str, str]]]) -> Match | Ambiguity:
    """Pair the names without some affixes: the shortest among those that pair the most names of a sample."""
    pivot = min(range(len(sides)), key=lambda side: len(sides[side]))
    keys = [
        [{normalized(without_affixes(name, *option)): name for name in names} for option in some]
        for names, some in zip(sides, options, strict=True)
    ]
    names = sides[pivot]
    count = min(_SAMPLE, len(names))
    sample = [names[number * len(names) // count] for number in range(count)]
    attempts: list[tuple[int, list[tuple[str, str]], list[tuple[str | None, ...]]]] = []
    for option in options[pivot]:
        wanted = [normalized(without_affixes(name, *option)) for name in sample]
        chosen, partners = [], []
        for side, some in enumerate(options):
            allowed = [some.index(option)] if side == pivot else [i for i, o in enumerate(some) if _agree(option, o)]
            hits = {i: sum(key in keys[side][i] for key in wanted if key) for i in allowed}
            most = max(allowed, key=hits.__getitem__, default=0)  # the first of equal ones: the shortest affixes
            chosen.append(some[most])
            partners.append([keys[side][most].get(key) if key else None for key in wanted])
        pairings = list(zip(*partners, strict=True))
        attempts.append((sum(None not in pairing for pairing in pairings), chosen, pairings))
    most = max(count for count, _, _ in attempts)
    ties = [(chosen, pairings) for count, chosen, pairings in attempts if count == most]
    chosen, pairings = ties[0]
    for _, others in ties[1:]:
        for pairing, alternative in zip(pairings, others, strict=True):
            if None not in pairing and None not in alternative and pairing != alternative:
                return Ambiguity(tuple(dict.fromkeys(name for name in (*pairing, *alternative) if name)))
    plain, loose = _without_affixes(sides, chosen), _without_affixes(sides, chosen, normalized)
    return plain if len(plain.pairs) == len(loose.pairs) else loose


def _agree(first: tuple[str, str], second: tuple[str, str]) -> bool:
    """Return whether two options strip the same numbers: a number that only one side strips may be an id."""
    return all(pure_numbers(a) == pure_numbers(b) for a, b in zip(first, second, strict=True))


def _by_number(sides: Sides) -> Match | Ambiguity:
    """Pair names by the number at one position, counted from the start or the end, unless other tokens contradict."""
    numbers = [[[t for t in tokens(split_folder(name)[1]) if t.isdecimal()] for name in names] for names in sides]
    most = max(len(some) for side in numbers for some in side)
    matches: list[Match] = []
    for position in [*range(most), *range(-1, -most - 1, -1)]:
        keys = [
            [_number_key(name, some, position) for name, some in zip(names, side, strict=True)]
            for names, side in zip(sides, numbers, strict=True)
        ]
        if any(len({*side}) < len(side) for side in keys):
            continue
        match = _match("one number in the name", sides, keys, keys)
        if match.pairs and not _contradicted(match, sides):
            matches.append(match)
    if not matches:
        return Match("one number in the name", {}, tuple(tuple(names) for names in sides))
    best = max(matches, key=lambda match: len(match.pairs))
    ties = [match for match in matches if len(match.pairs) == len(best.pairs)]
    for other in ties:
        if {*other.pairs.values()} != {*best.pairs.values()}:
            return Ambiguity(tuple(dict.fromkeys((*min(best.pairs.values()), *min(other.pairs.values())))))
    return best


def _number_key(name: str, numbers: Sequence[str], position: int) -> str:
    """Return the folder of a name with its number at a position, "" if there is no such number."""
    exists = -len(numbers) <= position < len(numbers)
    return split_folder(name)[0].casefold() + numbers[position] if exists else ""


def _contradicted(match: Match, sides: Sides) -> bool:
    """Return whether a word or number that varies on both sides is in only one name of a pair."""
    varying: list[dict[str, set[str]]] = []
    for names in sides:
        words = {name: {*tokens(split_folder(name)[1])} for name in names}
        constant = set.intersection(*words.values()) if len(names) > 1 else set()
        varying.append({name: some - constant for name, some in words.items()})
    everywhere = [set().union(*some.values()) for some in varying]
    both = set.intersection(*everywhere)
    for key, names in match.pairs.items():
        number = split_folder(key)[1]
        varied = [some[name] - {number} for some, name in zip(varying, names, strict=True)]
        if any(some & both != varied[0] & both for some in varied[1:]):
            return True
        others = [{word for word in some if word.isdecimal()} for some in varied]
        if all(others) and any(some != others[0] for some in others[1:]):
            return True
    return False


def _families(sides: Sides) -> Ambiguity | None:
    """Return the patterns of a side's names that each fit the ids of another side, if there are two or more."""
    for side, names in enumerate(sides):
        for other, larger in enumerate(sides):
            if side == other or len(larger) <= len(names):
                continue
            for option in affix_options(names):
                ids = {normalized(without_affixes(name, *option)) for name in names} - {""}
                families = families_of(larger, ids)
                common = sorted(pattern for pattern, fitting in families.items() if len(fitting) * 2 > len(names))
                if len(common) > 1:
                    patterns = ["{id}".join(option)] * len(sides)
                    patterns[other] = common[-1]
                    return Ambiguity(tuple(common), tuple(patterns))
    return None


def families_of(names: Names, ids: set[str]) -> dict[str, set[str]]:
    """Return the ids of the names that fit each pattern: `{id}_mask`, `label_{id}`. `ids` are normalized."""
    families: dict[str, set[str]] = {}
    for name in names:
        folder, base = split_folder(name)
        cuts = [(base[:end], "{id}" + base[end:]) for end in reversed(token_ends(base))]
        cuts += [(base[start:], base[:start] + "{id}") for start in token_starts(base)]
        for core, pattern in cuts:
            key = normalized(folder + trimmed(core))
            if key in ids:
                families.setdefault(pattern, set()).add(key)
                break
    return families
