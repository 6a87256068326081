"""The beginning of a text that fits into a number of tokens, without looking at more than that of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from omoi_os.domain.context.text import clean, end_of_head

_MOST_PIECES: Final = 24
_LONGEST_PIECE: Final = 16_384


class Meter(Protocol):
    """Counts tokens of clean text."""

    def count(self, text: str, at_most: int) -> int:
        """The tokens of `text`; some number above `at_most` where there are more than that."""

    def head(self, text: str, at_most: int) -> tuple[str, int]:
        """The longest beginning of `text` with at most so many tokens, and how many it has."""


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a text, clean.

    Attributes:
        tokens: Those of the text behind one space, as it will stand in its line.
        whole: Whether nothing was left off.
        exact: Whether it was torn nowhere but between words, so that its tokens are exact.
    """

    text: str
    tokens: int
    whole: bool
    exact: bool


def head_of(text: str, room: int, meter: Meter, density: float) -> Head:
    """The longest beginning of `text` that fits into `room` tokens, cut between words where that is near.

    It is cleaned and counted piece by piece; with a good guess of its `density` (characters for each token)
    the first piece reaches just beyond the end of the room.
    """
    done, used, start, size, exact = "", 0, 0, int(room * density * 1.05) + 16, True
    for _ in range(_MOST_PIECES):
        if start >= len(text) or used >= room:
            break
        end = _end_of_piece(text, start, start + min(size, _LONGEST_PIECE))
        piece = clean(text[start:end])
        # Where a word is torn, its halves may need fewer tokens than the whole.
        torn = start > 0 and not (text[start - 1].isspace() or text[start].isspace())
        exact = exact and not torn
        piece = piece if torn else f" {piece}"
        head, tokens = meter.head(piece, room - used - torn)
        if len(head) < len(piece):
            head, tokens, tidy = _tidy(piece, head, tokens, meter)
            return Head((done + head).lstrip(), used + tokens, whole=False, exact=exact and tidy)
        if piece != " ":
            done, used = done + piece, used + tokens + torn
        start = end
        size = int((room - used) * 1.05 * start / max(used, 1)) + 16
    return Head(done.lstrip(), used, start >= len(text), exact)


def _end_of_piece(text: str, start: int, end: int) -> int:
    if end >= len(text):
        return len(text)
    space = max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end))
    return space if space > (start + end) // 2 else end


def _tidy(piece: str, head: str, tokens: int, meter: Meter) -> tuple[str, int, bool]:
    """`head` without a last word that is only a part, if that is short; its tokens, and if they are exact."""
    end = end_of_head(piece, len(head))
    if piece[end] != " ":
        return head[:end], tokens, False
    return head[:end], tokens - (meter.count(head[end:], tokens) if end < len(head) else 0), True
