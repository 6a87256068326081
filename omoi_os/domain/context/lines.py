"""Lines of a summary, and how many of them fit into a number of tokens.

Tokens of two texts add up exactly where the second begins with one space between visible characters, or on a
new line that begins with neither white space nor "/": o200k_base and cl100k_base split there before they
merge. So lines begin with "- " and have single spaces only, and many are counted at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from omoi_os.domain.context.cutting import Meter, head_of
from omoi_os.domain.context.items import Item, Rank
from omoi_os.domain.context.text import all_clean, clean

_CUT: Final = " … [cut]"
_LEAST_CUT: Final = 4
"""Tokens of its own text that an item must keep to be worth cutting."""

_FAR: Final = 1.25
"""A text this much longer than the room should hold is not encoded to see if it fits: cutting tells, too."""

_CAREFUL: Final = 0.9
"""How much of the room several lines may be expected to need: those that do not fit are counted in vain."""

_FRAME: Final = 7
"""Tokens of a line around its text, more or less."""

_DENSEST: Final = 8.0
_SPARSEST: Final = 0.25

_LIGHTEST: Final = 32
"""Characters for each token of the room above which a text is too long whatever it consists of."""

_SAMPLE: Final = 128
_NAMES: Final = tuple(rank.name.lower() for rank in Rank)
_NOTHING: Final = "(no printable text)"


class Line:
    """An item on its way into the summary.

    Attributes:
        size: Characters of the item's text.
        made: The whole line, as soon as it was made.
        text: What is shown of it.
        given: Tokens set aside for it while it is not whole; 0 while it is left out.
    """

    made = ""
    text = ""
    given = 0
    whole = False

    def __init__(self, item: Item) -> None:
        self.item = item
        self.size = len(item.text)


class Filler:
    """Makes lines, counts them, and learns from them how many characters a token of this context has.

    Attributes:
        used: The tokens of all lines that were made whole.
    """

    def __init__(self, meter: Meter) -> None:
        self.used = 0
        self._meter = meter
        # Few characters for each token, so that the first lines, of an unknown script, are few.
        self._characters = 20
        self._tokens = 10
        self._density = 2.0
        self._frames: dict[str, int] = {}

    def fill(self, lines: Sequence[Line], room: int) -> tuple[int, int]:
        """Make the first `lines` whole, as many as fit into `room`.

        Returns:
            How many, and the room that is left.
        """
        done, most = 0, len(lines)
        while batch := self._batch(islice(lines, done, done + most), room):
            tokens = self._count(batch)
            if tokens <= room:
                self._keep(batch, tokens)
                done, room = done + len(batch), room - tokens
            else:
                most = len(batch) // 2
        return done, room

    def fill_all(self, lines: Sequence[Line], room: int) -> None:
        """Make all of `lines` whole if they fit into `room`, else none."""
        tokens = self._count(lines)
        if tokens <= room:
            self._keep(lines, tokens)

    def least(self, line: Line) -> int:
        """The tokens below which nothing worth reading would be left of it."""
        return self._frame(line.item) + _LEAST_CUT

    def cut(self, line: Line, room: int) -> int:
        """Show what fits of a line into `room`; returns what is left of that."""
        frame = self._frame(line.item)
        head = head_of(line.item.text, room - frame, self._meter, self._density)
        line.text, line.given = "", 0
        if head.whole and head.text and (tokens := self._count([line])) <= room:
            self._keep([line], tokens)
            return room - tokens
        if not head.text:
            return room
        line.text, line.given = rendered(line.item, head.text + _CUT), frame + head.tokens
        return room - line.given

    def _batch(self, lines: Iterable[Line], room: int) -> list[Line]:
        """The next lines that should fit; at least one, unless it is far too long."""
        batch: list[Line] = []
        left, frame = room * self._density, _FRAME * self._density
        most = left * _FAR
        for line in lines:
            most -= line.size + frame
            if most < 0:
                return batch or ([line] if self._is_light(line, room) else [])
            if not batch:
                most -= left * (_FAR - _CAREFUL)
            batch.append(line)
        return batch

    def _is_light(self, line: Line, room: int) -> bool:
        """Whether a line may fit after all, since its text has many characters for each token: a table."""
        if not 2 * _SAMPLE < line.size <= _LIGHTEST * room:
            return False
        middle = line.item.text[line.size // 2 :][:_SAMPLE]
        return line.size * self._meter.count(clean(middle)) <= _FAR * room * len(middle)

    def _count(self, lines: Sequence[Line]) -> int:
        new = [line for line in lines if not line.made]
        for line, body in zip(new, all_clean([line.item.text for line in new]), strict=True):
            line.made = rendered(line.item, body)
        tokens = self._meter.count("".join([line.made for line in lines]))
        self._characters += sum([line.size for line in lines])
        self._tokens += max(0, tokens - _FRAME * len(lines))
        self._density = min(_DENSEST, max(_SPARSEST, self._characters / self._tokens))
        return tokens

    def _keep(self, lines: Iterable[Line], tokens: int) -> None:
        self.used += tokens
        for line in lines:
            line.text, line.given, line.whole = line.made, 0, True

    def _frame(self, item: Item) -> int:
        """The tokens of its line if nothing of its text is shown."""
        frame = rendered(item, _CUT.strip())
        if frame not in self._frames:
            self._frames[frame] = self._meter.count(frame)
        return self._frames[frame]


def rendered(item: Item, body: str) -> str:
    """One line of a summary: "- decision (design): keep one store [task 7]"."""
    phase = f" ({item.phase})" if item.phase else ""
    name = f" {item.name}:" if item.name else ""
    reference = f" [{item.reference}]" if item.reference else ""
    return f"- {_NAMES[item.rank]}{phase}:{name} {body or _NOTHING}{reference}\n"
