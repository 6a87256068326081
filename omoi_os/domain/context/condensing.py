"""What a summary leaves out, told by a model in a few words: what it is given, and what its answer becomes.

A model that has read hostile text may say anything. So it only says words and numbers: the words become lines
that no reader takes for others, and the numbers are looked up in what it was given. Phases and references
are written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from omoi_os.domain.context.cutting import Meter
from omoi_os.domain.context.items import Condensed, Item, Rank, Reading
from omoi_os.domain.context.lines import Filler, Line
from omoi_os.domain.context.packing import pack
from omoi_os.domain.context.text import clean, round_brackets

MOST_GIVEN: Final = 12_000
"""Tokens of what a model is given to condense; what is beyond is only counted, as in any summary."""

_SHARE: Final = 4  # of the budget is a model's
_LEAST_ROOM: Final = 40  # tokens: two short lines
_MOST_REFERENCES: Final = 3
_MOST_PHASES: Final = 3
_MARK: Final = f"- {Rank.CONDENSED.name.lower()}"


@dataclass(frozen=True, slots=True)
class Leftover:
    """Items that a summary has no room for, numbered from 1.

    Attributes:
        text: They, one in each line, clean; the longest are cut.
    """

    items: tuple[Item, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that a model says of the items with these numbers; any text, any numbers."""

    text: str
    items: Sequence[int]


def room_for(budget: int) -> int:
    """The tokens that condensed lines may take; 0 where the budget is too small for any."""
    room = max(0, budget) // _SHARE
    return room if room >= _LEAST_ROOM else 0


def left_over(reading: Reading, budget: int, meter: Meter) -> Leftover:
    """What does not stand whole in the summary beside condensed lines; nothing where all fits without."""
    room = room_for(budget)
    if not room or pack(reading, budget, meter).whole:
        return Leftover((), "")
    told = {line.item for line in pack(reading, budget - room, meter).lines if line.whole}
    rest = [tuple(item for item in phase if item not in told) for phase in reading.phases]
    given = pack(Reading(tuple(filter(None, rest)), 0, 0), MOST_GIVEN, meter).lines
    numbered = [f"{number}. {line.text.removeprefix('- ')}" for number, line in enumerate(given, 1)]
    return Leftover(tuple(line.item for line in given), "".join(numbered))


def condense(
    reading: Reading, budget: int, meter: Meter, leftover: Leftover, points: Iterable[Point]
) -> str | None:
    """The summary of `reading` with what a model made of `leftover`; never more than `budget` tokens.

    A point that names no item that was given, or says nothing, is dropped.

    Returns:
        None where no point is left.
    """
    about = dict(told for point in points if (told := _told(point, leftover)) is not None)
    best_first = sorted(about, key=lambda line: min(item.rank for item in about[line]))
    lines, tokens = _filled([Line(item) for item in best_first], room_for(budget), meter)
    if not lines:
        return None
    items = frozenset(item for line in lines for item in about[line.item])
    text = "".join(line.text for line in lines)
    summary = pack(reading, budget, meter, Condensed(text, tokens, items)).text
    return summary if text in summary and meter.count(summary) <= budget else None


def is_condensed(summary: str) -> bool:
    """Whether a model had a part in it."""
    return any(line.startswith(_MARK) for line in summary.splitlines())


def _told(point: Point, leftover: Leftover) -> tuple[Item, tuple[Item, ...]] | None:
    """The line that a point becomes, and what it is about."""
    given = leftover.items
    about = tuple(given[number - 1] for number in dict.fromkeys(point.items) if 0 < number <= len(given))
    text = clean(round_brackets(point.text))
    if not about or not text:
        return None
    return Item(Rank.CONDENSED, _phases(about), "", text, _references(about)), about


def _phases(items: Sequence[Item]) -> str:
    phases = dict.fromkeys(item.phase for item in items if item.phase)
    return ", ".join(phases) if len(phases) <= _MOST_PHASES else ""


def _references(items: Sequence[Item]) -> str:
    found = list(dict.fromkeys(item.reference for item in items if item.reference))
    more = len(found) - _MOST_REFERENCES
    return "; ".join(found[:_MOST_REFERENCES] + ([f"{more} more"] if more > 0 else []))


def _filled(lines: Sequence[Line], room: int, meter: Meter) -> tuple[Sequence[Line], int]:
    """As many of `lines` as fit into `room`, the last one cut, and their tokens."""
    filler = Filler(meter)
    done, left = filler.fill(lines, room)
    if done < len(lines) and left >= filler.least(lines[done]):
        filler.cut(lines[done], left)
        if lines[done].text:
            return lines[: done + 1], filler.used + lines[done].given
    return lines[:done], filler.used
