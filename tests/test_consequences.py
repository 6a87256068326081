"""What follows a verdict: done once, whoever is killed in between, and only where it is to follow."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from omoi_os.bootstrap import Services, services_on
from omoi_os.domain.inputs import digest_of
from omoi_os.domain.phases import Move
from omoi_os.domain.policy import Policy, built_in
from omoi_os.domain.policy.phase import Advance, PhasePolicy
from omoi_os.domain.reviews import Next
from omoi_os.models import PhaseGateArtifact, PhaseGateResult, PhaseHistory, Task, Ticket
from omoi_os.models.phases import Phase
from omoi_os.services.database import DatabaseService
from omoi_os.services.durable_reviews import DurableReviews
from omoi_os.services.policies import PolicyService
from omoi_os.services.review_requests import Asked
from omoi_os.services.tickets import NewArtifact
from omoi_os.settings import Settings
from tests.evidence_texts import REQUIREMENTS
from tests.phase_tickets import attach
from tests.test_phase_gates import GOOD

PHASE = Phase.REQUIREMENTS


def worked_off(services: Services, phase: Phase = PHASE, *, good: bool = True) -> str:
    """A ticket whose last task of a phase is completed: its review is asked for."""
    with services.db.get_session() as session:
        ticket = Ticket(title="Password reset", phase_id=phase)
        session.add(ticket)
        session.flush()
        ticket_id = ticket.id
    hand_in(services, ticket_id, phase, good=good)
    return ticket_id


def hand_in(services: Services, ticket_id: str, phase: Phase = PHASE, *, good: bool = True) -> None:
    """Do what is open in the phase, or one task more."""
    artifacts = [
        {"type": type_, "content": content if good else {"content": "nothing"}}
        for type_, content in GOOD[phase].items()
    ]
    if services.queue.get_next_task(phase) is None:
        services.queue.enqueue_task(ticket_id, phase, "work", "Do it", "HIGH")
    while (task := services.queue.claim_next_task("ada", phase)) is not None:
        services.queue.complete_task(task.id, "ada", {"artifacts": artifacts})


def attach_text(services: Services, ticket_id: str, text: str) -> None:
    """Another document than the one that was handed in."""
    new = NewArtifact("requirements_document", content={"content": text})
    services.tickets.add_artifact(ticket_id, new, collected_by="ada")


def decide(services: Services, ticket_id: str) -> str:
    """Decide the ticket's open review, as a worker would; returns its id."""
    (review,) = services.requests.list(ticket_id=ticket_id, status="pending").reviews
    assert review.workflow_id is not None
    durable = DurableReviews(services.gates.stages, services.requests)
    desk = durable.take(review.id, review.workflow_id, judges=True)
    ground = durable.snapshot(desk)
    measured = durable.measure(desk, ground)["measured"]
    assert durable.record(desk, measured, None)["state"] == "decided"
    desk.clear()
    return review.id


def place(services: Services, ticket_id: str) -> str:
    return services.tickets.get(ticket_id).phase_id


def fixes(services: Services, ticket_id: str) -> list[Task]:
    with services.db.get_session() as session:
        mine = Task.ticket_id == ticket_id, Task.generation_key.startswith("fix:")
        return list(session.scalars(select(Task).where(*mine).order_by(Task.created_at)))


def under(services: Services, **changes: Any) -> Services:
    """The same services under a policy that differs in every phase."""
    policy = built_in()
    phases: dict[Phase, PhasePolicy] = {
        phase: replace(asked, **changes) for phase, asked in policy.phases.items()
    }
    services.gates.stages.policies = PolicyService(Policy(phases, policy.section_aliases))
    return services


@pytest.fixture
def services(db_service: DatabaseService) -> Services:
    return services_on(db_service, Settings())


def test_what_passed_moves_on_in_one_step_with_history_context_and_tasks(services: Services) -> None:
    ticket = worked_off(services)
    review = decide(services, ticket)
    assert services.consequences.follow(review) is Next.ADVANCE
    assert place(services, ticket) == Phase.DESIGN
    with services.db.get_session() as session:
        (moved,) = session.scalars(select(PhaseHistory).where(PhaseHistory.ticket_id == ticket))
        made = session.scalars(select(Task).where(Task.ticket_id == ticket, Task.phase_id == Phase.DESIGN))
        assert [task.task_type for task in made] == ["design_architecture"]
    assert (moved.gate_result_id, moved.transitioned_by, moved.forced) == (review, "omoi", False)
    assert services.contexts.get_ticket_context(ticket)[1]


def test_what_failed_gets_one_task_that_names_the_findings(services: Services) -> None:
    ticket = worked_off(services, good=False)
    review = decide(services, ticket)
    assert services.consequences.follow(review) is Next.FIX
    assert place(services, ticket) == PHASE
    (fix,) = fixes(services, ticket)
    result = services.requests.find(review)
    failed = [item for item in (result.validation_result or {})["findings"] if item["outcome"] == "fail"]
    assert failed
    assert all(f"[{item['id']}]" in (fix.description or "") for item in failed)
    assert all(item["fix"] in (fix.description or "") for item in failed)
    assert (fix.phase_id, fix.priority, fix.status) == (PHASE, "HIGH", "pending")


def test_following_twice_does_nothing_more(services: Services) -> None:
    ticket = worked_off(services, good=False)
    review = decide(services, ticket)
    services.consequences.follow(review)
    assert services.consequences.follow(review) is None
    assert len(fixes(services, ticket)) == 1


def test_of_many_who_follow_at_once_one_does(services: Services) -> None:
    for good in (True, False):
        ticket = worked_off(services, good=good)
        review = decide(services, ticket)
        told: list[Next | None] = []
        threads = [
            threading.Thread(target=lambda: told.append(services.consequences.follow(review)))  # noqa: B023
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(map(str, told)) == sorted(["advance" if good else "fix", *["None"] * 7])
        assert len(services.phases.get_phase_history(ticket)) == int(good)
        assert len(fixes(services, ticket)) == int(not good)


def test_after_the_policys_failures_a_person_is_needed_and_told_why(services: Services) -> None:
    ticket = worked_off(under(services, max_iterations=3), good=False)
    followed = []
    for _ in range(3):
        followed.append(services.consequences.follow(decide(services, ticket)))
        if followed[-1] is Next.FIX:
            hand_in(services, ticket, good=False)
    assert followed == [Next.FIX, Next.FIX, Next.BLOCK]
    assert place(services, ticket) == Phase.BLOCKED
    last = services.phases.get_phase_history(ticket)[-1]
    assert "3 reviews of requirements failed" in (last.transition_reason or "")
    assert "requirements_document" in (last.transition_reason or "")


def test_a_ticket_that_a_person_unblocked_has_all_its_iterations_again(services: Services) -> None:
    ticket = worked_off(under(services, max_iterations=2), good=False)
    for expected in (Next.FIX, Next.BLOCK):
        assert services.consequences.follow(decide(services, ticket)) is expected
        if expected is Next.FIX:
            hand_in(services, ticket, good=False)
    services.phases.move(ticket, Move(PHASE, "looked at it", "person"))
    hand_in(services, ticket, good=False)
    assert services.consequences.follow(decide(services, ticket)) is Next.FIX


def test_a_policy_that_moves_by_hand_leaves_what_passed_where_it_is(services: Services) -> None:
    ticket = worked_off(under(services, advance=Advance.MANUAL))
    assert services.consequences.follow(decide(services, ticket)) is Next.WAIT_FOR_PERSON
    assert place(services, ticket) == PHASE


def test_a_pass_that_is_stale_when_it_is_followed_moves_nothing_and_is_reviewed_again(
    services: Services,
) -> None:
    ticket = worked_off(services)
    review = decide(services, ticket)
    attach_text(services, ticket, "nothing")
    services.consequences.follow(review)
    assert place(services, ticket) == PHASE
    again = decide(services, ticket)
    assert services.requests.find(again).cause == "evidence_changed"
    assert services.requests.find(again).gate_status == "failed"
    assert services.consequences.follow(again) is Next.FIX


def test_evidence_that_never_holds_still_is_looked_at_again_later_and_then_needs_a_person(
    services: Services,
) -> None:
    under(services, max_attempts=4)
    ticket = worked_off(services)
    pauses = []
    for number in range(4):
        review = decide(services, ticket)
        attach_text(services, ticket, f"{REQUIREMENTS}\nChanged {number} times.")
        follows = services.consequences.follow(review)
        if follows is Next.REVIEW_AGAIN:
            (again,) = services.requests.list(ticket_id=ticket, status="pending").reviews
            assert again.requested_at is not None
            assert again.stage == ("waiting" if again.retry_at else "queued")
            pause = again.retry_at - again.requested_at if again.retry_at else timedelta(0)
            pauses.append(round(pause.total_seconds()))
    assert follows is Next.BLOCK
    assert pauses == [0, 15, 30]
    assert place(services, ticket) == Phase.BLOCKED
    reason = services.phases.get_phase_history(ticket)[-1].transition_reason or ""
    assert "its last 4 reviews" in reason
    assert "move the ticket back to requirements" in reason
    services.phases.move(ticket, Move(PHASE, "it holds still now", "person"))
    hand_in(services, ticket)
    assert services.consequences.follow(decide(services, ticket)) is Next.ADVANCE


def test_work_that_was_done_before_the_ticket_came_is_reviewed_when_it_comes(services: Services) -> None:
    ticket = worked_off(services)
    services.generator.generate_phase_tasks(ticket, Phase.DESIGN)
    hand_in(services, ticket, Phase.DESIGN)
    assert services.consequences.follow(decide(services, ticket)) is Next.ADVANCE
    assert services.consequences.follow(decide(services, ticket)) is Next.ADVANCE
    assert place(services, ticket) == Phase.IMPLEMENTATION


def test_evidence_that_changes_between_the_look_and_the_move_moves_nothing(services: Services) -> None:
    ticket = worked_off(services)
    review = decide(services, ticket)
    seen = services.gates.is_current
    changed = threading.Event()

    class Overtaken(type(services.gates)):  # type: ignore[misc]
        def is_current(self, result: PhaseGateResult) -> bool:
            answer = seen(result)
            attach(services.db, ticket, PHASE, good=False)
            changed.set()
            return answer

    services.gates.__class__ = Overtaken
    services.consequences.follow(review)
    assert changed.is_set()
    assert place(services, ticket) == PHASE


def test_a_ticket_that_somebody_moved_meanwhile_is_left_alone(services: Services) -> None:
    ticket = worked_off(services, good=False)
    review = decide(services, ticket)
    services.phases.move(ticket, Move(Phase.BLOCKED, "stop", "person"))
    assert services.consequences.follow(review) is None
    assert fixes(services, ticket) == []


def test_a_later_verdict_counts_and_not_the_one_that_is_followed(services: Services) -> None:
    ticket = worked_off(services, good=False)
    review = decide(services, ticket)
    attach(services.db, ticket, PHASE, good=True)
    assert services.gates.validate_gate(ticket, PHASE).gate_status == "passed"
    assert services.consequences.follow(review) is Next.ADVANCE


def test_a_verdict_that_only_answers_is_not_followed(services: Services) -> None:
    ticket = worked_off(services)
    with services.db.get_session() as session:
        session.execute(update(PhaseGateResult).values(carry_on=False))
    assert services.consequences.follow(decide(services, ticket)) is None
    assert place(services, ticket) == PHASE


def test_work_that_is_still_open_is_waited_for_instead_of_making_more(services: Services) -> None:
    ticket = worked_off(services)
    services.queue.enqueue_task(ticket, PHASE, "more", "One thing more", "LOW")
    review = decide(services, ticket)
    assert services.requests.find(review).gate_status == "failed"
    assert services.consequences.follow(review) is Next.WAIT_FOR_WORK
    assert fixes(services, ticket) == []


def test_the_last_phase_leads_to_done(services: Services) -> None:
    ticket = worked_off(services, Phase.DEPLOYMENT)
    assert services.consequences.follow(decide(services, ticket)) is Next.ADVANCE
    found = services.tickets.get(ticket)
    assert (found.phase_id, found.status) == (Phase.DONE, "completed")


def test_a_cancelled_review_is_followed_by_nothing(services: Services) -> None:
    ticket = worked_off(services)
    (waiting,) = services.requests.list(ticket_id=ticket).reviews
    ended = services.requests.cancel(waiting.id, cancelled_by="ada")
    assert ended.gate_status == "inconclusive"
    assert services.consequences.follow(waiting.id) is None
    assert place(services, ticket) == PHASE


def test_what_a_failed_review_was_reached_on_stays_with_it(services: Services) -> None:
    ticket = worked_off(services, good=False)
    result = services.requests.find(decide(services, ticket))
    with services.db.get_session() as session:
        (artifact,) = session.scalars(select(PhaseGateArtifact).where(PhaseGateArtifact.ticket_id == ticket))
    inputs = (result.validation_result or {})["inputs"]
    known = digest_of([artifact.artifact_path, artifact.content_digest, False])
    assert inputs["artifacts"] == {artifact.artifact_type: known}


def test_a_request_with_carry_on_is_followed_like_an_automatic_one(services: Services) -> None:
    with services.db.get_session() as session:
        ticket = Ticket(title="Password reset", phase_id=PHASE)
        session.add(ticket)
        session.flush()
        session.add(Task(ticket_id=ticket.id, phase_id=PHASE, task_type="work", status="completed"))
        ticket_id = ticket.id
    attach(services.db, ticket_id, PHASE, good=True)
    services.requests.request(ticket_id, PHASE, Asked("ada", carry_on=True))
    assert services.consequences.follow(decide(services, ticket_id)) is Next.ADVANCE
