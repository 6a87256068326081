"""SQL of the tickets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import TupleRow
from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session, defer

from omoi_os.models.phase_gate_artifact import PhaseGateArtifact
from omoi_os.models.phase_history import PhaseHistory
from omoi_os.models.ticket import Ticket


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ticket stands, and where it stood before."""

    current: str
    previous: str | None


def place_of(connection: Connection[TupleRow], ticket_id: str) -> Place | None:
    """Where the ticket stands; None where there is no such ticket."""
    row = connection.execute(
        "SELECT phase_id, previous_phase_id FROM tickets WHERE id = %(ticket)s", {"ticket": ticket_id}
    ).fetchone()
    return None if row is None else Place(*row)


def hold(connection: Connection[TupleRow], ticket_id: str, *, alone: bool) -> bool:
    """Keep the ticket from being deleted until the commit; False where there is no such ticket.

    Args:
        alone: Also make others wait who hold it alone, or move it.
    """
    lock = "NO KEY UPDATE" if alone else "KEY SHARE"
    row = connection.execute(
        f"SELECT FROM tickets WHERE id = %(ticket)s FOR {lock}",
        {"ticket": ticket_id},
    ).fetchone()
    return row is not None


def hold_of_task(connection: Connection[TupleRow], task_id: str) -> None:
    """`hold` the ticket of a task alone; nothing where there is no such task."""
    connection.execute(
        """SELECT FROM tickets WHERE id = (SELECT ticket_id FROM tasks WHERE id = %(task)s::text)
           FOR NO KEY UPDATE""",
        {"task": task_id},
    )


def priority_of(connection: Connection[TupleRow], ticket_id: str) -> str | None:
    """The ticket's priority."""
    row = connection.execute("SELECT priority FROM tickets WHERE id = %(ticket)s", {"ticket": ticket_id})
    found = row.fetchone()
    return None if found is None else found[0]


@dataclass(frozen=True, slots=True)
class Page:
    """Some tickets, the newest first.

    Attributes:
        more: Whether older ones follow.
    """

    tickets: list[Ticket]
    more: bool


def page(
    session: Session, phase: str | None, status: str | None, limit: int, after: tuple[datetime, str] | None
) -> Page:
    """Tickets older than `after`, the newest first."""
    query = select(Ticket).order_by(Ticket.created_at.desc(), Ticket.id.desc()).limit(limit + 1)
    query = query.options(defer(Ticket.context), defer(Ticket.context_summary))  # megabytes, perhaps
    if phase is not None:
        query = query.where(Ticket.phase_id == phase)
    if status is not None:
        query = query.where(Ticket.status == status)
    if after is not None:
        query = query.where(tuple_(Ticket.created_at, Ticket.id) < after)
    found = list(session.scalars(query))
    return Page(found[:limit], len(found) > limit)


def moves(session: Session, ticket_id: str, limit: int, after: int) -> list[PhaseHistory]:
    """Moves after that place, the first one first, one more than `limit` where there are more."""
    query = select(PhaseHistory).where(PhaseHistory.ticket_id == ticket_id, PhaseHistory.seq > after)
    return list(session.scalars(query.order_by(PhaseHistory.seq).limit(limit + 1)))


def of_folder(session: Session, title: str, workspace_path: str | None) -> Ticket | None:
    """The oldest ticket of that title and workspace."""
    query = select(Ticket).where(Ticket.title == title, Ticket.workspace_path == workspace_path)
    return session.scalars(query.order_by(Ticket.created_at, Ticket.id).limit(1)).first()


def newest_artifact(
    session: Session, ticket_id: str, phase_id: str, artifact_type: str
) -> PhaseGateArtifact | None:
    """The artifact that a review would look at."""
    newest = PhaseGateArtifact.collected_at.desc(), PhaseGateArtifact.seq.desc()
    query = select(PhaseGateArtifact).where(
        PhaseGateArtifact.ticket_id == ticket_id,
        PhaseGateArtifact.phase_id == phase_id,
        PhaseGateArtifact.artifact_type == artifact_type,
    )
    return session.scalars(query.order_by(*newest).limit(1)).first()


def now(session: Session) -> datetime:
    """The database's clock; artifacts of all machines are ordered by it."""
    moment: datetime = session.scalars(select(func.clock_timestamp())).one()
    return moment
