"""Fits items into a budget of tokens.

Each phase first fills an equal share, best rank first; what shares leave over goes to the best of the rest.
Tokens of two texts add up exactly where the second begins with one space between visible characters, or on a
new line that begins with neither white space nor "/": o200k_base and cl100k_base split there before they
merge. So lines begin with "- ", have single spaces only, and are counted one by one; where a text had to be
torn inside a word, the whole is counted once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from omoi_os.domain.context.closing import Closing
from omoi_os.domain.context.cutting import Meter, head_of
from omoi_os.domain.context.items import Item, Rank, Reading
from omoi_os.domain.context.text import clean

_CUT: Final = " … [cut]"
_LEAST_CUT: Final = 4
"""Tokens of its own text that an item must keep to be worth cutting."""

_FAR: Final = 1.5
"""A text this much longer than the room should hold is not encoded to see if it fits: cutting tells, too."""

_NAMES: Final = tuple(rank.name.lower() for rank in Rank)
_NOTHING: Final = "(no printable text)"
_PLENTY: Final = 1 << 16

_HUGE: Final = 4
"""Characters for each token of a phase's share above which an item is huge."""


@dataclass(slots=True)
class _Scale:
    """Counts lines, and learns from them how many characters a token of this context has."""

    meter: Meter
    characters: int = 400
    tokens: int = 100

    @property
    def density(self) -> float:
        return self.characters / self.tokens

    def count(self, line: str, at_most: int) -> int:
        tokens = self.meter.count(line, at_most)
        self.characters += len(line)
        self.tokens += tokens
        return tokens


@dataclass(slots=True)
class _Slot:
    """An item on its way into the summary.

    Attributes:
        given: Tokens set aside for it; 0 while it is left out.
        whole: Whether that is enough for all of it.
        line: The line, as soon as it was made.
        tokens: Those of the whole line: exact up to `counted`.
        exact: Whether `given` is what the line as it is shown has, token by token.
    """

    item: Item
    scale: _Scale
    given: int = 0
    whole: bool = False
    line: str = ""
    tokens: int = 0
    counted: int = -1
    exact: bool = True

    def take(self, at_most: int) -> bool:
        """Give it the tokens of its whole line, unless these are more than `at_most`."""
        if self.tokens > self.counted < at_most:
            if len(self.item.text) > _FAR * self.scale.density * at_most:
                return False
            self.line = self.line or rendered(self.item, clean(self.item.text))
            self.tokens = self.scale.count(self.line, at_most)
            self.counted = at_most
        if self.tokens <= at_most:
            self.given, self.whole = self.tokens, True
        return self.whole

    def least(self) -> int:
        """The tokens below which nothing worth reading would be left of it."""
        return self.scale.meter.count(rendered(self.item, _CUT.strip()), _PLENTY) + _LEAST_CUT

    def cut(self, room: int) -> int:
        """Make the line that fits into `room`; returns its tokens."""
        frame = self.scale.meter.count(rendered(self.item, _CUT.strip()), room)
        head = head_of(self.item.text, room - frame, self.scale.meter, self.scale.density)
        body = head.text if head.whole else head.text + _CUT
        self.line = rendered(self.item, body) if head.text else ""
        self.given = frame + head.tokens if head.text else 0
        self.exact = head.exact
        return self.given


def packed(reading: Reading, budget: int, meter: Meter) -> str:
    """The summary of `reading` in lines; never more than `budget` tokens by the count of `meter`."""
    scale = _Scale(meter)
    phases = [[_Slot(item, scale) for item in phase] for phase in reading.phases]
    slots = [slot for phase in phases for slot in phase]
    slots.sort(key=lambda slot: slot.item.rank)
    closing = Closing.for_budget(reading, budget, meter)
    room = budget - closing.tokens
    for phase in phases:
        _fill_share(phase, room // len(phases))
    _fill_rest(slots, room - sum(slot.given for slot in slots))
    if reading.unread or not _all_fit(slots, budget):
        _cut(slots)
    return _verified(slots, closing, budget, meter)


def _fill_share(slots: list[_Slot], share: int) -> None:
    """Whole items in order, up to the first that does not fit, which gets what is left.

    One that is far larger than the share gets half of that once, lest a huge decision hides all others.
    """
    left, halved = share, False
    for slot in slots:
        if slot.take(left):
            left -= slot.given
            continue
        huge = not halved and len(slot.item.text) > _HUGE * share
        given = left // 2 if huge else left
        if given < slot.least():
            return
        slot.given = given
        left -= given
        if not huge:
            return
        halved = True


def _fill_rest(slots: list[_Slot], rest: int) -> None:
    """Give what shares left over to the best items that are not whole."""
    for slot in slots:
        if slot.whole:
            continue
        room = slot.given + rest
        if slot.take(room):
            rest = room - slot.given
        elif slot.given or rest >= slot.least():
            slot.given = room
            return
        else:
            _go_on(slots, rest)
            return


def _go_on(slots: list[_Slot], rest: int) -> None:
    """Give what is too little for anything new to the first item that is cut already."""
    for slot in slots:
        if slot.given and not slot.whole:
            slot.given += rest
            return


def _all_fit(slots: list[_Slot], budget: int) -> bool:
    """Whether the room kept for the closing line is enough for all that is not whole yet; then take it."""
    missing = [(slot, slot.given) for slot in slots if not slot.whole]
    left = budget - sum(slot.given for slot in slots if slot.whole)
    for slot, _ in missing:
        if not slot.take(left):
            for other, given in missing:
                other.given, other.whole = given, False
            return False
        left -= slot.given
    return True


def _cut(slots: list[_Slot]) -> None:
    """Cut what was not given enough; what one leaves over goes to the next."""
    spare = 0
    for slot in slots:
        if slot.whole:
            continue
        slot.line = ""
        if slot.given:
            room = slot.given + spare
            spare = room - slot.cut(room)


def _verified(slots: list[_Slot], closing: Closing, budget: int, meter: Meter) -> str:
    """The lines as one text, without the last ones if the whole needs more than the budget."""
    shown = [slot for slot in slots if slot.line]
    while slots:
        text = "".join([slot.line for slot in shown])
        left_out = [slot.item for slot in slots if not slot.line]
        cut = [len(slot.item.text) - len(slot.line) for slot in shown if not slot.whole]
        last = closing.line(left_out, cut, budget / max(1, len(text)))
        if _tokens(shown, text, last, budget, meter) <= budget:
            return text + last
        if not shown:
            break
        shown.pop().line = ""
    return ""


def _tokens(shown: list[_Slot], text: str, last: str, budget: int, meter: Meter) -> int:
    """Lines add up; a text that was torn inside a word may not, and makes us count the whole."""
    if all(slot.exact for slot in shown):
        return sum(slot.given for slot in shown) + meter.count(last, budget)
    return meter.count(text + last, budget)


def rendered(item: Item, body: str) -> str:
    """One line of a summary: "- decision (design): keep one store [task 7]"."""
    phase = f" ({item.phase})" if item.phase else ""
    name = f" {item.name}:" if item.name else ""
    reference = f" [{item.reference}]" if item.reference else ""
    return f"- {_NAMES[item.rank]}{phase}:{name} {body or _NOTHING}{reference}\n"
