"""SQL of the workers' signs of life."""

from __future__ import annotations

import socket
from typing import Final

from psycopg import Connection
from psycopg.rows import TupleRow

_TAKING_OVER: Final = 0x6F6D6F6C
"""Advisory lock of whoever takes over a dead worker's work ("omol" in ASCII)."""


def beat(connection: Connection[TupleRow], executor_id: str) -> None:
    """Add to a worker's number."""
    connection.execute(
        """INSERT INTO worker_leases (executor_id, beat, host) VALUES (%(id)s, 1, %(host)s)
           ON CONFLICT (executor_id) DO UPDATE
           SET beat = worker_leases.beat + 1, seen_at = clock_timestamp()""",
        {"id": executor_id, "host": socket.gethostname()[:255]},
    )


def others(connection: Connection[TupleRow], executor_id: str) -> list[tuple[str, int]]:
    """The other workers and their numbers."""
    rows = connection.execute(
        "SELECT executor_id, beat FROM worker_leases WHERE executor_id <> %(id)s", {"id": executor_id}
    )
    return [(row[0], row[1]) for row in rows.fetchall()]


def end(connection: Connection[TupleRow], executor_id: str) -> None:
    """Forget a worker."""
    connection.execute("DELETE FROM worker_leases WHERE executor_id = %(id)s", {"id": executor_id})


def living(connection: Connection[TupleRow], *, within: float) -> int:
    """Workers that gave a sign of life in so many seconds; for people."""
    row = connection.execute(
        """SELECT count(*) FROM worker_leases
           WHERE seen_at > clock_timestamp() - make_interval(secs => %(within)s)""",
        {"within": within},
    ).fetchone()
    return 0 if row is None else int(row[0])


def is_alone(connection: Connection[TupleRow]) -> bool:
    """Whether nobody else takes over anything until the end of this transaction."""
    row = connection.execute("SELECT pg_try_advisory_xact_lock(%(key)s)", {"key": _TAKING_OVER}).fetchone()
    return row == (True,)
