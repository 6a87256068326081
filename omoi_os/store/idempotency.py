"""SQL of the names that callers give to their requests."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import TupleRow


@dataclass(frozen=True, slots=True)
class KeptKey:
    """What a key stands for: a request, by its digest, and the review that answered it."""

    request: str
    result_id: str


def find(connection: Connection[TupleRow], key: str) -> KeptKey | None:
    """What the key stands for; None for a new one."""
    row = connection.execute(
        "SELECT request, result_id FROM idempotency_keys WHERE key = %(key)s", {"key": key}
    ).fetchone()
    return None if row is None else KeptKey(*row)


def keep(connection: Connection[TupleRow], key: str, request: str, result_id: str) -> KeptKey:
    """Let a key stand for a request, unless it does for one already; returns what it stands for."""
    values = {"key": key, "request": request, "result": result_id}
    connection.execute(
        """INSERT INTO idempotency_keys (key, request, result_id)
           VALUES (%(key)s, %(request)s, %(result)s) ON CONFLICT (key) DO NOTHING""",
        values,
    )
    kept = find(connection, key)
    return kept or KeptKey(request, result_id)


def forget(connection: Connection[TupleRow], *, older: float, limit: int) -> int:
    """Forget keys after so many seconds; returns how many."""
    return connection.execute(
        """DELETE FROM idempotency_keys WHERE key IN (
               SELECT key FROM idempotency_keys
               WHERE created_at < clock_timestamp() - make_interval(secs => %(older)s) LIMIT %(limit)s)""",
        {"older": older, "limit": limit},
    ).rowcount
