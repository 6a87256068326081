"""Fits items into a budget of tokens.

Each phase first fills an equal share, best rank first; what shares leave over goes to the best of the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from omoi_os.domain.context.closing import Closing, Missing
from omoi_os.domain.context.cutting import Meter
from omoi_os.domain.context.items import Condensed, Reading
from omoi_os.domain.context.lines import Filler, Line

_HUGE: Final = 4
"""Characters for each token of a phase's share above which an item is huge."""

_LEAST: Final = 16
"""Tokens below which no item is begun."""

_LARGE_FRAME: Final = 28
"""Tokens from which a frame that does not fit is passed over; behind a smaller one nothing takes its turn."""

_MOST_PASSED_OVER: Final = 8
"""Items that may be passed over in a row because even a cut one would not fit: looking at more costs more."""

_LIGHTEST: Final = 32
"""Characters that a token of an unknown text may have, in favour of it."""


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
    left = budget - filler.used
    if not reading.unread and _may_fit(missing, left):
        filler.fill_all(missing, left)
    return _verified(lines, filler.used, closing, budget, meter)


def _fill_share(filler: Filler, lines: Sequence[Line], share: int) -> int:
    """Whole items in order, up to the first that does not fit, which gets what is left; returns what is left.

    One that needs more than half of the share gets half of that, lest a huge decision hides a small one.
    Others that are huge wait until the small ones of their rank had their turn.
    """
    huge = _HUGE * share
    queue, left = lines, share
    for _ in range(_MOST_PASSED_OVER):
        if not left:
            break
        done, left = filler.fill(queue, left)
        queue = queue[done:]
        if not queue:
            break
        line, queue = queue[0], queue[1:]
        large = line.size > huge or left > share // 2
        if large and any(other.size <= huge for other in queue):
            left -= _give(filler, line, left // 2) or _give(filler, line, left)
            queue = sorted(queue, key=lambda line: (line.item.rank, line.size > huge))
        else:
            left -= _give(filler, line, left)
        if not line.given and filler.least(line) < _LARGE_FRAME:
            break
    return left


def _give(filler: Filler, line: Line, tokens: int) -> int:
    """Set `tokens` aside for a line to be cut, if that leaves something worth reading; returns how many."""
    line.given = tokens if tokens >= filler.least(line) else 0
    return line.given


def _fill_rest(filler: Filler, lines: Sequence[Line], rest: int) -> None:
    """Give what shares left over to the best items that are not whole, and cut those that still are not."""
    passed_over = 0
    for line in lines:
        room = line.given + rest
        if not line.given and (rest < _LEAST or passed_over >= _MOST_PASSED_OVER):
            continue
        # With nothing more than it was given it does not fit.
        whole, left = filler.fill([line], room) if rest >= _LEAST else (0, room)
        if whole:
            rest = left
        elif line.given or room >= filler.least(line):
            rest = filler.cut(line, room)
        else:
            passed_over += 1 if filler.least(line) >= _LARGE_FRAME else _MOST_PASSED_OVER


def _may_fit(missing: Sequence[Line], left: int) -> bool:
    """Whether it is worth counting all of it; the rest of a text is taken to be like its beginning."""
    spare = left - sum([line.given for line in missing])
    need = 0.0
    for line in missing:
        shown = len(line.text)
        need += max(0, line.size - shown) * line.given / shown if shown else line.size / _LIGHTEST
    return need <= 2 * spare


def _verified(lines: list[Line], used: int, closing: Closing, budget: int, meter: Meter) -> Packed:
    """The lines as one text, without the last ones if the closing line needs more than was kept for it."""
    shown = [line for line in lines if line.text]
    used += sum(line.given for line in shown)
    while True:
        text = "".join([line.text for line in shown])
        missing = _missing(lines, closing)
        last = closing.line(missing, used / len(text) if text else 1.0)
        if used + meter.count(last) <= budget:
            return Packed(text + closing.condensed.text + last, tuple(shown), missing.is_nothing)
        if not shown:
            return Packed()
        used -= meter.count(shown[-1].text)
        shown.pop().text = ""


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
