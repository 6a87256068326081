from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from omoi_os.domain.context import (
    MOST_GIVEN,
    Item,
    Leftover,
    Meter,
    Point,
    Rank,
    condense,
    left_over,
    packed,
    read,
)
from omoi_os.domain.context.text import short
from omoi_os.utils.tokens import Tokens

MAX_TOKENS: Final = 2_000

_MOST_POINTS: Final = 100
_LONGEST_POINT: Final = 500


class ContextSummarizer:
    """Says what matters of a context of any size and shape, in lines, within a number of tokens."""

    def __init__(self, meter: Meter | None = None) -> None:
        self._meter = meter or Tokens()

    def summarize_structured(self, context: dict[str, Any]) -> str:
        """`summarize` with the default budget."""
        return self.summarize(context)

    def summarize(self, context: dict[str, Any], max_tokens: int = MAX_TOKENS) -> str:
        """The items of `context` by rank, nearest phase and age, never more than `max_tokens` tokens.

        Decisions come first, then blocking reasons, artifacts, risks, outcomes, notes and raw outputs. Every
        phase gets an equal share before any takes the rest. A cut item is marked, and the last line says
        how much was left out. Equal contexts give equal summaries.
        """
        budget = max(0, max_tokens)
        return packed(read(context, budget), budget, self._meter)

    def left_over(self, context: dict[str, Any], max_tokens: int) -> Leftover:
        """What a summary that keeps room for a model's words does not tell whole; see `condensed`."""
        return left_over(read(context, max_tokens + MOST_GIVEN), max_tokens, self._meter)

    def condensed(
        self, context: dict[str, Any], max_tokens: int, leftover: Leftover, points: Iterable[Point]
    ) -> str | None:
        """`summarize`, with what a model said of `leftover` behind the items; never more than `max_tokens`.

        Returns:
            None where nothing of what it said can be used.
        """
        reading = read(context, max_tokens + MOST_GIVEN)
        return condense(reading, max_tokens, self._meter, leftover, points)

    def extract_key_points(self, context: dict[str, Any]) -> list[str]:
        """The most important items, at most a hundred, shortened to 500 characters; raw outputs only if
        there is nothing else.
        """
        items = read(context, MAX_TOKENS).in_order()
        points = [item for item in items if item.rank is not Rank.OUTPUT] or items
        return [_point(item) for item in points[:_MOST_POINTS]]


def _point(item: Item) -> str:
    name = f"{item.name}: " if item.name else ""
    reference = f" [{item.reference}]" if item.reference else ""
    return f"{name}{short(item.text, _LONGEST_POINT)}{reference}"
