"""SQL of the tickets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import TupleRow
from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

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
    if phase is not None:
        query = query.where(Ticket.phase_id == phase)
    if status is not None:
        query = query.where(Ticket.status == status)
    if after is not None:
        query = query.where(tuple_(Ticket.created_at, Ticket.id) < after)
    found = list(session.scalars(query))
    return Page(found[:limit], len(found) > limit)


def now(session: Session) -> datetime:
    """The database's clock; artifacts of all machines are ordered by it."""
    return session.scalars(select(func.clock_timestamp())).one()
