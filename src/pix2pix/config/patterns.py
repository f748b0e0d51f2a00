"""Patterns of file names in data.input and data.target, such as `leftImg8bit/{split}/**/{id}_leftImg8bit.png`."""

import re

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NAMES = ("id", "split")


def is_pattern(text: str) -> bool:
    """Return whether a value of data.input or data.target is a pattern rather than a folder."""
    return any(character in text for character in "{}*")


def pattern_problem(text: str) -> str | None:
    """Return what is wrong with a pattern, and the remedy; None if nothing is."""
    names = PLACEHOLDER.findall(text)
    if unknown := [name for name in names if name not in _NAMES]:
        return f"has {{{unknown[0]}}}, which is unknown; the placeholders are {{id}} and {{split}}"
    if "{" in PLACEHOLDER.sub("", text) or "}" in PLACEHOLDER.sub("", text):
        return "has a brace without its partner; write {id} or {split}"
    if "id" not in names:
        return "has no {id}; write {id} where the partners have the same text, such as {id}_mask.png"
    if any("**" in part and part != "**" for part in text.split("/")):
        return "has ** beside other characters; write it as a folder of its own, such as **/{id}.png"
    return None
