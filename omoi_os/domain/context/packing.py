"""Fits items into a budget of tokens.

Each phase first fills an equal share, best rank first; what shares leave over goes to the best of the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from omoi_os.domain.context.closing import Closing, Missing
from omoi_os.domain.context.cutting import Meter
from omoi_os.domain.context.items import Condensed, Reading
from omoi_os.domain.context.lines import Filler, Line

_HUGE: Final = 4
"""Characters for each token of a phase's share above which an item is huge."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A summary.

    Attributes:
        lines: Of the items that are shown, whole or in part.
        whole: Whether nothing is missing.
    """

    text: str = ""
    lines: tuple[Line, ...] = ()
    whole: bool = False


_NONE: Final = Condensed()


def packed(reading: Reading, budget: int, meter: Meter) -> str:
    """The summary of `reading` in lines; never more than `budget` tokens by the count of `meter`."""
    return pack(reading, budget, meter).text


def pack(reading: Reading, budget: int, meter: Meter, condensed: Condensed = _NONE) -> Packed:
    """As `packed`, with what it consists of; `condensed` stands behind the items, in the same budget."""
    filler = Filler(meter)
    phases = [[Line(item) for item in phase] for phase in reading.phases]
    closing = Closing.for_budget(reading, budget, meter, condensed)
    budget -= condensed.tokens
    room = budget - closing.tokens
    left = room - sum(
        room // len(phases) - _fill_share(filler, phase, room // len(phases)) for phase in phases
    )
    lines = [line for phase in phases for line in phase]
    lines.sort(key=lambda line: line.item.rank)
    _fill_rest(filler, [line for line in lines if not line.whole], left)
    missing = [line for line in lines if not line.whole]
    # The room kept for the closing line may be enough for all that is missing.
    if reading.unread or not filler.fill_all(missing, budget - filler.used):
        _cut(filler, missing)
    return _verified(lines, filler.used, closing, budget, meter)


def _fill_share(filler: Filler, lines: list[Line], share: int) -> int:
    """Whole items in order, up to the first that does not fit, which gets what is left; returns what is left.

    One that is far larger than the share gets half of that once, lest a huge decision hides a small one.
    """
    done, left = filler.fill(lines, share)
    if [line.size > _HUGE * share for line in lines[done : done + 2]] == [True, False]:
        left -= _give(filler, lines[done], left // 2)
        if lines[done].given:
            more, left = filler.fill(lines[done + 1 :], left)
            done += 1 + more
    return left - _give(filler, lines[done], left) if done < len(lines) else left


def _give(filler: Filler, line: Line, tokens: int) -> int:
    """Set `tokens` aside for a line to be cut, if that leaves something worth reading; returns how many."""
    line.given = tokens if tokens >= filler.least(line) else 0
    return line.given


def _fill_rest(filler: Filler, lines: list[Line], rest: int) -> None:
    """Give what shares left over to the best items that are not whole."""
    for line in lines:
        room = line.given + rest
        whole, left = filler.fill([line], room)
        if whole:
            rest = left
        elif line.given or _give(filler, line, room):
            line.given = room
            return
        else:
            _go_on(lines, rest)
            return


def _go_on(lines: list[Line], rest: int) -> None:
    """Give what is too little for anything new to the first item that is cut already."""
    for line in lines:
        if line.given:
            line.given += rest
            return


def _cut(filler: Filler, lines: list[Line]) -> None:
    """Cut what was not given enough; what one leaves over goes to the next."""
    spare = 0
    for line in lines:
        line.text = ""
        if line.given:
            line.given += spare
            spare = filler.cut(line)


def _verified(lines: list[Line], used: int, closing: Closing, budget: int, meter: Meter) -> Packed:
    """The lines as one text, without the last ones if the closing line needs more than was kept for it."""
    shown = [line for line in lines if line.text]
    used += sum(line.given for line in shown)
    while lines:
        text = "".join([line.text for line in shown])
        missing = _missing(lines, closing)
        last = closing.line(missing, used / len(text) if text else 1.0)
        if used + meter.count(last) <= budget:
            return Packed(text + closing.condensed.text + last, tuple(shown), missing.is_nothing)
        if not shown:
            break
        used -= meter.count(shown[-1].text)
        shown.pop().text = ""
    return Packed()


def _missing(lines: list[Line], closing: Closing) -> Missing:
    partly = [line for line in lines if not line.whole or not line.text]
    told = closing.condensed.items
    untold = [line for line in partly if line.item not in told] if told else partly
    return Missing(
        closing.reading,
        [line.item for line in untold if not line.text],
        [line.size - len(line.text) for line in untold if line.text],
        len(partly) - len(untold),
    )
