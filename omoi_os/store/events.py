"""SQL of the record of events: written by statements of their own, read in an order that never changes.

A row is shown once no transaction as old as its own still runs: until then a row could appear before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from psycopg import Connection
from psycopg.errors import InsufficientPrivilege
from psycopg.rows import TupleRow

from omoi_os.domain.events import Position, StoredEvent

CHANNEL: Final = "omoi_events"

# Transactions of an earlier era all ended; of the present one, those before the oldest that still runs.
ERA: Final = "(SELECT coalesce(max(era), 1) FROM event_eras)"
OLDEST_RUNNING: Final = "(SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint)"
COLUMNS: Final = (
    *("era", "xid", "seq", "id", "event_type", "entity_type", "entity_id"),
    *("ticket_id", "payload", "created_at"),
)
SHOWN: Final = f"(era, xid) < ({ERA}, {OLDEST_RUNNING})"
_AFTER: Final = "(era, xid, seq) > (%(era)s::int, %(xid)s::bigint, %(seq)s::bigint)"
_BEFORE: Final = "(era, xid, seq) < (%(era)s::int, %(xid)s::bigint, %(seq)s::bigint)"
_OF_TICKET: Final = "ticket_id = %(ticket)s::text AND"


def tell(
    connection: Connection[TupleRow],
    event_type: str,
    entity_type: str,
    entity_id: str,
    payload: Mapping[str, Any],
) -> None:
    """Write that something happened, in the transaction that made it happen."""
    connection.execute(
        """INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
           VALUES (gen_random_uuid()::text, %s, %s, %s, %s::jsonb, clock_timestamp())""",
        (event_type, entity_type, entity_id, msgspec.json.encode(payload).decode()),
    )


def after(
    connection: Connection[TupleRow], position: Position, limit: int, *, ticket_id: str | None = None
) -> list[StoredEvent]:
    """The first events after a place."""
    return _page(connection, f"{_AFTER} AND {SHOWN} ORDER BY era, xid, seq", position, limit, ticket_id)


def before(
    connection: Connection[TupleRow], position: Position, limit: int, *, ticket_id: str | None = None
) -> list[StoredEvent]:
    """The last events before a place, the newest first."""
    order = "ORDER BY era DESC, xid DESC, seq DESC"
    return _page(connection, f"{_BEFORE} AND {SHOWN} {order}", position, limit, ticket_id)


def end(connection: Connection[TupleRow]) -> Position:
    """The place after all events that are shown now, and before all others, written or not."""
    row = connection.execute(f"SELECT {ERA}, {OLDEST_RUNNING}", prepare=True).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    return Position(row[0], row[1], 0)


def some_wait(connection: Connection[TupleRow]) -> bool:
    """Whether events are written that are not shown yet."""
    waiting = f"SELECT EXISTS (SELECT FROM events WHERE (era, xid) >= ({ERA}, {OLDEST_RUNNING}))"  # noqa: S608
    return connection.execute(waiting, prepare=True).fetchone() == (True,)


def listen(connection: Connection[TupleRow]) -> None:
    """Have this connection be woken by writers; `wait` waits for it."""
    connection.execute(f"LISTEN {CHANNEL}")


def wait(connection: Connection[TupleRow], seconds: float) -> bool:
    """Wait until a writer wakes this connection, so many seconds at most; whether one did."""
    woken = False
    for _ in connection.notifies(timeout=seconds, stop_after=1):
        woken = True
    return woken


def cluster(connection: Connection[TupleRow]) -> str:
    """What numbers the transactions: the server and its timeline, or "unknown" where it does not say."""
    try:
        row = connection.execute(
            "SELECT system_identifier, timeline_id FROM pg_control_system(), pg_control_checkpoint()"
        ).fetchone()
    except InsufficientPrivilege:
        row = None
    return "unknown" if row is None else f"{row[0]}/{row[1]}"


def era_of(connection: Connection[TupleRow], cluster: str) -> int | None:
    """The era in force, if it is of this cluster."""
    newest = "SELECT era, cluster FROM event_eras ORDER BY era DESC LIMIT 1"
    row = connection.execute(newest).fetchone()
    return row[0] if row is not None and row[1] == cluster else None


def begin_era(connection: Connection[TupleRow], cluster: str) -> int:
    """The era of this cluster, begun here if it is not in force; in a transaction of its own.

    After a dump was restored, transactions are numbered from elsewhere: in a new era, what is written from
    now on comes after what is there, and cursors from before still say which of that was read.
    """
    connection.execute("SET LOCAL lock_timeout = '30s'")
    # Whoever has this lock is alone: every writer of the era before has ended.
    connection.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
    if (known := era_of(connection, cluster)) is not None:
        return known
    row = connection.execute(
        """INSERT INTO event_eras (era, cluster)
           SELECT coalesce(max(era), 0) + 1, %s FROM event_eras RETURNING era""",
        (cluster,),
    ).fetchone()
    assert row is not None  # noqa: S101 - an INSERT of one row returns one
    era = int(row[0])
    connection.execute(f"ALTER TABLE events ALTER COLUMN era SET DEFAULT {era}")
    return era


def _page(
    connection: Connection[TupleRow], where: str, position: Position, limit: int, ticket_id: str | None
) -> list[StoredEvent]:
    ticket = "" if ticket_id is None else _OF_TICKET
    statement = f"SELECT {', '.join(COLUMNS)} FROM events WHERE {ticket} {where} LIMIT %(limit)s"  # noqa: S608
    values = {**position._asdict(), "limit": limit, "ticket": ticket_id}
    rows = connection.execute(statement, values, prepare=True).fetchall()
    return [StoredEvent(Position(*row[:3]), *row[3:]) for row in rows]
