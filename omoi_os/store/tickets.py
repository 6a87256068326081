"""SQL of the tickets."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import TupleRow


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
