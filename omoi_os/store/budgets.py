"""SQL of the budgets. The database's clock is the only one, and each grant is one statement.

A statement that waits for a row's lock sees that row anew, and everything else as it was before: so what a
grant depends on stands in the row that it changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from psycopg import Connection
from psycopg.rows import TupleRow

# A slot that is locked is being used right now. One that was used in a future more than a window away was
# stamped by a clock that has been put back since; without the exception it would rest for as long as that.
_USE_SLOT: Final = """
WITH free AS (
    SELECT slot FROM model_call_slots
    WHERE slot <= %(slots)s
      AND (used_at IS NULL OR used_at <= clock_timestamp() - make_interval(secs => %(rest)s)
                           OR used_at > clock_timestamp() + make_interval(secs => %(rest)s))
    LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE model_call_slots AS mine SET used_at = clock_timestamp() FROM free WHERE mine.slot = free.slot
"""

_WAIT: Final = """
SELECT count(*), extract(epoch FROM min(used_at) - clock_timestamp())::float + %(rest)s
FROM model_call_slots WHERE slot <= %(slots)s
"""

_ADD_SLOTS: Final = """
INSERT INTO model_call_slots (slot) SELECT generate_series(1, %(slots)s) ON CONFLICT DO NOTHING
"""

_RESERVE: Final = """
WITH taken AS (
    INSERT INTO judge_days AS theirs (day, reserved_usd, spent_usd)
    SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date, %(usd)s, 0 WHERE %(usd)s <= %(cap)s
    ON CONFLICT (day) DO UPDATE SET reserved_usd = theirs.reserved_usd + excluded.reserved_usd
    WHERE theirs.reserved_usd + theirs.spent_usd + excluded.reserved_usd <= %(cap)s
    RETURNING day
)
INSERT INTO judge_reservations (id, day, usd, created_at)
SELECT %(id)s, day, %(usd)s, clock_timestamp() FROM taken RETURNING day
"""

# Of two that settle the same reservation, the second waits for the deletion and then finds nothing.
_SETTLE: Final = """
WITH ended AS (
    DELETE FROM judge_reservations WHERE id = %(id)s RETURNING day, usd
)
UPDATE judge_days AS theirs
SET reserved_usd = reserved_usd - usd, spent_usd = spent_usd + coalesce(%(usd)s, usd)
FROM ended WHERE theirs.day = ended.day
"""

_STATE: Final = """
SELECT (SELECT count(*) FROM model_call_slots
        WHERE used_at BETWEEN moment - interval '1 minute' AND moment),
       coalesce(reserved_usd, 0), coalesce(spent_usd, 0), (today + 1)::timestamp AT TIME ZONE 'UTC'
FROM clock_timestamp() AS moment
CROSS JOIN LATERAL (SELECT (moment AT TIME ZONE 'UTC')::date AS today) AS days
LEFT JOIN judge_days ON day = today
"""


@dataclass(frozen=True, slots=True)
class Used:
    """What was used of the budgets.

    Attributes:
        calls: In the last minute.
        begins_anew: When the next day begins, in UTC.
    """

    calls: int
    reserved_usd: Decimal
    spent_usd: Decimal
    begins_anew: datetime


def use_slot(connection: Connection[TupleRow], slots: int, rest: float) -> bool:
    """Use one of the first `slots` that has rested for so many seconds; False where there is none."""
    values = {"slots": slots, "rest": rest}
    return connection.execute(_USE_SLOT, values, prepare=True).rowcount > 0


def wait_for_slot(connection: Connection[TupleRow], slots: int, rest: float) -> float | None:
    """Seconds until the first slot has rested; None where slots are missing, which `add_slots` changes."""
    row = connection.execute(_WAIT, {"slots": slots, "rest": rest}, prepare=True).fetchone()
    assert row is not None  # noqa: S101 an aggregate
    count, seconds = row
    # Without a moment, all are being used for the first time right now.
    return None if count < slots else (rest if seconds is None else seconds)


def add_slots(connection: Connection[TupleRow], slots: int) -> None:
    """Make the first `slots` that are missing."""
    connection.execute(_ADD_SLOTS, {"slots": slots})


def reserve(connection: Connection[TupleRow], id_: str, usd: Decimal, cap: Decimal) -> date | None:
    """Set money aside where what is reserved and spent stays within `cap`; the day that it is taken from."""
    row = connection.execute(_RESERVE, {"id": id_, "usd": usd, "cap": cap}).fetchone()
    return None if row is None else row[0]


def settle(connection: Connection[TupleRow], id_: str, usd: Decimal | None) -> bool:
    """Spend `usd` of the day that was reserved from, or all that was reserved; False where that was done."""
    return connection.execute(_SETTLE, {"id": id_, "usd": usd}).rowcount > 0


def used(connection: Connection[TupleRow]) -> Used:
    """What was used until now."""
    row = connection.execute(_STATE).fetchone()
    assert row is not None  # noqa: S101 the clock always tells a time
    return Used(*row)
