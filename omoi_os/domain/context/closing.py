"""The last line of a summary: what it leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from omoi_os.domain.context.cutting import Meter
from omoi_os.domain.context.items import Item, Reading

_FORMS: Final = (
    "(left out: {least}{left:,} of {all:,} items; cut: {cut:,}; about {tokens:,} tokens)\n",
    "(more was left out)\n",
    "…\n",
    "",
)
_LARGEST_PART: Final = 3
"""The line takes at most a third of the budget: a small one gets a shorter line."""


@dataclass(frozen=True, slots=True)
class Closing:
    """How the last line is worded in this budget.

    Attributes:
        tokens: Room to keep for it.
    """

    reading: Reading
    form: str
    tokens: int

    @classmethod
    def for_budget(cls, reading: Reading, budget: int, meter: Meter) -> Closing:
        """The longest wording that the budget can afford, with the largest figures it may have to hold."""
        items = [item for phase in reading.phases for item in phase]
        number = len(items) + reading.unread
        characters = sum([len(item.text) for item in items]) + reading.characters
        for form in _FORMS:
            line = form.format(
                least="at least ", left=number, all=number, cut=2 * len(reading.phases), tokens=characters
            )
            if (tokens := meter.count(line)) * _LARGEST_PART <= budget:
                return cls(reading, form, tokens)
        return cls(reading, "", 0)

    def line(self, left_out: Sequence[Item], cut: Sequence[int], density: float) -> str:
        """The line, or "" if nothing is missing.

        The number of tokens is an estimate: what was not shown was not counted either.

        Args:
            left_out: The items that were read and are not shown.
            cut: For each item that is shown in part, the characters that are missing.
            density: Tokens for each character of what is shown.
        """
        reading = self.reading
        left = len(left_out) + reading.unread
        if not left and not cut:
            return ""
        missing = sum([len(item.text) for item in left_out]) + sum(map(abs, cut)) + reading.characters
        return self.form.format(
            least="at least " if reading.unread else "",
            left=left,
            all=sum(map(len, reading.phases)) + reading.unread,
            cut=len(cut),
            tokens=_rounded(missing * min(density, 1.0)),
        )


def _rounded(number: float) -> int:
    """Two digits of it: more would claim to be a count."""
    whole = max(1, int(number))
    return int(round(whole, 2 - len(str(whole))))
