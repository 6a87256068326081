"""SQL of task templates and of what their tasks are made from."""

from __future__ import annotations

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session, load_only

from omoi_os.models.phase_history import PhaseHistory
from omoi_os.models.task_template import TaskTemplate
from omoi_os.models.ticket import Ticket


def hold_ticket(session: Session, ticket_id: str) -> Ticket | None:
    """The ticket, which nobody else can move, or make tasks for, until the commit."""
    # A context can be megabytes.
    columns = load_only(Ticket.title, Ticket.description, Ticket.phase_id, Ticket.priority)
    query = select(Ticket).where(Ticket.id == ticket_id).options(columns)
    return session.scalars(query.with_for_update(key_share=True)).one_or_none()


def moves(session: Session, ticket_id: str) -> list[tuple[str | None, str]]:
    """From where to where the ticket went, in order."""
    query = select(PhaseHistory.from_phase, PhaseHistory.to_phase).where(PhaseHistory.ticket_id == ticket_id)
    return [(row.from_phase, row.to_phase) for row in session.execute(query.order_by(PhaseHistory.seq))]


def active(session: Session, phase_id: str) -> list[TaskTemplate]:
    """The team's own templates of a phase, in order."""
    query = select(TaskTemplate).where(
        TaskTemplate.phase_id == phase_id, TaskTemplate.is_active.is_not(False)
    )
    return list(session.scalars(query.order_by(TaskTemplate.created_at, TaskTemplate.id)))


def switch_off(session: Session, phase_id: str) -> None:
    """Make a phase's templates inactive; nobody else can write any until the commit.

    Without the lock two who replace them at once would both leave theirs active.
    """
    session.execute(text("LOCK TABLE task_templates IN SHARE ROW EXCLUSIVE MODE"))
    session.execute(
        update(TaskTemplate)
        .where(TaskTemplate.phase_id == phase_id, TaskTemplate.is_active.is_not(False))
        .values(is_active=False)
    )
