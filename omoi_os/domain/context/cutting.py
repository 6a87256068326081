"""The beginning of a text that fits into a number of tokens, without looking at more than that of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from omoi_os.domain.context.text import clean, end_of_head

_MOST_PIECES: Final = 24
_LONGEST_PIECE: Final = 16_384

_WORD: Final = 2  # tokens: nothing is read for less

_AHEAD: Final = 1.15
"""A piece reaches a little beyond what the room should hold: another call costs more than some text."""


class Meter(Protocol):
    """Counts tokens of clean text."""

    def count(self, text: str) -> int:
        """The tokens of `text`."""

    def head(self, text: str, at_most: int) -> tuple[str, int]:
        """A beginning of `text` with at most so many tokens, and how many it has."""


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a text, clean.

    Attributes:
        tokens: Those of the text behind one space, as it will stand in its line.
        whole: Whether nothing was left off.
    """

    text: str
    tokens: int
    whole: bool


def head_of(text: str, room: int, meter: Meter, density: float) -> Head:
    """The longest beginning of `text` that fits into `room` tokens, cut between words where that is near.

    It is cleaned and counted piece by piece; with a good guess of its `density` (characters for each token)
    the first piece is enough.
    """
    done, used, start, exact = "", 0, 0, True
    for _ in range(_MOST_PIECES):
        if start >= len(text) or room - used < _WORD:
            break
        size = int((room - used) * density * _AHEAD) + 16
        end = _end_of_piece(text, start, start + min(size, _LONGEST_PIECE))
        piece, apart = _piece(text, start, end)
        head, tokens = meter.head(piece, room - used)
        done, used, rest = done + head, used + tokens, piece[len(head) :]
        exact = exact and apart
        if rest:
            end = end_of_head(done + rest[0], len(done))
            # Where nothing else would be left, a character without all its marks is better than none.
            shorter = done[:end].rstrip() or done.rstrip()
            exact = exact and shorter == done.rstrip()
            done = shorter
            break
        start = end
        density = start / used if used else density
    # Torn pieces of "<|" may stand together again.
    done = done.lstrip() if exact else clean(done)
    shown, used = (done, used) if exact else _counted(done, room, meter)
    return Head(shown, used, whole=start >= len(text) and shown == done)


def _piece(text: str, start: int, end: int) -> tuple[str, bool]:
    """A part of `text`, clean, with the space before it; and whether its tokens count by themselves."""
    piece = clean(text[start:end])
    apart = start == 0 or text[start - 1].isspace() or text[start].isspace()
    return f" {piece}" if apart and piece else piece, apart


def _counted(text: str, room: int, meter: Meter) -> tuple[str, int]:
    """`text` and its tokens, shortened until it fits: a word may need more tokens than its halves."""
    tokens = meter.count(f" {text}")
    while tokens > room > 0:
        text = text[: end_of_head(text, max(0, len(text) * room // tokens - 1))].rstrip()
        tokens = meter.count(f" {text}") if text else 0
    return text, tokens


def _end_of_piece(text: str, start: int, end: int) -> int:
    if end >= len(text):
        return len(text)
    space = max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end))
    return space if space > (start + end) // 2 else end
