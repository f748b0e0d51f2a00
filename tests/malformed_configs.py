"""Configs with something wrong, and scalars that YAML 1.1 reads otherwise than people do."""

import math
import random
import string
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pix2pix.config import Config, shipped_configs
from pix2pix.config.schema import nested_sections

# What each is read as.
SCALARS = {
    "2e-4": 2e-4, "1E3": 1000.0, ".5": 0.5, "1.": 1.0, "+7": 7, "-0": 0, "12e03": 12000.0, "1e": "1e",
    "no": "no", "yes": "yes", "on": "on", "off": "off", "y": "y", "NO": "NO", "True": True, "FALSE": False,
    "tRUE": "tRUE", "010": 10, "0o10": 8, "0x1F": 31, "0o8": "0o8", "0b1": "0b1", "1:30": "1:30", "1_000": "1_000",
    "2001-01-01": "2001-01-01", "~": None, "Null": None, "nULL": "nULL", '""': "", '"2e-4"': "2e-4", "'5'": "5",
    ".inf": math.inf, "-.INF": -math.inf, "inf": "inf", "nan": "nan", "=": "=", "1.2.3": "1.2.3", "- 1": [1],
    "[1, no, 2e-4]": [1, "no", 2e-4], "{k: 010}": {"k": 10}, '"\\ud83d\\ude00"': "\U0001f600", "a b": "a b",
}  # fmt: skip

# What YAML allows and a config does not: the text, the line to blame, words of the message.
REFUSED = [
    ("", 1, "is empty"),
    ("# only a comment\n", 1, "is empty"),
    ("- 1\n", 1, "[1] is not a config; the top level is a mapping"),
    ("word\n", 1, "'word' is not a config"),
    ("data:\n\troot: x\n", 2, "a tab is not allowed here; use spaces"),
    (b"\xef\xbb\xbfdata: {}\n", 1, "byte order mark"),
    ("data: {}\n".encode("utf-16"), 1, "is not UTF-8"),
    (b"data:\n  root: caf\xe9\n", 2, "is not UTF-8"),
    ("data:\n  root: x\n  flip: true\n  root: y\n", 4, "duplicate key 'root'; it is already set in line 2"),
    ("loss: {}\ndata: {}\nloss: {}\n", 3, "duplicate key 'loss'; it is already set in line 1"),
    ("data:\n  root: &r x\n", 2, "anchor &r is not allowed"),
    ("data:\n  root: x\nloss:\n  lambda_l1: *r\n", 4, "alias *r is not allowed"),
    ("data:\n  root: !!str 5\n", 2, "tag tag:yaml.org,2002:str is not allowed"),
    ("data:\n  root: !!python/object/apply:os.system [ls]\n", 2, "is not allowed"),
    ("data: !x {}\n", 1, "tag !x is not allowed"),
    ("data: {}\n---\nloss: {}\n", 2, "a second document begins here"),
    ("data: [1, 2\n", 2, "not YAML"),
    ("data: {root: 'x\n", 2, "not YAML"),
    ("data:\n  root: a\x07\n", 2, "control character '\\x07' is not allowed"),
    ("data:\n  1: x\n", 2, "1 cannot be a key"),
    ("? [a]\n: 1\n", 1, "a list or mapping cannot be a key"),
    ("run:\n  seed: " + "9" * 5000, 2, "a number of 5000 characters is too long"),
    ('data: {root: "\\U00110000"}', 1, "beyond the last character"),
    ("[" * 3000, 1, "nested too deeply"),
    ("<<: {}\ndata: {root: x}", 1, "unknown key '<<'"),
]

# (section, key, value)
WRONG_TYPES = [
    ("data", "batch_size", "1.0"), ("data", "batch_size", "true"), ("data", "image_size", "15"),
    ("data", "image_size", "[256]"), ("data", "image_size", "[256, 8193]"), ("data", "image_size", "[true, 256]"),
    ("data", "direction", "AtoB"), ("data", "root", "5"), ("data", "workers", "none"), ("data", "cache", "true"),
    ("loss", "lambda_l1", "true"), ("loss", "lambda_l1", "-1"), ("loss", "lambda_l1", "1e999"),
    ("loss", "lambda_gan", "null"), ("optimizer", "lr", "0"), ("optimizer", "betas", "[0.5]"),
    ("schedule", "epochs", "2e2"), ("run", "ema", "1"), ("run", "device", "cuda:x"), ("run", "seed", "-1"),
]  # fmt: skip


def sections(model=Config, path=(), name=""):
    """(dotted section, network name, model) of the whole schema."""
    yield ".".join(path), name, model
    for key in model.model_fields:
        for inner_name, inner in nested_sections(model, key).items():
            yield from sections(inner, (*path, key), inner_name)


def misspelt(key: str, others: Collection[str], rng: random.Random) -> str:
    """`key` after one or two edits (a swap, a letter put in, changed or left out) that give none of the others."""
    letters, word = string.ascii_lowercase + "_", key
    while word == key or word in others:
        word = key
        for _ in range(rng.choice((1, 2))):
            at, kind = rng.randrange(len(word) - 1), rng.randrange(4)
            letter, here, after = rng.choice(letters), word[at], word[at + 1]
            word = word[:at] + (after + here, letter + here + after, letter + after, after)[kind] + word[at + 2 :]
    return word


@dataclass(frozen=True)
class Malformed:
    """A config with a mistake in it; `line` and `meant`, the key that was meant, where there is one answer."""

    text: str
    line: int | None = None
    meant: str | None = None


# What is done to a line, "  key: value", of a good config.
_SPOILERS = [
    lambda line: "\t" + line.strip(),
    lambda line: f"{line}\n{line}",
    *(
        lambda line, value=value: line.split(":")[0] + f": {value}"
        for value in (
            "[1, 2",
            "{a: ",
            "'x",
            '"x',
            "&a x",
            "*a",
            "!!str x",
            "!!python/object:os.system x",
            "a: b: c",
            "\a",
        )
    ),
]


def malformed_configs(count: int, seed: int = 0) -> Iterator[Malformed]:
    """So many of them: half with a misspelt key, a quarter with a wrong value, a quarter that are no YAML of ours."""
    rng, texts = random.Random(seed), [path.read_text(encoding="utf-8") for path in shipped_configs().values()]
    keys = [
        (section, name, model, key) for section, name, model in sections() for key in model.model_fields if len(key) > 4
    ]
    for number in range(count):
        head = "# mine\n" * rng.randrange(5)
        if number % 2:
            section, name, model, key = rng.choice(keys)
            word, levels = misspelt(key, model.model_fields, rng), section.split(".") if section else []
            lines = [f"{'  ' * depth}{level}:" for depth, level in enumerate(levels)]
            lines += [f"{'  ' * len(levels)}name: {name}"] * bool(name)
            lines.append(f"{'  ' * len(levels)}{word}: 1")
            yield Malformed(head + "\n".join(lines), head.count("\n") + len(lines), key)
        elif number % 4:
            section, key, value = rng.choice(WRONG_TYPES)
            yield Malformed(f"{head}{section}:\n  {key}: {value}\n", head.count("\n") + 2)
        else:
            lines = rng.choice(texts).splitlines()
            at = rng.choice([at for at, line in enumerate(lines) if line.startswith("  ") and ": " in line])
            lines[at] = rng.choice(_SPOILERS)(lines[at])
            yield Malformed("\n".join(lines))
