"""Tickets move as the map and the gates allow: whole, in order, and one move at a time."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from omoi_os.bootstrap import Services
from omoi_os.domain.phases import (
    PHASE_TRANSITIONS,
    WORK_PHASES,
    Move,
    Phase,
    Transition,
    allowed_moves,
    refusal,
    status_in,
)
from omoi_os.domain.policy import PHASE_GATE_REQUIREMENTS
from omoi_os.errors import (
    Conflict,
    GateClosed,
    InvalidInput,
    NotFound,
    OmoiError,
    TemplateInvalid,
    TextTooLong,
    TransitionNotAllowed,
    UnknownPhase,
)
from omoi_os.models.event import Event
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.models.phase_history import PhaseHistory
from omoi_os.models.task import Task
from omoi_os.models.ticket import Ticket
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.phase_gate import PhaseGateService, ReviewTerms
from omoi_os.services.phase_service import PhaseService
from omoi_os.store.tickets import Place
from tests.phase_tickets import (
    GENERATED,
    InterruptedGate,
    OneTask,
    add_task,
    attach,
    finish_tasks,
    make_ready,
    new_ticket,
    ready_ticket,
)

ROUNDS = int(os.environ.get("OMOI_ROUNDS", "6"))
THREADS = 16

B, R, D, I, T, P, DONE, X = Phase  # noqa: E741 - the order of the enumeration


@pytest.fixture
def phases(db_service: DatabaseService) -> PhaseService:
    return PhaseService(db_service, generator=OneTask())


def ask(to: str, *, reason: str = "next", force: bool = False) -> Move:
    return Move(to, reason, "operator", force=force)


def place(db: DatabaseService, ticket_id: str) -> Place:
    with db.get_session() as session:
        ticket = session.get_one(Ticket, ticket_id)
        return Place(ticket.phase_id, ticket.previous_phase_id)


def written(db: DatabaseService) -> dict[str, int]:
    """How many rows of each kind a move would add to."""
    with db.get_session() as session:
        moved = select(func.count()).where(Event.event_type == "ticket.moved")
        return {
            "history": session.scalar(select(func.count()).select_from(PhaseHistory)) or 0,
            "events": session.scalar(moved) or 0,
            "tasks": session.scalar(select(func.count()).where(Task.task_type == GENERATED)) or 0,
        }


# The map

MAP = {
    B: [R, X],
    R: [D, X],
    D: [I, X],
    I: [T, X],
    T: [P, I, X],
    P: [DONE, X],
    DONE: [],
    X: [B, R, D, I, T, P],
}


def test_the_map_is_the_specified_one(phases: PhaseService) -> None:
    assert PHASE_TRANSITIONS == MAP
    assert {origin: phases.get_valid_transitions(origin) for origin in Phase} == MAP
    assert {
        origin: [target for target in Phase if phases.can_transition(origin, target)] for origin in Phase
    } == {origin: sorted(targets, key=list(Phase).index) for origin, targets in MAP.items()}


@pytest.mark.parametrize(
    ("current", "previous", "allowed"),
    [
        *((phase, None, tuple(MAP[phase])) for phase in Phase if phase is not X),
        *((X, phase, (phase,)) for phase in MAP[X]),
        (X, None, (B,)),
        (X, DONE, ()),
        (X, "PHASE_OF_ANOTHER_VERSION", ()),
        (T, X, (P, I, X)),
    ],
)
def test_a_ticket_may_go_where_the_map_leads_and_a_blocked_one_back(
    current: Phase, previous: str | None, allowed: tuple[Phase, ...]
) -> None:
    assert allowed_moves(current, previous) == allowed
    assert {target for target in Phase if not refusal(current, previous, target)} == set(allowed)


@pytest.mark.parametrize(
    ("origin", "target"), [("", T), (T, ""), ("PHASE_NOWHERE", T), (T, "PHASE_NOWHERE"), ("\x00", "\ud800")]
)
def test_no_name_that_is_unknown_is_on_the_map(phases: PhaseService, origin: str, target: str) -> None:
    assert phases.can_transition(origin, target) is False


def test_short_names_are_known(phases: PhaseService) -> None:
    assert phases.can_transition("testing", "deployment")
    with pytest.raises(UnknownPhase):
        phases.get_valid_transitions("nowhere")


# One move


@pytest.mark.parametrize(
    ("origin", "target"), [(origin, target) for origin, targets in MAP.items() for target in targets]
)
def test_a_move_writes_place_status_history_event_and_tasks(
    phases: PhaseService, db_service: DatabaseService, origin: Phase, target: Phase
) -> None:
    ticket_id = ready_ticket(db_service, origin)
    if origin is X:
        with db_service.get_session() as session:
            session.get_one(Ticket, ticket_id).previous_phase_id = target
    done = phases.move(ticket_id, Move(target, "because", "ada", artifacts=[{"path": "a.md"}]))

    gated = origin in PHASE_GATE_REQUIREMENTS and target is not X and (origin, target) != (T, I)
    [history] = phases.get_phase_history(ticket_id)
    with db_service.get_session() as session:
        ticket = session.get_one(Ticket, ticket_id)
        event = session.scalars(select(Event).where(Event.event_type == "ticket.moved")).one()
        verdict = session.scalars(select(PhaseGateResult)).one_or_none()
        generated = session.scalars(select(Task.phase_id).where(Task.task_type == GENERATED)).all()
    verdict_id = verdict.id if verdict else None
    assert (verdict is not None) is gated
    assert done == Transition(ticket_id, origin, target, history.created_at, "ada", False, verdict_id)
    assert (ticket.phase_id, ticket.previous_phase_id) == (target, origin)
    assert ticket.status == {B: "pending", DONE: "completed"}.get(target, "in_progress") == status_in(target)
    assert ticket.updated_at == history.created_at == event.created_at
    assert (history.from_phase, history.to_phase, history.forced) == (origin, target, False)
    assert (history.transition_reason, history.transitioned_by) == ("because", "ada")
    assert (history.artifacts, history.gate_result_id) == ([{"path": "a.md"}], verdict_id)
    assert event.payload == {
        "history_id": history.id,
        "from_phase": origin,
        "to_phase": target,
        "reason": "because",
        "by": "ada",
        "forced": False,
        "gate_result_id": verdict_id,
    }
    assert generated == ([target] if target in WORK_PHASES else [])


def test_a_ticket_goes_all_the_way_and_its_history_tells(
    phases: PhaseService, db_service: DatabaseService
) -> None:
    ticket_id = new_ticket(db_service)
    for target in [R, D, I, T, I, T, P, DONE]:
        current = phases.get_current_phase(ticket_id)
        if current is not B:
            finish_tasks(db_service, ticket_id, current)
            attach(db_service, ticket_id, current, good=True)
        assert phases.transition_ticket(ticket_id, target, "done", "ada") is True
    rows = phases.get_phase_history(ticket_id)
    assert [row.to_phase for row in rows] == [R, D, I, T, I, T, P, DONE]
    assert [row.from_phase for row in rows] == [B, R, D, I, T, I, T, P]
    assert phases.valid_moves(ticket_id) == ()


class Reader:
    """A generator that looks with a statement of its own where the ticket is."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def generate_phase_tasks(
        self, ticket_id: str, phase_id: str, *, session: Session | None = None
    ) -> list[Task]:
        assert session is not None
        statement = """SELECT t.phase_id, h.from_phase FROM tickets t JOIN phase_history h ON ticket_id = t.id
                       WHERE t.id = %s AND to_phase = %s"""
        self.seen += driver_connection(session).execute(statement, (ticket_id, phase_id)).fetchall()
        return []


def test_a_generator_finds_the_move_written(db_service: DatabaseService) -> None:
    reader = Reader()
    PhaseService(db_service, generator=reader).move(new_ticket(db_service), ask(R))
    assert reader.seen == [(R, B)]


def test_no_generator_makes_no_tasks(db_service: DatabaseService) -> None:
    ticket_id = new_ticket(db_service)
    PhaseService(db_service).move(ticket_id, ask(R))
    assert written(db_service) == {"history": 1, "events": 1, "tasks": 0}


# Refused


@pytest.mark.parametrize("origin", Phase)
def test_a_move_off_the_map_is_refused_and_changes_nothing(
    phases: PhaseService, db_service: DatabaseService, origin: Phase
) -> None:
    ticket_id = ready_ticket(db_service, origin)
    for target in set(Phase) - ({B} if origin is X else set(MAP[origin])):
        with pytest.raises(TransitionNotAllowed, match="it can move to") as refused:
            phases.move(ticket_id, ask(target))
        assert refused.value.facts == {"ticket_id": ticket_id, "from_phase": origin, "to_phase": target}
        assert phases.transition_ticket(ticket_id, target, "next", "ada") is False
    assert place(db_service, ticket_id) == Place(origin, None)
    assert written(db_service) == {"history": 0, "events": 0, "tasks": 0}


def test_a_closed_gate_says_why(phases: PhaseService, db_service: DatabaseService) -> None:
    ticket_id = new_ticket(db_service, R)
    with pytest.raises(GateClosed, match=r"is closed \(failed\)\. tasks: the phase has no task") as closed:
        phases.move(ticket_id, ask(D))
    with db_service.get_session() as session:
        verdict = session.scalars(select(PhaseGateResult)).one()
    assert closed.value.facts == {
        "ticket_id": ticket_id,
        "result_id": verdict.id,
        "gate_status": "failed",
        "blocking_reasons": verdict.blocking_reasons,
    }
    assert phases.transition_ticket(ticket_id, D, "next", "ada") is False
    assert place(db_service, ticket_id) == Place(R, None)
    assert written(db_service) == {"history": 0, "events": 0, "tasks": 0}


def test_an_inconclusive_gate_is_closed_as_well(phases: PhaseService, db_service: DatabaseService) -> None:
    ticket_id = ready_ticket(db_service, T)
    attach(db_service, ticket_id, T, good=False)
    with pytest.raises(GateClosed) as closed:
        phases.move(ticket_id, ask(P))
    assert closed.value.facts["gate_status"] == "inconclusive"
    assert place(db_service, ticket_id) == Place(T, None)


def test_an_earlier_pass_does_not_open_the_gate_for_other_evidence(
    phases: PhaseService, db_service: DatabaseService
) -> None:
    ticket_id = ready_ticket(db_service, T)
    assert phases.gates.validate_gate(ticket_id, T).gate_status == "passed"
    attach(db_service, ticket_id, T, good=False)
    with pytest.raises(GateClosed):
        phases.move(ticket_id, ask(P))


@pytest.mark.parametrize("ticket_id", ["no-such-ticket", "", "x\x00y", "\ud800", "y" * 5000])
def test_an_unknown_ticket_is_an_error(phases: PhaseService, ticket_id: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: phases.move(ticket_id, ask(R)),
        lambda: phases.transition_ticket(ticket_id, R, "next", "ada"),
        lambda: phases.get_current_phase(ticket_id),
        lambda: phases.get_phase_history(ticket_id),
        lambda: phases.valid_moves(ticket_id),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            call()


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (ask(""), UnknownPhase),
        (ask("PHASE_NOWHERE"), UnknownPhase),
        (ask("PHASE_NOWHERE", force=True), UnknownPhase),
        (ask(R, reason="", force=True), InvalidInput),
        (ask(R, reason=" \n", force=True), InvalidInput),
        (ask(B, force=True), TransitionNotAllowed),
        (replace(ask(R), moved_by="y" * 256), TextTooLong),
        (ask(R, reason="a\x00b"), InvalidInput),
        (replace(ask(R), artifacts=[float("nan")]), InvalidInput),
    ],
)
def test_what_cannot_be_stored_or_meant_is_refused_whole(
    phases: PhaseService, db_service: DatabaseService, request_: Move, error: type[OmoiError]
) -> None:
    ticket_id = new_ticket(db_service)
    with pytest.raises(error):
        phases.move(ticket_id, request_)
    assert place(db_service, ticket_id) == Place(B, None)
    assert written(db_service) == {"history": 0, "events": 0, "tasks": 0}


def test_a_generator_that_fails_leaves_nothing_half_done(db_service: DatabaseService) -> None:
    def fail() -> None:
        raise InvalidInput("no template")

    ticket_id = new_ticket(db_service)
    with pytest.raises(InvalidInput, match="no template"):
        PhaseService(db_service, generator=OneTask(fail)).move(ticket_id, ask(R))
    assert place(db_service, ticket_id) == Place(B, None)
    assert written(db_service) == {"history": 0, "events": 0, "tasks": 0}


def test_a_template_that_cannot_be_used_keeps_the_ticket_where_it_is(
    services: Services, db_service: DatabaseService
) -> None:
    ticket_id = new_ticket(db_service)
    with db_service.get_session() as session:
        session.execute(
            text(
                """INSERT INTO task_templates (id, phase_id, task_type, template_description)
                   VALUES (gen_random_uuid(), 'PHASE_REQUIREMENTS', 'write', 'Write {no_such_variable}')"""
            )
        )
    with pytest.raises(TemplateInvalid, match="no_such_variable"):
        services.phases.move(ticket_id, ask(R))
    assert place(db_service, ticket_id) == Place(B, None)
    assert written(db_service) == {"history": 0, "events": 0, "tasks": 0}


def test_each_visit_of_a_phase_brings_its_tasks_but_not_the_end_of_being_blocked(
    services: Services, db_service: DatabaseService
) -> None:
    ticket_id = ready_ticket(db_service, I)
    keyed = select(Task.phase_id, Task.generation_key).where(Task.generation_key.is_not(None))
    tests, again = {(T, "1:write_tests"), (T, "1:run_tests")}, {(I, "2:implement_feature")}
    steps = [(T, tests), (X, tests), (T, tests), (I, tests | again), (X, tests | again), (I, tests | again)]
    for target, made in steps:
        services.phases.move(ticket_id, ask(target))
        with db_service.get_session() as session:
            assert sorted(tuple(row) for row in session.execute(keyed)) == sorted(made)


# Blocked, and forced


@pytest.mark.parametrize("phase", [B, *WORK_PHASES])
def test_a_blocked_ticket_returns_to_the_phase_that_it_left(
    phases: PhaseService, db_service: DatabaseService, phase: Phase
) -> None:
    ticket_id = new_ticket(db_service, phase)
    phases.move(ticket_id, ask(X))
    assert phases.valid_moves(ticket_id) == (phase,)
    for elsewhere in set(Phase) - {phase}:
        assert phases.transition_ticket(ticket_id, elsewhere, "next", "ada") is False
    phases.move(ticket_id, ask(phase))
    assert place(db_service, ticket_id) == Place(phase, X)
    assert phases.valid_moves(ticket_id) == tuple(MAP[phase])


def test_blocking_is_no_way_around_a_gate(phases: PhaseService, db_service: DatabaseService) -> None:
    ticket_id = new_ticket(db_service, R)
    phases.move(ticket_id, ask(X))
    phases.move(ticket_id, ask(R))
    with pytest.raises(GateClosed):
        phases.move(ticket_id, ask(D))


@pytest.mark.parametrize(
    ("origin", "target"), [(R, D), (B, DONE), (DONE, B), (P, R), (X, T), (DONE, X), (T, P)]
)
def test_an_operator_can_force_a_move_and_the_history_says_so(
    phases: PhaseService, db_service: DatabaseService, origin: Phase, target: Phase
) -> None:
    ticket_id = new_ticket(db_service, origin)
    done = phases.move(ticket_id, ask(target, reason="the customer waits", force=True))
    [history] = phases.get_phase_history(ticket_id)
    with db_service.get_session() as session:
        event = session.scalars(select(Event).where(Event.event_type == "ticket.moved")).one()
        assert session.scalar(select(func.count()).select_from(PhaseGateResult)) == 0
    assert done.forced
    assert (history.forced, history.gate_result_id) == (True, None)
    assert (event.payload or {})["forced"] is True
    assert place(db_service, ticket_id) == Place(target, origin)


def test_a_move_that_the_map_allows_is_not_forced_by_its_name(
    phases: PhaseService, db_service: DatabaseService
) -> None:
    ticket_id = new_ticket(db_service, DONE)
    phases.move(ticket_id, ask(X, force=True))
    assert phases.valid_moves(ticket_id) == ()
    with pytest.raises(TransitionNotAllowed, match="nowhere"):
        phases.move(ticket_id, ask(DONE))


# Between the verdict and the move


@pytest.fixture
def gate(db_service: DatabaseService) -> InterruptedGate:
    return InterruptedGate(db_service)


@pytest.fixture
def slow(db_service: DatabaseService, gate: InterruptedGate) -> PhaseService:
    """Phases whose moves can be interrupted after the verdict."""
    return PhaseService(db_service, generator=OneTask(), gates=gate)


def uncollected(db: DatabaseService, ticket_id: str) -> None:
    with db.get_session() as session:
        result = {"artifacts": {"test_results": {"content": ""}}}
        session.add(Task(ticket_id=ticket_id, phase_id=T, task_type="fix", status="completed", result=result))


def failing_review(db: DatabaseService, ticket_id: str) -> None:
    """A verdict on less than all the evidence."""
    assert (
        PhaseGateService(db).validate_gate(ticket_id, T, terms=ReviewTerms(only=[])).gate_status == "failed"
    )


@pytest.mark.parametrize(
    "arrives",
    [
        lambda db, ticket: attach(db, ticket, T, good=False),
        lambda db, ticket: add_task(db, ticket, T, "pending"),
        lambda db, ticket: add_task(db, ticket, T, "failed"),
        uncollected,
    ],
    ids=["artifact", "open task", "failed task", "uncollected result"],
)
def test_what_arrives_after_the_verdict_closes_the_gate(
    slow: PhaseService,
    gate: InterruptedGate,
    db_service: DatabaseService,
    arrives: Callable[[DatabaseService, str], None],
) -> None:
    ticket_id = ready_ticket(db_service, T)
    gate.then = [lambda: arrives(db_service, ticket_id)]
    with pytest.raises(GateClosed):
        slow.move(ticket_id, ask(P))
    assert place(db_service, ticket_id) == Place(T, None)
    assert written(db_service) == {"history": 0, "events": 0, "tasks": 0}


@pytest.mark.parametrize(
    "arrives",
    [lambda db, ticket: attach(db, ticket, T, good=True), failing_review],
    ids=["artifact", "verdict"],
)
def test_a_move_is_reviewed_again_for_what_is_there_then(
    slow: PhaseService,
    gate: InterruptedGate,
    db_service: DatabaseService,
    arrives: Callable[[DatabaseService, str], None],
) -> None:
    ticket_id = ready_ticket(db_service, T)
    gate.then = [lambda: arrives(db_service, ticket_id)] * 2
    done = slow.move(ticket_id, ask(P))
    with db_service.get_session() as session:
        newest = session.scalars(select(PhaseGateResult.id).order_by(PhaseGateResult.seq.desc())).first()
    assert done.gate_result_id == newest
    assert written(db_service) == {"history": 1, "events": 1, "tasks": 1}


def test_another_pass_for_the_same_evidence_shuts_nobody_out(
    slow: PhaseService, gate: InterruptedGate, db_service: DatabaseService
) -> None:
    ticket_id = ready_ticket(db_service, T)
    again = ReviewTerms(force=True)
    gate.then = [lambda: PhaseGateService(db_service).validate_gate(ticket_id, T, terms=again)]
    slow.move(ticket_id, ask(P))
    with db_service.get_session() as session:
        assert session.scalar(select(func.count()).select_from(PhaseGateResult)) == 2


def test_evidence_that_never_holds_still_is_a_conflict(
    slow: PhaseService, gate: InterruptedGate, db_service: DatabaseService
) -> None:
    ticket_id = ready_ticket(db_service, T)
    runs = iter(range(3))
    gate.then = [lambda: attach(db_service, ticket_id, T, good=True, run=next(runs))] * 3
    with pytest.raises(Conflict, match="changed during each of 3 reviews"):
        slow.move(ticket_id, ask(P))
    assert gate.then == []
    assert place(db_service, ticket_id) == Place(T, None)


@pytest.mark.parametrize("elsewhere", [[I], [X], [X, T]])
def test_somebody_who_was_quicker_is_a_conflict(
    slow: PhaseService,
    gate: InterruptedGate,
    phases: PhaseService,
    db_service: DatabaseService,
    elsewhere: list[Phase],
) -> None:
    ticket_id = ready_ticket(db_service, T)
    gate.then = [lambda: [phases.move(ticket_id, ask(target)) for target in elsewhere]]
    with pytest.raises(Conflict, match="somebody else moved") as lost:
        slow.move(ticket_id, ask(P))
    assert lost.value.facts == {"ticket_id": ticket_id, "phase_id": elsewhere[-1]}
    assert place(db_service, ticket_id).current == elsewhere[-1]


def test_a_ticket_that_is_deleted_meanwhile_is_not_found(
    slow: PhaseService, gate: InterruptedGate, db_service: DatabaseService
) -> None:
    def remove() -> None:
        with db_service.get_session() as session:
            session.execute(delete(Ticket).where(Ticket.id == ticket_id))

    ticket_id = ready_ticket(db_service, T)
    gate.then = [remove]
    with pytest.raises(NotFound):
        slow.move(ticket_id, ask(P))
    assert written(db_service) == {"history": 0, "events": 0, "tasks": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"gate_status": "failed"},
        {"gate_status": "inconclusive"},
        {"gate_status": "pending"},
        {"validation_result": None},
        {"validation_result": {"reviewed": []}},
        {"ticket_id": "no-such-ticket"},
    ],
)
def test_only_a_pass_for_what_is_there_holds(
    phases: PhaseService, db_service: DatabaseService, change: dict[str, Any]
) -> None:
    verdict = phases.gates.validate_gate(ready_ticket(db_service, T), T)
    with db_service.get_session() as session:
        assert phases.gates.holds(verdict, session=session)
        for name, value in change.items():
            setattr(verdict, name, value)
        assert not phases.gates.holds(verdict, session=session)


# At the same moment


def wait_until_one_waits(db: DatabaseService) -> None:
    """Until a backend of this database waits for a lock."""
    waiting = text(
        """SELECT count(*) FROM pg_stat_activity
           WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    )
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with db.get_session() as session:
            if session.scalar(waiting):
                return
        time.sleep(0.005)
    pytest.fail("nobody waits for a lock")


def test_a_move_waits_for_evidence_that_is_being_added(
    phases: PhaseService, db_service: DatabaseService
) -> None:
    ticket_id = ready_ticket(db_service, T)
    with ThreadPoolExecutor(1) as pool:
        with db_service.get_session() as session:
            session.add(Task(ticket_id=ticket_id, phase_id=T, task_type="fix"))
            session.flush()
            move = pool.submit(phases.move, ticket_id, ask(P))
            wait_until_one_waits(db_service)
        with pytest.raises(GateClosed, match="tasks"):
            move.result(10)


def test_evidence_waits_for_a_move_that_is_being_made(db_service: DatabaseService) -> None:
    ticket_id = ready_ticket(db_service, T)
    added = threading.Thread(target=attach, args=(db_service, ticket_id, T), kwargs={"good": False})

    def meanwhile() -> None:
        added.start()
        wait_until_one_waits(db_service)

    done = PhaseService(db_service, generator=OneTask(meanwhile)).move(ticket_id, ask(P))
    added.join()
    assert done.to_phase is P


def race(calls: Sequence[Callable[[], Transition]]) -> Counter[str]:
    """How the calls end that begin together: "moved", or the code of the error."""
    together = threading.Barrier(len(calls))

    def run(call: Callable[[], Transition]) -> str:
        together.wait(10)
        try:
            call()
        except Conflict as error:
            return error.code
        return "moved"

    with ThreadPoolExecutor(len(calls)) as pool:
        return Counter(pool.map(run, calls))


@pytest.mark.parametrize(
    ("origin", "target", "force"),
    [(T, P, False), (B, R, False), (T, I, False), (R, X, False), (R, DONE, True)],
    ids=["gated", "first", "regression", "blocking", "forced"],
)
def test_of_simultaneous_moves_exactly_one_wins(
    phases: PhaseService, db_service: DatabaseService, origin: Phase, target: Phase, force: bool
) -> None:
    for _ in range(ROUNDS):
        ticket_id = ready_ticket(db_service, origin)
        ends = race([partial(phases.move, ticket_id, ask(target, force=force))] * THREADS)
        assert ends["moved"] == 1, ends
        assert set(ends) <= {"moved", "conflict", "transition_not_allowed"}, ends
        assert [row.to_phase for row in phases.get_phase_history(ticket_id)] == [target]
        assert place(db_service, ticket_id) == Place(target, origin)
    generated = ROUNDS if target in WORK_PHASES else 0
    assert written(db_service) == {"history": ROUNDS, "events": ROUNDS, "tasks": generated}


def test_moves_to_different_phases_make_one_chain(phases: PhaseService, db_service: DatabaseService) -> None:
    targets = [P, I, X, T] * (THREADS // 4)
    for _ in range(ROUNDS):
        ticket_id = ready_ticket(db_service, T)
        make_ready(db_service, ticket_id, I)
        ends = race([partial(phases.move, ticket_id, ask(target)) for target in targets])
        rows = phases.get_phase_history(ticket_id)
        assert len(rows) == ends["moved"] >= 1
        places = [(T, None), *((Phase(row.to_phase), row.from_phase) for row in rows)]
        assert [row.from_phase for row in rows] == [current for current, _ in places[:-1]]
        assert place(db_service, ticket_id) == Place(*places[-1])
        for (current, previous), (target, _) in pairwise(places):
            assert not refusal(current, previous, target)
