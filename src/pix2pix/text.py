"""How text that others wrote is shown: file names, fields of weights files, answers of servers."""

import unicodedata

LONGEST = 4000  # characters of a line that are shown
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, format (such as bidi overrides), surrogates, line breaks


def show_text(value: object) -> str:
    """Return `value` as one line that moves no cursor: what is invisible is escaped, and the middle of a long text cut.

    Applying it twice changes nothing more.
    """
    text = str(value)
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_escaped, text))
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2 - 3]} ... {text[2 - LONGEST // 2 :]}"


def _escaped(character: str) -> str:
    hidden = unicodedata.category(character) in _HIDDEN
    return character.encode("unicode_escape").decode() if hidden else character
