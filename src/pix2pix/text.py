"""Escape text from outside before it is shown: file names, fields of weights files, answers of servers."""

import unicodedata

LONGEST = 4000  # characters
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, format (such as bidi overrides), surrogates, line breaks


def show_text(value: object) -> str:
    """Return `str(value)` as one line: invisible characters are escaped, the middle of a long text is left out.

    The function is idempotent.
    """
    text = str(value)
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_escaped, text))
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2 - 3]} ... {text[2 - LONGEST // 2 :]}"


def _escaped(character: str) -> str:
    hidden = unicodedata.category(character) in _HIDDEN
    return character.encode("unicode_escape").decode() if hidden else character


def counted(number: int, what: str) -> str:
    """Return the number with its noun, such as "3 images"."""
    return f"{number:,} {what}{'s' * (number != 1)}"
