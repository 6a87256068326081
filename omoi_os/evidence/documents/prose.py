"""How much of a marked-up text a reader would see. All patterns are linear in hostile input."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from omoi_os.domain.slugs import without_invisible

# Possessive, so that a million "](" without an end cost one look each.
_LINK_TARGET = re.compile(r"\]\([^()\n]*+(?:\([^()\n]*+\)[^()\n]*+)*+\)")
_TAG = re.compile(r"</?[A-Za-z](?:[^<>\n]++|\n(?!\n))*+>")
_MARKUP = re.compile(r"[*`|~\[\]\\_]+")
_NO_MARKUP = str.maketrans("", "", "*`|~[]\\_")
_ROLE = re.compile(r":[a-z][a-z:+-]*:(?=`)")
# "[//]: # (a note)" is a link definition that no reader sees; a footnote ("[^1]: …") is text.
_DEFINITION = re.compile(r"^[ \t]*\[(?!\^)[^\]\n]{1,1000}\]:.*", re.MULTILINE)
_UNSEEN_ELEMENT = re.compile(r"<(script|style|template)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_RUN = re.compile(r"(.)\1{3,}+")
_LONG_WORD = 40


def without_comments(text: str, *, opened: bool = False) -> tuple[str, bool]:
    """Remove HTML comments but keep their line breaks, so that later lines keep their numbers.

    Args:
        text: Markup.
        opened: A comment that began earlier is still open.

    Returns:
        The rest, and whether a comment is open at the end.
    """
    pieces = []
    position = 0
    while True:
        if not opened:
            start = text.find("<!--", position)
            if start < 0:
                pieces.append(text[position:])
                return "".join(pieces), False
            pieces.append(text[position:start])
            position = start + 2  # "<!-->" opens and closes, as a browser sees it
        end = text.find("-->", position)
        stop = len(text) if end < 0 else end + 3
        pieces.append("\n" * text.count("\n", position, stop))
        if end < 0:
            return "".join(pieces), True
        opened, position = False, stop


def without_unseen_elements(text: str) -> str:
    """Remove scripts, styles and templates of an HTML block."""
    return _UNSEEN_ELEMENT.sub(lambda found: "\n" * found.group().count("\n"), text)


def readable(text: str) -> str:
    """The text without tags, link targets, emphasis and invisible characters; entities resolved.

    Paragraphs are to be separated by an empty line, which no tag spans.
    """
    if "]:" in text:
        text = _DEFINITION.sub("", text)
    if "<" in text:
        text = _TAG.sub("", text)
    if "](" in text:
        text = _LINK_TARGET.sub("]", text)
    if ":`" in text:
        text = _ROLE.sub("", text)
    # Of 1 MB of ASCII, translate takes 1 ms and the pattern 14; of other text, translate is the slow one.
    text = text.translate(_NO_MARKUP) if text.isascii() else _MARKUP.sub("", text)
    if "&" in text:
        text = html.unescape(text)
    return without_invisible(text)


def has_content(text: str) -> bool:
    """Whether there is a letter or digit; dashes, dots and emoji are no content."""
    return any(map(str.isalnum, text))


def visible_length(lines: Iterable[str]) -> int:
    """Characters of readable lines, white space counted once.

    A letter that is repeated without end adds three: it only serves to reach a minimum.
    """
    words = " ".join(lines).split()
    padding = (len(word) - len(_RUN.sub(r"\1\1\1", word)) for word in words if len(word) > _LONG_WORD)
    return sum(map(len, words)) + max(len(words) - 1, 0) - sum(padding)
