"""A ticket under arbitrary moves, against a model of what it may do and the rows that must remain."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from omoi_os.domain.phases import Move, Phase, gone_back_over
from omoi_os.errors import GateClosed, InvalidInput, TransitionNotAllowed
from omoi_os.models.event import Event
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.models.phase_history import PhaseHistory
from omoi_os.models.task import Task
from omoi_os.models.ticket import Ticket
from omoi_os.services.database import DatabaseService
from omoi_os.services.phase_service import PhaseService
from omoi_os.services.task_generator import TaskGeneratorService
from omoi_os.services.task_queue import TaskQueueService
from omoi_os.services.task_templates import PHASE_TASK_TEMPLATES
from tests.phase_tickets import (
    InterruptedGate,
    add_task,
    attach,
    finish_tasks,
    new_ticket,
)

RUNS = int(os.environ.get("OMOI_HYPOTHESIS_RUNS", "30"))

B, R, D, I, T, P, DONE, X = Phase  # noqa: E741 - the order of the enumeration
MAP = {B: {R, X}, R: {D, X}, D: {I, X}, I: {T, X}, T: {P, I, X}, P: {DONE, X}, DONE: set()}
GATED = {(R, D), (D, I), (I, T), (T, P), (P, DONE)}
WORK = {R, D, I, T, P}
STATUS = dict.fromkeys(Phase, "in_progress") | {B: "pending", DONE: "completed"}


class PhaseMachine(RuleBasedStateMachine):
    """One ticket. `good` holds the phases whose newest evidence would pass, `open` those with open tasks."""

    db: DatabaseService

    def __init__(self) -> None:
        super().__init__()
        self.gate = InterruptedGate(self.db)
        generator = TaskGeneratorService(self.db, TaskQueueService(self.db))
        self.service = PhaseService(self.db, generator=generator, gates=self.gate)
        self.ticket_id = new_ticket(self.db)
        self.phase: Phase = B
        self.previous: Phase | None = None
        self.at_work: Phase = B  # where it is, or was when it was blocked
        self.good: set[Phase] = set()
        self.open: set[Phase] = set()
        self.made = 0

    # What happens

    @rule(to=st.sampled_from(Phase))
    def move(self, to: Phase) -> None:
        self._ask(to, self._refused(to))

    @precondition(lambda self: self.phase in WORK)
    @rule()
    def do_the_work_and_move_on(self) -> None:
        self.attach(good=True)
        self.finish_tasks()
        target = list(Phase)[list(Phase).index(self.phase) + 1]
        self._ask(target, self._refused(target))

    @precondition(lambda self: self.phase in WORK)
    @rule(good=st.booleans())
    def move_while_evidence_arrives(self, good: bool) -> None:
        """It arrives after the first verdict, if there is any."""
        target = list(Phase)[list(Phase).index(self.phase) + 1]
        passes = self._refused(target) is None
        self.gate.then = [lambda: self.attach(good=good)]
        self._ask(target, None if passes and good else GateClosed)

    @rule(to=st.sampled_from(Phase), reason=st.sampled_from(["the customer waits", "", " "]))
    def force(self, to: Phase, reason: str) -> None:
        refused: type[Exception] | None = None
        if not reason.strip():
            refused = InvalidInput
        elif to is self.phase:
            refused = TransitionNotAllowed
        self._ask(to, refused, reason=reason, force=True)

    @precondition(lambda self: self.phase in WORK)
    @rule(good=st.booleans())
    def attach(self, good: bool) -> None:
        attach(self.db, self.ticket_id, self.phase, good=good)
        (self.good.add if good else self.good.discard)(self.phase)

    @precondition(lambda self: self.phase in WORK)
    @rule()
    def open_task(self) -> None:
        add_task(self.db, self.ticket_id, self.phase, "pending")
        self.open.add(self.phase)

    @precondition(lambda self: self.phase in WORK)
    @rule()
    def finish_tasks(self) -> None:
        finish_tasks(self.db, self.ticket_id, self.phase)
        self.open.discard(self.phase)

    # The model

    def _refused(self, target: Phase) -> type[Exception] | None:
        allowed = {self.previous or B} & (WORK | {B}) if self.phase is X else MAP[self.phase]
        if target not in allowed:
            return TransitionNotAllowed
        passes = self.phase in self.good and self.phase not in self.open
        return GateClosed if (self.phase, target) in GATED and not passes else None

    def _ask(
        self,
        target: Phase,
        refused: type[Exception] | None,
        *,
        reason: str = "next",
        force: bool = False,
    ) -> None:
        request = Move(target, reason, "operator", force=force)
        if refused is not None:
            with pytest.raises(refused):
                self.service.move(self.ticket_id, request)
        else:
            done = self.service.move(self.ticket_id, request)
            assert (done.from_phase, done.to_phase, done.forced) == (self.phase, target, force)
            self.good.difference_update(gone_back_over(self.at_work, target))
            self.phase, self.previous = target, self.phase
            self.made += 1
            if target in WORK and target is not self.at_work:
                self.open.add(target)
            self.at_work = self.at_work if target is X else target
        self.gate.then = []

    @invariant()
    def nothing_is_broken(self) -> None:
        rows = read_rows(self.db, self.ticket_id)
        assert (rows.ticket.phase_id, rows.ticket.previous_phase_id) == (self.phase, self.previous)
        assert len(rows.history) == self.made
        for holds in INVARIANTS:
            holds(rows)


@dataclass(frozen=True, slots=True)
class Rows:
    """All that there is of one ticket, in the order of writing."""

    ticket: Ticket
    history: Sequence[PhaseHistory]
    told: Sequence[dict[str, Any]]
    verdicts: dict[str, PhaseGateResult]
    generated: Sequence[tuple[str, str]]


def read_rows(db: DatabaseService, id_: str) -> Rows:
    moved = (Event.event_type == "ticket.moved", Event.entity_id == id_)
    with db.get_session() as session:
        history = select(PhaseHistory).where(PhaseHistory.ticket_id == id_).order_by(PhaseHistory.seq)
        verdicts = session.scalars(select(PhaseGateResult).where(PhaseGateResult.ticket_id == id_))
        generated = select(Task.phase_id, Task.task_type).where(
            Task.ticket_id == id_, Task.generation_key.is_not(None)
        )
        told = session.scalars(select(Event.payload).where(*moved).order_by(Event.seq))
        return Rows(
            ticket=session.get_one(Ticket, id_),
            history=session.scalars(history).all(),
            told=[payload or {} for payload in told],
            verdicts={verdict.id: verdict for verdict in verdicts},
            generated=[(row.phase_id, row.task_type) for row in session.execute(generated)],
        )


def history_is_one_chain_in_time(rows: Rows) -> None:
    for before, after in pairwise(rows.history):
        assert before.to_phase == after.from_phase
        assert before.created_at <= after.created_at


def ticket_stands_where_the_history_ends(rows: Rows) -> None:
    ticket = rows.ticket
    if not rows.history:
        assert (ticket.phase_id, ticket.previous_phase_id, ticket.status) == (B, None, "pending")
        return
    first, last = rows.history[0], rows.history[-1]
    assert first.from_phase == B
    assert (ticket.phase_id, ticket.previous_phase_id) == (last.to_phase, last.from_phase)
    assert (ticket.status, ticket.updated_at) == (STATUS[Phase(last.to_phase)], last.created_at)


def every_move_is_on_the_map_or_forced_with_a_reason(rows: Rows) -> None:
    left: str | None = None
    for row in rows.history:
        if row.forced:
            assert (row.transition_reason or "").strip()
        elif row.from_phase == X:
            assert row.to_phase == left != DONE
        else:
            assert row.to_phase in MAP[Phase(row.from_phase or "")]
        left = row.from_phase


def nothing_leaves_done_unless_forced(rows: Rows) -> None:
    assert all(row.forced for row in rows.history if row.from_phase == DONE)


def no_gate_is_left_forwards_without_its_own_pass_unless_forced(rows: Rows) -> None:
    used = [row.gate_result_id for row in rows.history if row.gate_result_id is not None]
    assert len(used) == len(set(used))
    for row in rows.history:
        gated = (row.from_phase, row.to_phase) in GATED and not row.forced
        assert (row.gate_result_id is not None) is gated
        if row.gate_result_id is not None:
            verdict = rows.verdicts[row.gate_result_id]
            assert (verdict.phase_id, verdict.gate_status) == (row.from_phase, "passed")
            assert verdict.validated_at is not None
            assert verdict.validated_at <= row.created_at


def every_move_is_told_in_exactly_one_event(rows: Rows) -> None:
    assert [
        (item["history_id"], item["from_phase"], item["to_phase"], item["forced"]) for item in rows.told
    ] == [(row.id, row.from_phase, row.to_phase, row.forced) for row in rows.history]


def every_visit_of_a_work_phase_made_its_tasks_once(rows: Rows) -> None:
    visited = [B]
    for row in rows.history:
        if row.to_phase not in (X, visited[-1]):
            visited.append(Phase(row.to_phase))
    expected = [
        (phase, template["task_type"])
        for phase in visited
        for template in PHASE_TASK_TEMPLATES.get(phase, [])
    ]
    assert sorted(rows.generated) == sorted(expected)


INVARIANTS = [
    history_is_one_chain_in_time,
    ticket_stands_where_the_history_ends,
    every_move_is_on_the_map_or_forced_with_a_reason,
    nothing_leaves_done_unless_forced,
    no_gate_is_left_forwards_without_its_own_pass_unless_forced,
    every_move_is_told_in_exactly_one_event,
    every_visit_of_a_work_phase_made_its_tasks_once,
]


def test_no_sequence_of_moves_breaks_an_invariant(db_service: DatabaseService) -> None:
    class Machine(PhaseMachine):
        db = db_service

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=25,
            deadline=None,
            database=None,  # a failure is printed with its steps, and nothing stays behind
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
