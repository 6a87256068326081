"""Tickets on their way through the phases, for tests."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from omoi_os.domain.phases import Phase
from omoi_os.models.phase_gate_artifact import PhaseGateArtifact
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.models.task import Task
from omoi_os.models.ticket import Ticket
from omoi_os.services.database import DatabaseService
from omoi_os.services.phase_gate import PhaseGateService, ReviewTerms
from tests.test_phase_gates import GOOD

GENERATED = "generated"
USUAL = ReviewTerms()


def new_ticket(db: DatabaseService, phase: Phase = Phase.BACKLOG) -> str:
    with db.get_session() as session:
        ticket = Ticket(title="Password reset", phase_id=phase)
        session.add(ticket)
        session.flush()
        return ticket.id


def attach(db: DatabaseService, ticket_id: str, phase: Phase, *, good: bool, run: int | None = None) -> None:
    """Everything that the gate asks for, or the same types with nothing in them that would pass.

    Args:
        run: Makes it another piece of evidence than that of another run.
    """
    more = {} if run is None else {"run": run}
    with db.get_session() as session:
        for type_, content in GOOD[phase].items():
            session.add(
                PhaseGateArtifact(
                    ticket_id=ticket_id,
                    phase_id=phase,
                    artifact_type=type_,
                    artifact_content={**content, **more} if good else {"content": ""},
                    collected_at=session.scalar(select(func.clock_timestamp())),
                    collected_by="worker-1",
                )
            )


def add_task(db: DatabaseService, ticket_id: str, phase: Phase, status: str) -> None:
    with db.get_session() as session:
        session.add(Task(ticket_id=ticket_id, phase_id=phase, task_type="work", status=status))


def finish_tasks(db: DatabaseService, ticket_id: str, phase: Phase) -> None:
    with db.get_session() as session:
        of_phase = (Task.ticket_id == ticket_id, Task.phase_id == phase)
        session.execute(update(Task).where(*of_phase).values(status="completed"))


def ready_ticket(db: DatabaseService, phase: Phase) -> str:
    """A ticket that would pass its gate, where its phase has one."""
    ticket_id = new_ticket(db, phase)
    if phase in GOOD:
        make_ready(db, ticket_id, phase)
    return ticket_id


def make_ready(db: DatabaseService, ticket_id: str, phase: Phase) -> None:
    add_task(db, ticket_id, phase, "completed")
    attach(db, ticket_id, phase, good=True)


class OneTask:
    """A generator that makes one task, and may be told to do something before."""

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self.before = before

    def generate_phase_tasks(
        self, ticket_id: str, phase_id: str, *, session: Session | None = None
    ) -> list[Task]:
        assert session is not None
        task = Task(ticket_id=ticket_id, phase_id=phase_id, task_type=GENERATED)
        session.add(task)
        session.flush()
        self.before()
        return [task]


class InterruptedGate(PhaseGateService):
    """A gate after whose verdict something happens before the caller goes on; once per entry in `then`."""

    def __init__(self, db: DatabaseService) -> None:
        super().__init__(db)
        self.then: list[Callable[[], object]] = []

    def validate_gate(self, ticket_id: str, phase_id: str, *, terms: ReviewTerms = USUAL) -> PhaseGateResult:
        result = super().validate_gate(ticket_id, phase_id, terms=terms)
        if self.then:
            self.then.pop(0)()
        return result
