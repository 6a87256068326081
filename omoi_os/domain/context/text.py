"""Text that is safe in one line of a prompt, whatever it was before."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Terminal colours, control characters, marks that reverse what is read, and what nobody sees but a model
# reads. Joiners stay: emoji need them.
_NOISE: Final = re.compile(
    "\x1b\\[[0-9;?]{0,20}[@-~]|[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    "\U000e0000-\U000e007f]+"
)
_HALF: Final = re.compile("[\ud800-\udfff]")

# Encoding takes 40 times longer per token in an endless run of one character ("=" has tokens of 64).
_LONG_WORD: Final = 64
_RUN: Final = re.compile(r"(\S)\1{15}(?=\1)")

_JOINERS: Final = frozenset("\u200d\ufe0e\ufe0f")
_MOST_MARKS: Final = 32


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
            text = " ".join(_HALF.sub("\ufffd", _NOISE.sub(" ", text)).split())
    if _has_long_word(text):
        text = _RUN.sub(r"\g<0> ", text)
    return text.replace("<|", "< |")


def all_clean(texts: list[str]) -> list[str]:
    """`clean` for each of `texts`; most often none needs it, which is quicker to see of all at once."""
    return texts if _is_clean(" ".join(texts)) else [clean(text) for text in texts]


def _is_clean(text: str) -> bool:
    return (
        text.isprintable()
        and "  " not in text
        and text[:1] != " " != text[-1:]
        and "<|" not in text
        and not _has_long_word(text)
    )


def _has_long_word(line: str) -> bool:
    start, last = 0, len(line) - _LONG_WORD
    while start < last:
        start = line.rfind(" ", start, start + _LONG_WORD + 1) + 1
        if not start:
            return True
    return False


def short(text: str, most: int) -> str:
    """`clean(text)`, shortened to about `most` characters."""
    line = clean(text[: most + 1])
    return line if len(text) <= most and len(line) <= most else f"{line[:most].rstrip()}…"


def end_of_head(text: str, end: int) -> int:
    """Where to cut `text` at or before `end`, so that no character loses a part of itself."""
    least = max(0, end - _MOST_MARKS)
    while least < end < len(text) and (_joins(text[end]) or text[end - 1] == "\u200d"):
        end -= 1
    return end


def _joins(character: str) -> bool:
    """Whether it is drawn as a part of what stands before it."""
    return (
        character in _JOINERS
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or unicodedata.category(character)[0] == "M"
    )
