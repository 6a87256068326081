"""SQL of the moves between phases."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import Connection
from psycopg.rows import TupleRow
from sqlalchemy import select
from sqlalchemy.orm import Session, load_only

from omoi_os.domain.phases import Move, Transition, parse_phase, status_in
from omoi_os.models.base import new_id
from omoi_os.models.event import Event
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.models.phase_history import PhaseHistory
from omoi_os.models.ticket import Ticket
from omoi_os.store import queue
from omoi_os.store.tickets import now


def lock_ticket(session: Session, ticket_id: str) -> Ticket | None:
    """The ticket as it is now; nobody else can move it, or add to it, until the transaction ends.

    An insert of an artifact, a task or a verdict holds a key share lock on its ticket until it commits.
    `FOR UPDATE` waits for those that have begun, and makes later ones wait; `FOR NO KEY UPDATE` would let an
    artifact slip in between the last look at the gate and the move.
    """
    # A context can be megabytes, and no move reads it.
    columns = load_only(Ticket.phase_id, Ticket.previous_phase_id, Ticket.status)
    return session.scalars(
        select(Ticket).where(Ticket.id == ticket_id).options(columns).with_for_update()
    ).one_or_none()


def history_of(session: Session, ticket_id: str) -> list[PhaseHistory]:
    """The ticket's moves, the first one first."""
    query = select(PhaseHistory).where(PhaseHistory.ticket_id == ticket_id).order_by(PhaseHistory.seq)
    return list(session.scalars(query))


def record_move(
    session: Session,
    ticket: Ticket,
    request: Move,
    verdict: PhaseGateResult | None,
    took_back: Sequence[str] = (),
) -> Transition:
    """Move a locked ticket, and add the history row and the event of it.

    Args:
        verdict: The one that opened the gate, where one was needed.
        took_back: The phases whose work does not count any more.
    """
    moment = now(session)
    transition = Transition(
        ticket_id=ticket.id,
        from_phase=parse_phase(ticket.phase_id),
        to_phase=parse_phase(request.to_phase),
        moved_at=moment,
        moved_by=request.moved_by,
        forced=request.force,
        gate_result_id=verdict.id if verdict is not None else None,
    )
    ticket.previous_phase_id = transition.from_phase
    ticket.phase_id = transition.to_phase
    ticket.status = status_in(transition.to_phase)
    ticket.updated_at = moment
    history = PhaseHistory(
        id=new_id(),
        ticket_id=ticket.id,
        from_phase=transition.from_phase,
        to_phase=transition.to_phase,
        transition_reason=request.reason,
        transitioned_by=request.moved_by,
        artifacts=request.artifacts,
        forced=request.force,
        gate_result_id=transition.gate_result_id,
        took_back=list(took_back) or None,
        created_at=moment,
    )
    session.add_all([history, _event(transition, history)])
    session.flush()  # statements on the driver's connection, like those of a generator, do not flush
    return transition


_TAKE_BACK = """
WITH ended AS (
    UPDATE tasks SET status = 'failed', completed_at = clock_timestamp(), error_message = %(error)s
    WHERE ticket_id = %(ticket)s AND phase_id = ANY (%(phases)s::text[])
      AND status IN ('pending', 'assigned', 'running')
    RETURNING id, ticket_id, phase_id
)
INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
SELECT gen_random_uuid()::text, 'task.cancelled', 'task', id,
       jsonb_build_object('ticket_id', ticket_id, 'phase_id', phase_id, 'status', 'failed',
                          'error', %(error)s::text), clock_timestamp()
FROM ended
"""


def end_tasks(connection: Connection[TupleRow], ticket_id: str, phases: Sequence[str], error: str) -> None:
    """End what is still to be done in phases whose work is taken back; whoever has it is told so."""
    queue.hold_failing(connection)
    connection.execute(_TAKE_BACK, {"ticket": ticket_id, "phases": list(phases), "error": error})


def _event(transition: Transition, history: PhaseHistory) -> Event:
    return Event(
        event_type="ticket.moved",
        entity_type="ticket",
        entity_id=transition.ticket_id,
        payload={
            "history_id": history.id,
            "from_phase": transition.from_phase,
            "to_phase": transition.to_phase,
            "reason": history.transition_reason,
            "by": transition.moved_by,
            "forced": transition.forced,
            "gate_result_id": transition.gate_result_id,
        },
        created_at=transition.moved_at,
    )


def contradicted(connection: Connection[TupleRow], result: PhaseGateResult) -> bool:
    """Whether a later verdict of the same gate is anything but a pass."""
    row = connection.execute(
        """SELECT EXISTS (SELECT FROM phase_gate_results
                          WHERE ticket_id = %(ticket)s::text AND phase_id = %(phase)s::text
                            AND (validated_at, seq) > (%(decided)s::timestamptz, %(seq)s::bigint)
                            AND gate_status NOT IN ('passed', 'pending'))""",
        {
            "ticket": result.ticket_id,
            "phase": result.phase_id,
            "decided": result.validated_at,
            "seq": result.seq,
        },
        prepare=True,
    ).fetchone()
    return row != (False,)
