"""Budgets of model use that hold for all processes on one database together.

Calls: a limit of n per minute is n slots. A call takes one that has rested for 61 seconds, so that no window
of 61 seconds, wherever it begins, holds more than n grants. The second beyond the minute is for what lies
between a grant and its request: where that takes no more than a second, no minute sees more than n requests.
A burst of n may come at once; then nothing comes for a minute. Of different limits the largest one holds.

Money: a reservation is granted while what is reserved and spent on this day stays within the cap. Its
settlement tells the truth, also where a conversation cost more than was reserved, which its last call can;
nothing is granted then until the sum is within the cap again. The day is the one, in UTC, on which the
conversation began.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final, Self

import psycopg
from psycopg.rows import TupleRow
from sqlalchemy.exc import SQLAlchemyError

from omoi_os.errors import DatabaseUnavailable, InvalidInput
from omoi_os.models.base import new_id
from omoi_os.services.database import DatabaseService
from omoi_os.settings import Settings
from omoi_os.store import budgets

REST: Final = 61.0
"""Seconds for which a slot rests after its use."""

MOST_USD: Final = 1_000_000.0
"""What one amount, and a day without a cap, can be."""

_SOON: Final = 0.05
_FIRST_SPREAD: Final = 0.25
_WIDEST_SPREAD: Final = 8.0
_MICRO: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """The caps; None is no limit."""

    calls_per_minute: int | None = None
    usd_per_day: float | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The caps that an operator set."""
        return cls(settings.model_calls_per_minute, settings.judge_usd_per_day)


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money that is set aside from the budget of a day until it is settled, or for good."""

    id: str
    day: date
    usd: Decimal


@dataclass(frozen=True, slots=True)
class BudgetState:
    """What there is and what was used of it.

    Attributes:
        calls_last_minute: Grants in the last 60 seconds.
        left_usd: What can still be reserved today; None without a cap.
        begins_anew: When the day's budget does.
    """

    calls_per_minute: int | None
    calls_last_minute: int
    usd_per_day: float | None
    reserved_usd: float
    spent_usd: float
    left_usd: float | None
    begins_anew: datetime

    def as_dict(self) -> dict[str, Any]:
        """As it is shown to programs."""
        told = {name: getattr(self, name) for name in self.__slots__}
        return told | {"begins_anew": self.begins_anew.isoformat()}


class BudgetService:
    """Grants model calls and money. Without a cap of calls the database is not asked for them.

    Args:
        rest: Seconds for which a slot of the calls rests; tests take shorter ones.
    """

    def __init__(self, db: DatabaseService, limits: BudgetLimits, *, rest: float = REST) -> None:
        self.db = db
        self.limits = limits
        self._rest = rest

    def reserve_call(self) -> float:
        """Take the right to one model call.

        Returns:
            0.0 when it may go now; otherwise the seconds after which to ask again, at least.

        Raises:
            DatabaseUnavailable: Nothing was granted, or nobody knows of it.
        """
        slots = self.limits.calls_per_minute
        if slots is None:
            return 0.0
        with self._statements() as connection:
            if budgets.use_slot(connection, slots, self._rest):
                return 0.0
            seconds = budgets.wait_for_slot(connection, slots, self._rest)
            if seconds is None:
                budgets.add_slots(connection, slots)
                return 0.0 if budgets.use_slot(connection, slots, self._rest) else _SOON
        return min(max(seconds, _SOON), self._rest)

    async def pace(self) -> None:
        """Wait until a model call may go; can be cancelled at any moment.

        Who is refused again waits longer, and never as long as somebody else: many that wait ask seldom.

        Raises:
            DatabaseUnavailable: It cannot be told whether one may go.
        """
        spread = _FIRST_SPREAD
        while seconds := await asyncio.to_thread(self.reserve_call):
            await asyncio.sleep(seconds + random.uniform(0, spread))  # noqa: S311 nothing depends on it
            spread = min(2 * spread, _WIDEST_SPREAD)

    def reserve(self, usd: float) -> Reservation | None:
        """Set aside the most that something may cost, from what is left of today; None where that is less.

        Whoever dies before settling leaves it reserved, until the day ends.

        Raises:
            InvalidInput: No such amount can be reserved.
            DatabaseUnavailable: Nothing was granted, or nobody knows of it.
        """
        amount, id_ = _money(usd), new_id()
        cap = MOST_USD if self.limits.usd_per_day is None else self.limits.usd_per_day
        most = Decimal(repr(cap)).quantize(_MICRO, ROUND_FLOOR)
        with self._statements() as connection:
            day = budgets.reserve(connection, id_, amount, most)
        return None if day is None else Reservation(id_, day, amount)

    def settle(self, reservation: Reservation, actual_usd: float | None) -> bool:
        """Give back what was reserved and not spent. Only the first settlement counts.

        Args:
            actual_usd: None where nobody knows: then all that was reserved is spent.

        Returns:
            Whether this was the first one.

        Raises:
            InvalidInput: Nothing can have cost that; the money stays reserved.
            DatabaseUnavailable: As long as nobody settles again, the money stays reserved.
        """
        spent = None if actual_usd is None else _money(actual_usd)
        with self._statements() as connection:
            return budgets.settle(connection, reservation.id, spent)

    def state(self) -> BudgetState:
        """What there is and what was used of it.

        Raises:
            DatabaseUnavailable: It does not answer.
        """
        with self._statements() as connection:
            used = budgets.used(connection)
        cap = self.limits.usd_per_day
        reserved, spent = float(used.reserved_usd), float(used.spent_usd)
        return BudgetState(
            calls_per_minute=self.limits.calls_per_minute,
            calls_last_minute=used.calls,
            usd_per_day=cap,
            reserved_usd=reserved,
            spent_usd=spent,
            left_usd=None if cap is None else max(0.0, round(cap - reserved - spent, 6)),
            begins_anew=used.begins_anew,
        )

    @contextmanager
    def _statements(self) -> Iterator[psycopg.Connection[TupleRow]]:
        try:
            with self.db.single_statements() as connection:
                yield connection
        except (psycopg.OperationalError, SQLAlchemyError) as error:
            raise DatabaseUnavailable("the budgets cannot be asked: the database does not answer") from error


def _money(usd: float) -> Decimal:
    """In whole millionths, rounded up."""
    if not math.isfinite(usd) or not 0 <= usd <= MOST_USD:
        raise InvalidInput(f"an amount must lie between $0 and ${MOST_USD:,.0f}")
    return Decimal(repr(float(usd))).quantize(_MICRO, ROUND_CEILING)
