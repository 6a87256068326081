"""The last line of a summary: what it leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from omoi_os.domain.context.cutting import Meter
from omoi_os.domain.context.items import Condensed, Item, Reading

_FORMS: Final = (
    "(left out: {least}{left:,} of {all:,} items; {condensed}cut: {cut:,}; about {tokens:,} tokens)\n",
    "(left out: {least}{left:,} of {all:,}; cut: {cut:,})\n",
    "(more was left out)\n",
    "…\n",
    "",
)
_AT_LEAST: Final = "at least "
_CONDENSED: Final = "condensed: {:,}; "
_LARGEST_PART: Final = 3
"""The line takes at most a third of the budget: a small one gets a shorter line."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What a summary does not show.

    Attributes:
        left_out: The items that were read and are not shown.
        cut: For each item that is shown in part, the characters that are missing.
        condensed: How many items are not shown, or cut, and told in the words of a model instead.
    """

    reading: Reading
    left_out: Sequence[Item]
    cut: Sequence[int]
    condensed: int = 0

    @property
    def is_nothing(self) -> bool:
        return not (self.left_out or self.cut or self.condensed or self.reading.unread)

    @property
    def characters(self) -> int:
        left = sum([len(item.text) for item in self.left_out])
        return left + sum(map(abs, self.cut)) + self.reading.characters


@dataclass(frozen=True, slots=True)
class Closing:
    """How the last line is worded in this budget.

    Attributes:
        tokens: Room to keep for it.
    """

    reading: Reading
    condensed: Condensed
    form: str
    tokens: int

    @classmethod
    def for_budget(cls, reading: Reading, budget: int, meter: Meter, condensed: Condensed) -> Closing:
        """The longest wording that the budget can afford, with the largest figures it may have to hold."""
        items = [item for phase in reading.phases for item in phase]
        number = len(items) + reading.unread
        characters = sum([len(item.text) for item in items]) + reading.characters
        for form in _FORMS:
            line = form.format(
                least=_AT_LEAST if reading.unread else "",
                left=number,
                all=number,
                condensed=_CONDENSED.format(len(condensed.items)) if condensed.items else "",
                cut=2 * len(reading.phases),
                tokens=characters,
            )
            if (tokens := meter.count(line)) * _LARGEST_PART <= budget:
                return cls(reading, condensed, form, tokens)
        return cls(reading, condensed, "", 0)

    def line(self, missing: Missing, density: float) -> str:
        """The line, or "" if nothing is missing.

        The number of tokens is an estimate: what was not shown was not counted either.

        Args:
            density: Tokens for each character of what is shown.
        """
        if missing.is_nothing:
            return ""
        reading = self.reading
        return self.form.format(
            least=_AT_LEAST if reading.unread else "",
            left=len(missing.left_out) + reading.unread,
            all=sum(map(len, reading.phases)) + reading.unread,
            condensed=_CONDENSED.format(missing.condensed) if missing.condensed else "",
            cut=len(missing.cut),
            tokens=_rounded(missing.characters * min(density, 1.0)),
        )


def _rounded(number: float) -> int:
    """Two digits of it: more would claim to be a count."""
    whole = max(int(number), number > 0)
    return int(round(whole, 2 - len(str(whole))))
