"""Text that is safe in one line of a prompt, whatever it was before."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_COLOURS: Final = re.compile("\x1b\\[[0-9;?]{0,20}[@-~]")

# What is printable, and yet nobody sees but a model reads: fillers, and selectors that can spell out a text.
_HIDDEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0d\uffa0\U000e0000-\U000e0fff]+"
)
_HIDDEN_BYTES: Final = (b"\xcd", b"\xe1", b"\xe3", b"\xef", b"\xf3")
"""Their first ones in UTF-8: Western text has none of these, which is seen five times faster."""

# Encoding takes 40 times longer per token in an endless run of one character ("=" has tokens of 64).
_LONG_WORD: Final = 64
_RUN: Final = re.compile(r"(\S)\1{15}(?=\1)")

_JOINERS: Final = frozenset("\u200c\u200d\ufe0e\ufe0f")  # emoji and some scripts need them
_FLAGS: Final = "".join(map(chr, range(0x1F1E6, 0x1F200)))  # two letters each
_MOST_MARKS: Final = 32
_INSTEAD: Final = {"Cf": "", "Cs": "\ufffd"}  # of marks and half characters; a space of all others


def clean(text: str) -> str:
    """`text` in one line, with single spaces, that no tokenizer takes for its own control words.

    Words are separated by one space each, so that the tokens of its parts add up exactly.
    """
    if text.isprintable():  # so it has no white space but spaces
        while "  " in text:
            text = text.replace("  ", " ")
        text = text.strip(" ")
    else:
        text = " ".join(text.split())
        if not text.isprintable():
            text = " ".join(_printable(_COLOURS.sub(" ", text)).split())
    if _hides(text):
        text = " ".join(_HIDDEN.sub("", text).split())
    if _has_long_word(text):
        text = _RUN.sub(r"\g<0> ", text)
    return text.replace("<|", "< |")


def _printable(text: str) -> str:
    noise = [one for one in set(text) - _JOINERS if not one.isprintable()]
    instead = {ord(one): _INSTEAD.get(unicodedata.category(one), " ") for one in noise}
    return text.translate(instead) if instead else text


def _hides(text: str) -> bool:
    if text.isascii() or not any(map(text.encode().__contains__, _HIDDEN_BYTES)):
        return False
    return _HIDDEN.search(text) is not None


def all_clean(texts: list[str]) -> list[str]:
    """`clean` for each of `texts`; most often none needs it, which is quicker to see of all at once."""
    return texts if _is_clean(" ".join(texts)) else [clean(text) for text in texts]


def _is_clean(text: str) -> bool:
    return (
        text.isprintable()
        and "  " not in text
        and text[:1] != " " != text[-1:]
        and "<|" not in text
        and not _hides(text)
        and not _has_long_word(text)
    )


def _has_long_word(line: str) -> bool:
    start, last = 0, len(line) - _LONG_WORD
    while start < last:
        start = line.rfind(" ", start, start + _LONG_WORD + 1) + 1
        if not start:
            return True
    return False


def round_brackets(text: str) -> str:
    """`text` that cannot imitate a reference, which stands in square ones."""
    return text.replace("[", "(").replace("]", ")")


def short(text: str, most: int) -> str:
    """`clean(text)`, shortened to about `most` characters."""
    line = clean(text[: most + 1])
    return line if len(text) <= most and len(line) <= most else f"{line[: end_of_head(line, most)].rstrip()}…"


def end_of_head(text: str, end: int) -> int:
    """Where to cut `text` at or before `end`, so that no character loses a part of itself."""
    least = max(0, end - _MOST_MARKS)
    while least < end < len(text) and (_joins(text[end]) or text[end - 1] == "\u200d"):
        end -= 1
    if end < len(text) and text[end] in _FLAGS:
        end -= (end - len(text[:end].rstrip(_FLAGS))) % 2
    return end


def _joins(character: str) -> bool:
    """Whether it is drawn as a part of what stands before it."""
    return (
        character in _JOINERS
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or unicodedata.category(character)[0] == "M"
    )
