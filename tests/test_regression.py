"""A ticket that goes back: what was shown and done before does not count a second time."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from omoi_os.bootstrap import Services
from omoi_os.domain.phases import Move, gone_back_over
from omoi_os.errors import GateClosed, NotYourTask
from omoi_os.models import PhaseGateArtifact, Task
from omoi_os.models.phases import Phase
from omoi_os.services.database import DatabaseService
from omoi_os.services.tickets import NewArtifact, NewTicket
from tests.test_phase_gates import GOOD

I, T, P = Phase.IMPLEMENTATION, Phase.TESTING, Phase.DEPLOYMENT  # noqa: E741


def move(services: Services, ticket: str, phase: Phase, *, force: bool = False) -> None:
    services.phases.move(ticket, Move(phase, "because", "operator", force=force))


def attach(services: Services, ticket: str, phase: Phase) -> None:
    for type_, content in GOOD[phase].items():
        services.tickets.add_artifact(
            ticket, NewArtifact(type_, content=content, phase_id=phase), collected_by="ci"
        )


def work_off(services: Services, ticket: str, phase: Phase) -> None:
    """Complete every open task of the phase, without a result."""
    while task := services.queue.claim_next_task("ada", phase):
        assert task.ticket_id == ticket
        services.queue.complete_task(task.id, "ada")


@pytest.fixture
def in_testing(services: Services) -> str:
    """A ticket whose work in TESTING is done and shown."""
    ticket = services.tickets.create(NewTicket("Reset", phase_id=I)).id
    move(services, ticket, T, force=True)
    work_off(services, ticket, T)
    attach(services, ticket, T)
    assert services.gates.validate_gate(ticket, T).gate_status == "passed"
    return ticket


def test_evidence_from_before_a_regression_opens_no_gate(services: Services, in_testing: str) -> None:
    move(services, in_testing, I)
    move(services, in_testing, T, force=True)
    work_off(services, in_testing, T)
    with pytest.raises(GateClosed) as closed:
        move(services, in_testing, P)
    assert "test_results: no such artifact" in str(closed.value.facts["blocking_reasons"])
    attach(services, in_testing, T)
    move(services, in_testing, P)


def test_the_gate_of_the_phase_that_was_returned_to_asks_for_new_evidence_too(services: Services) -> None:
    ticket = services.tickets.create(NewTicket("Reset", phase_id=I)).id
    services.generator.generate_phase_tasks(ticket, I)
    work_off(services, ticket, I)
    attach(services, ticket, I)
    move(services, ticket, T)
    move(services, ticket, I)
    work_off(services, ticket, I)
    state = services.gates.check_gate_requirements(ticket, I)
    assert state["missing_artifacts"] == ["code_changes", "test_coverage"]
    assert state["stale"]
    attach(services, ticket, I)
    move(services, ticket, T)


def test_results_that_nobody_had_collected_are_no_new_evidence(
    services: Services, db_service: DatabaseService
) -> None:
    ticket = services.tickets.create(NewTicket("Reset", phase_id=I)).id
    move(services, ticket, T, force=True)
    artifacts = [{"type": type_, "content": content} for type_, content in GOOD[T].items()]
    first = services.queue.claim_next_task("ada", T)
    assert first is not None
    services.queue.complete_task(first.id, "ada", {"artifacts": artifacts})
    move(services, ticket, I)
    move(services, ticket, T, force=True)
    work_off(services, ticket, T)
    assert services.gates.validate_gate(ticket, T).gate_status == "failed"
    with db_service.get_session() as session:
        assert len(session.scalars(select(PhaseGateArtifact)).all()) == len(artifacts)  # kept, not counted


def test_open_tasks_end_and_whoever_has_one_is_told(services: Services) -> None:
    ticket = services.tickets.create(NewTicket("Reset", phase_id=I)).id
    move(services, ticket, T, force=True)
    held = services.queue.claim_next_task("ada", T)
    assert held is not None
    move(services, ticket, I)
    with pytest.raises(NotYourTask):
        services.queue.complete_task(held.id, "ada", {})
    ended = services.queue.get_task(held.id)
    assert ended.error_message == "Task cancelled: the ticket went back to PHASE_IMPLEMENTATION"
    assert not services.queue.should_retry(held.id)


def test_tasks_that_failed_in_an_earlier_visit_hold_no_gate(services: Services) -> None:
    ticket = services.tickets.create(NewTicket("Reset", phase_id=I)).id
    move(services, ticket, T, force=True)
    lost = services.queue.claim_next_task("ada", T)
    assert lost is not None
    services.queue.fail_task(lost.id, "ada", "no disk", permanent=True)
    move(services, ticket, I)
    move(services, ticket, T, force=True)
    work_off(services, ticket, T)
    attach(services, ticket, T)
    move(services, ticket, P)


def test_tasks_of_an_earlier_visit_do_not_stand_for_those_of_this_one(
    services: Services, in_testing: str, db_service: DatabaseService
) -> None:
    move(services, in_testing, I)
    with db_service.get_session() as session:  # nobody made tasks for the new visit
        session.query(Task).filter(Task.phase_id == I).delete()
    attach(services, in_testing, I)
    assert services.gates.validate_gate(in_testing, I).validation_result["code"] == "no_tasks"  # type: ignore[index]


def test_going_on_and_being_blocked_take_nothing_back(services: Services) -> None:
    ticket = services.tickets.create(NewTicket("Reset", phase_id=Phase.DESIGN)).id
    attach(services, ticket, I)  # ahead of time
    move(services, ticket, I, force=True)
    move(services, ticket, Phase.BLOCKED)
    move(services, ticket, I)
    work_off(services, ticket, I)
    move(services, ticket, T)
    assert services.gates.check_gate_requirements(ticket, I)["missing_artifacts"] == []


@pytest.mark.parametrize(
    ("origin", "target", "over"),
    [
        (T, I, (I, T)),
        (Phase.DONE, Phase.DESIGN, (Phase.DESIGN, I, T, P, Phase.DONE)),
        (I, T, ()),
        (I, I, ()),
        (T, Phase.BLOCKED, ()),
        (Phase.BLOCKED, I, ()),
    ],
)
def test_a_move_takes_back_the_phases_between(origin: Phase, target: Phase, over: tuple[Phase, ...]) -> None:
    assert gone_back_over(origin, target) == over


def test_the_verdict_and_the_waivers_of_an_earlier_visit_answer_nothing(
    services: Services, in_testing: str
) -> None:
    before = services.gates.validate_gate(in_testing, T)
    move(services, in_testing, I)
    move(services, in_testing, T, force=True)
    work_off(services, in_testing, T)
    attach(services, in_testing, T)  # the very same evidence
    state = services.gates.check_gate_requirements(in_testing, T)
    assert state["stale_reasons"] == ["the ticket went back since"]
    after = services.gates.validate_gate(in_testing, T)
    assert (after.gate_status, after.id == before.id) == ("passed", False)


def test_a_ticket_that_is_forced_back_while_it_is_blocked_goes_back(
    services: Services, in_testing: str
) -> None:
    move(services, in_testing, Phase.BLOCKED)
    move(services, in_testing, I, force=True)
    move(services, in_testing, T, force=True)
    assert services.gates.check_gate_requirements(in_testing, T)["missing_artifacts"]
