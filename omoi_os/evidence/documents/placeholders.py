"""Finds text that a template's author meant to be replaced.

`TBD` has no other meaning. `TODO`, `FIXME` and `XXX` are also words that people write about, so they
count only where they stand as a note: alone, before a colon, or at the start of a line or table cell.
"N/A" is an answer. Code and quoted words are mentions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_WISH = r"(?i:insert|enter|describe|replace|fill[ -]in|your|placeholder|tbd|todo)(?![^\W_])"
_FILL = r"(?i:fill in|insert)(?![^\W_])"
_DONE = "(?:determined|defined|decided|written|completed|done|added)"
# Each branch begins with a letter or sign and not with a class: the search then skips at a third of the time.
_CANDIDATE = re.compile(
    r"TBD|TODO|FIXME|XXX"
    rf"|\[{_WISH}[^\[\]\n]{{0,200}}\](?![(\[:])"
    rf"|<{_WISH}[^<>\n]{{0,200}}>"
    r"|\{\{[^{}\n]{1,200}\}\}"
    r"|Lorem [Ii]psum|lorem ipsum|LOREM IPSUM"
    rf"|_{_FILL}[^_\n]{{0,80}}_|\*{_FILL}[^*\n]{{0,80}}\*|\({_FILL}[^()\n]{{0,80}}\)"
    rf"|To be {_DONE}|to be {_DONE}|Coming soon"
)
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(?:(?!\n\n).){1,500}?(?<!`)\1(?!`)", re.DOTALL)
# A line that a wrapped sentence goes on in is no beginning; a list item, a cell or a sentence is.
_OPENING = re.compile(
    r"(?:\A|[|:;>.!?\u2013\u2014-]|\n[ \t]*[*+#](?=[ \t]))[\s*_~(\[#+.\d-]*(?:\[[ xX]\]\s*[*_~]*)?\Z"
)
_CLOSING = re.compile(r"[\s*_~)\].!]*(?:$|[\n|])")
# "TODO-list", "MY_TODO" and "TBDs" are other words; "_TBD_" is emphasis.
_JOINED_BEFORE = re.compile(r"[^\W_][_-]?\Z")
_JOINED_AFTER = re.compile(r"[_-]?[^\W_]")
_CELL_END = re.compile(r"[\n|]")
_NOTE = re.compile(r"(?:\([^()\n]{0,60}\)|\[[^\[\]\n]{0,60}\])?\s?[*_]*\s?:")
_MENTION = re.compile(
    r"\s+(?:comment|list|item|marker|tag|entr|app|note|annotation|test|block)", re.IGNORECASE
)
_QUOTES = "\"'\u2018\u2019\u201c\u201d\u00ab\u00bb`"
_NOTES = frozenset({"TODO", "FIXME", "XXX"})
_PHRASES = ("to be ", "coming ")
_CONTEXT = 24


class Found(NamedTuple):
    """A placeholder as a slice of the text."""

    start: int
    end: int


def find_placeholders(text: str) -> Iterator[Found]:
    """Yield placeholders of one passage from left to right, without overlaps."""
    if _CANDIDATE.search(text) is None:
        return
    plain = _CODE_SPAN.sub(lambda span: " " * len(span.group()), text)
    position = 0
    while (candidate := _CANDIDATE.search(plain, position)) is not None:
        found = _judge(plain, candidate)
        if found is not None:
            yield found
        position = candidate.end() if found is None else found.end


def _judge(text: str, candidate: re.Match[str]) -> Found | None:
    start, end, word = candidate.start(), candidate.end(), candidate.group()
    before, after = text[start - 1 : start], text[end : end + 1]
    if before and before in _QUOTES and after and after in _QUOTES:
        return None
    if not word[0].isalpha():
        return Found(start, end)
    if _JOINED_BEFORE.search(text[max(0, start - 3) : start]) or _JOINED_AFTER.match(text, end):
        return None
    if word.lower().startswith(_PHRASES):
        return Found(start, end) if _alone(text, start, end) else None
    if word in _NOTES:
        return _note(text, start, end)
    explained = word != "TBD" or _NOTE.match(text, end)
    return Found(start, _end_of_cell(text, end) if explained else end)


def _note(text: str, start: int, end: int) -> Found | None:
    if _NOTE.match(text, end):
        return Found(start, _end_of_cell(text, end))
    if not _opens(text, start) or _MENTION.match(text, end):
        return None
    return Found(start, _end_of_cell(text, end))


def _alone(text: str, start: int, end: int) -> bool:
    return _opens(text, start) and _CLOSING.match(text, end) is not None


def _opens(text: str, start: int) -> bool:
    return _OPENING.search(text[max(0, start - _CONTEXT) : start]) is not None


def _end_of_cell(text: str, start: int) -> int:
    end = _CELL_END.search(text, start)
    return end.start() if end else len(text)
