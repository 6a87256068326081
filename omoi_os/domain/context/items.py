"""The things that a context holds, in the order in which a reader should meet them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple


class Rank(IntEnum):
    """How early an item is told; the smaller, the earlier. No context can name the last one."""

    DECISION = 0
    BLOCKING = 1
    ARTIFACT = 2
    RISK = 3
    OUTCOME = 4
    NOTE = 5
    OUTPUT = 6
    CONDENSED = 7


class Item(NamedTuple):  # made thousands of times, in a third of a dataclass's time
    """One thing worth telling.

    Attributes:
        phase: Its short, clean name ("design"), or "" where the context names none.
        name: What it was called where no rank says it ("stdout"), or "".
        text: As given: not cleaned, of any length.
        reference: Where a reader finds the whole: "task 41", "docs/design.md", or both; clean.
    """

    rank: Rank
    phase: str
    name: str
    text: str
    reference: str


@dataclass(frozen=True, slots=True)
class Condensed:
    """Lines that tell in a few words what many items say.

    Attributes:
        items: What they tell of.
    """

    text: str = ""
    tokens: int = 0
    items: frozenset[Item] = frozenset()


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found in a context.

    Attributes:
        phases: The items of each phase that has any, nearest phase first; in a phase by rank, newest first.
        unread: Entries that were counted and not looked at, since no budget could have taken them.
        characters: About as many are in those.
    """

    phases: tuple[tuple[Item, ...], ...]
    unread: int
    characters: int

    def in_order(self) -> list[Item]:
        """All items by rank; within a rank nearest phase first."""
        return sorted((item for phase in self.phases for item in phase), key=lambda item: item.rank)
