"""SQL that reads tasks; each list has an end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import TupleRow

from omoi_os.models.task import IN_FLIGHT, LATE, PENDING, RETRYABLE, WAITING, Task
from omoi_os.store.rows import fetch_all, fetch_one

MOST: Final = 1000
"""Tasks that a list has at most."""

_WITHOUT_RESULT: Final = ", ".join(
    "NULL::jsonb AS result" if column.name == "result" else column.name for column in Task.__table__.columns
)

_NAMES: Final = (
    f"{WAITING} AND {PENDING} "
    "AND dependencies @> jsonb_build_object('depends_on', jsonb_build_array(%(id)s::text))"
)


def find(connection: Connection[TupleRow], task_id: str) -> Task | None:
    """The task."""
    return fetch_one(connection, Task, "SELECT * FROM tasks WHERE id = %(id)s", {"id": task_id})


def has_result(connection: Connection[TupleRow], task_id: str, result: str | None) -> bool:
    """Whether the task's result is this JSON, as the database reads both: 1e30 becomes a whole number."""
    row = connection.execute(
        "SELECT result IS NOT DISTINCT FROM %(result)s::jsonb FROM tasks WHERE id = %(id)s",
        {"id": task_id, "result": result},
    ).fetchone()
    return row == (True,)


def elapsed(connection: Connection[TupleRow], task_id: str) -> tuple[Task, float | None, bool] | None:
    """The task, seconds from its start (or assignment) to its end or to now, and whether it is late."""
    task = find(connection, task_id)
    if task is None:
        return None
    row = connection.execute(
        f"""SELECT extract(epoch FROM coalesce(completed_at, clock_timestamp())
                                      - coalesce(started_at, assigned_at))::float, coalesce({LATE}, false)
            FROM tasks WHERE id = %(id)s""",  # noqa: S608
        {"id": task_id},
    ).fetchone()
    return None if row is None else (task, *row)


def blocked_by(connection: Connection[TupleRow], task_id: str) -> list[Task]:
    """Pending tasks that name this one as a dependency, in the order of the queue."""
    statement = f"SELECT * FROM tasks WHERE {_NAMES} ORDER BY priority_rank, created_at, id LIMIT {MOST}"  # noqa: S608
    return fetch_all(connection, Task, statement, {"id": task_id})


def blocked_ids(connection: Connection[TupleRow], task_id: str, most: int) -> tuple[list[str], int]:
    """Ids of the first `most` of `blocked_by`, and how many there are altogether."""
    rows = connection.execute(
        f"""SELECT id, count(*) OVER () FROM tasks WHERE {_NAMES}
            ORDER BY priority_rank, created_at, id LIMIT %(most)s""",  # noqa: S608
        {"id": task_id, "most": most},
        prepare=True,
    ).fetchall()
    return [row[0] for row in rows], rows[0][1] if rows else 0


def late(connection: Connection[TupleRow]) -> list[Task]:
    """Tasks in flight that have used up their time, the longest first."""
    statement = (
        f"SELECT * FROM tasks WHERE {LATE} ORDER BY coalesce(started_at, assigned_at), id LIMIT {MOST}"  # noqa: S608
    )
    return fetch_all(connection, Task, statement, {})


def retryable(connection: Connection[TupleRow], phase_id: str | None) -> list[Task]:
    """Failed tasks that may be tried again, the oldest failure first."""
    phase = "phase_id = %(phase)s::text AND" if phase_id else ""
    statement = f"SELECT * FROM tasks WHERE {phase} {RETRYABLE} ORDER BY completed_at, id LIMIT {MOST}"  # noqa: S608
    return fetch_all(connection, Task, statement, {"phase": phase_id})


def in_flight(connection: Connection[TupleRow], agent_id: str | None) -> list[Task]:
    """Tasks that agents have now; all of one agent, or the longest assigned of all agents."""
    one = agent_id is not None
    of_agent, most = ("assigned_agent_id = %(agent)s::text AND", "") if one else ("", f"LIMIT {MOST}")
    statement = f"SELECT * FROM tasks WHERE {of_agent} {IN_FLIGHT} ORDER BY assigned_at, id {most}"  # noqa: S608
    return fetch_all(connection, Task, statement, {"agent": agent_id})


def page(
    connection: Connection[TupleRow], filters: Mapping[str, str], limit: int, after: tuple[Any, str] | None
) -> list[Task]:
    """Tasks older than `after`, the newest first, one more than `limit` where there are more; no results.

    Args:
        filters: Of the columns ticket_id, phase_id, status, assigned_agent_id.
    """
    asked = [f"{column} = %({column})s" for column in filters]
    if after is not None:
        asked.append("(created_at, id) < (%(moment)s, %(id)s)")
    where = f"WHERE {' AND '.join(asked)}" if asked else ""
    moment, id_ = after or (None, None)
    statement = (
        f"SELECT {_WITHOUT_RESULT} FROM tasks {where} ORDER BY created_at DESC, id DESC LIMIT %(limit)s"  # noqa: S608
    )
    return fetch_all(
        connection, Task, statement, {**filters, "moment": moment, "id": id_, "limit": limit + 1}
    )
