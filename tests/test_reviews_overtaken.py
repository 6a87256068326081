"""Verdicts, requests and moves that overtake one another: the last decision counts, and nothing is lost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from omoi_os.bootstrap import Services, services_on
from omoi_os.domain.judging import Opinion, no_opinion
from omoi_os.domain.phases import Move
from omoi_os.domain.reviews import Next
from omoi_os.domain.verdict import decide as verdict_of
from omoi_os.models import PhaseGateResult
from omoi_os.models.phases import Phase
from omoi_os.services.database import DatabaseService
from omoi_os.services.engine import Job, NoEngine
from omoi_os.services.gate.inline import InlineReviews
from omoi_os.services.review_requests import Asked
from omoi_os.settings import Settings
from omoi_os.store import gates, reviews
from tests.phase_tickets import attach
from tests.test_consequences import PHASE, attach_text, decide, fixes, place, worked_off
from tests.test_durable_reviews import MET, OneJudge, in_workspace, run, steps_of, taken, waiting, with_judge

OUTAGE = no_opinion("unavailable", "nobody answers", can_retry=True)


@pytest.fixture
def services(db_service: DatabaseService, tmp_path: Path) -> Services:
    services = services_on(db_service, Settings(workspaces=tmp_path / "snapshots"))
    services.phases.generator = None  # only the tasks that the tests make
    return services


def test_a_review_that_was_asked_for_early_and_decided_late_is_the_latest(services: Services) -> None:
    ticket = worked_off(services)
    early = waiting(services, ticket)
    services.gates.collect_artifacts(ticket, PHASE)
    attach_text(services, ticket, "nothing")
    assert services.gates.validate_gate(ticket, PHASE).gate_status == "failed"
    attach(services.db, ticket, PHASE, good=True)
    assert decide(services, ticket) == early.id
    last = services.gates.latest_verdict(ticket, PHASE)
    assert last is not None
    assert (last.id, last.gate_status) == (early.id, "passed")
    with services.db.get_session() as session:
        assert services.gates.holds(last, session=session)
    assert services.consequences.follow(early.id) is Next.ADVANCE


def test_a_failure_that_was_decided_later_still_contradicts_an_earlier_pass(services: Services) -> None:
    ticket = worked_off(services)
    passed = services.requests.find(decide(services, ticket))
    waits = services.requests.request(ticket, PHASE, Asked("ada", force=True))
    attach_text(services, ticket, "nothing")
    decide(services, ticket)
    assert services.requests.find(waits.id).gate_status == "failed"
    with services.db.get_session() as session:
        assert not services.gates.holds(passed, session=session)


def test_a_failure_is_not_acted_on_while_another_review_is_open(services: Services) -> None:
    ticket = worked_off(services, good=False)
    failed = decide(services, ticket)
    attach(services.db, ticket, PHASE, good=True)
    other = services.requests.request(ticket, PHASE, Asked("ada"))
    assert services.consequences.follow(failed) is Next.REVIEW_AGAIN
    assert fixes(services, ticket) == []
    assert decide(services, ticket) == other.id
    assert services.consequences.follow(other.id) is Next.ADVANCE


def test_a_failure_about_something_else_is_looked_at_again_and_only_once(services: Services) -> None:
    ticket = worked_off(services, good=False)
    failed = decide(services, ticket)
    attach_text(services, ticket, "still nothing")
    assert services.consequences.follow(failed) is Next.REVIEW_AGAIN
    again = decide(services, ticket)
    attach_text(services, ticket, "and nothing again")
    assert services.consequences.follow(again) is Next.FIX
    assert len(fixes(services, ticket)) == 1


def test_who_asks_a_judge_here_does_not_end_what_workers_wait_for(services: Services) -> None:
    judge = OneJudge(OUTAGE)
    ticket = worked_off(services)
    steps, review = with_judge(services, judge), waiting(services, ticket)
    answer = services.gates.validate_gate(ticket, PHASE)
    assert (answer.id, answer.gate_status, answer.runner) == (review.id, "pending", None)
    judge.answer = Opinion((MET,))
    assert run(steps, taken(steps, review.id, judges=True))["gate_status"] == "passed"
    assert len(set(judge.asked)) == 1


def test_an_attempt_that_came_to_nothing_here_is_none_of_the_workers(services: Services) -> None:
    judge = OneJudge(no_opinion("stuck", "it repeats itself", can_retry=True))
    ticket = worked_off(services)
    steps, review = with_judge(services, judge), waiting(services, ticket)
    answer = services.gates.validate_gate(ticket, PHASE)
    assert (answer.id, answer.gate_status, answer.attempt) == (review.id, "pending", 1)
    states = [run(steps, taken(steps, review.id, judges=True))["state"] for _ in range(2)]
    assert states == ["handed_on", "decided"]
    assert len(set(judge.asked)) == 3


def test_who_is_interrupted_here_gives_the_review_back(services: Services) -> None:
    judge = OneJudge()
    ticket = worked_off(services)
    steps, review = with_judge(services, judge), waiting(services, ticket)

    def interrupt() -> None:
        raise KeyboardInterrupt

    judge.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        services.gates.validate_gate(ticket, PHASE)
    now = services.requests.find(review.id)
    assert (now.gate_status, now.runner, now.carry_on, now.attempt) == ("pending", None, True, 0)
    judge.before = lambda: None
    assert run(steps, taken(steps, review.id, judges=True))["gate_status"] == "passed"


def test_a_review_that_takes_longer_than_its_lease_stays_with_its_process(services: Services) -> None:
    judge = OneJudge()
    ticket = worked_off(services)
    with_judge(services, judge)
    services.gates.inline = InlineReviews(services.gates.stages, lease=0.4)
    others: list[PhaseGateResult] = []

    def long_since() -> None:
        time.sleep(1)
        assert services.requests.end_abandoned() == 0
        others.append(services.gates.validate_gate(ticket, PHASE))

    judge.before = long_since
    services.requests.cancel(waiting(services, ticket).id, cancelled_by="person")
    decided = services.gates.validate_gate(ticket, PHASE)
    assert (decided.gate_status, len(judge.asked)) == ("passed", 1)
    assert [(other.id, other.gate_status) for other in others] == [(decided.id, "pending")]


def test_a_review_of_a_lost_process_ends_without_anybody_asking(services: Services) -> None:
    ticket = worked_off(services)
    services.requests.cancel(waiting(services, ticket).id, cancelled_by="person")
    lost = opened(services, ticket, lease=0.1)
    assert services.housekeeping.sweep().abandoned == 0
    time.sleep(0.2)
    assert services.housekeeping.sweep().abandoned == 1
    ended = services.requests.find(lost)
    assert (ended.gate_status, (ended.validation_result or {})["code"]) == (
        "inconclusive",
        "review_abandoned",
    )


@pytest.mark.parametrize("asked", [Asked("ada"), Asked("ada", carry_on=True)])
def test_who_asks_for_a_review_of_another_process_does_not_lose_it_with_that(
    services: Services, workspace: Path, asked: Asked
) -> None:
    ticket = in_workspace(services, workspace)
    services.requests.cancel(waiting(services, ticket).id, cancelled_by="person")
    lost = opened(services, ticket, lease=0.1)
    answer = services.requests.validate(ticket, PHASE, asked)
    assert (answer.id, answer.gate_status, answer.carry_on) == (lost, "pending", asked.carry_on)
    time.sleep(0.2)
    assert services.housekeeping.sweep().abandoned == 0
    with services.db.single_statements() as connection:
        (stray,) = reviews.strays(connection, older=0.0, after=0, limit=10)
    assert stray.id == lost
    assert services.requests.find(decide(services, ticket)).gate_status == "passed"


def opened(services: Services, ticket: str, *, lease: float) -> str:
    """A review that another process began, and that nobody else asked for."""
    question = gates.GateQuestion(ticket, PHASE, ())
    with services.db.single_statements() as connection:
        unused = gates.Decision(question, verdict_of([]), "other", None)
        found = gates.open_review(connection, question, "other", lease, unused)
    assert found is not None
    return found.id


def test_a_verdict_that_is_reached_here_is_followed_by_the_workers(services: Services) -> None:
    judge = OneJudge()
    ticket = worked_off(services)
    with_judge(services, judge)
    review = waiting(services, ticket)
    assert services.gates.validate_gate(ticket, PHASE).id == review.id
    assert services.consequences.follow(review.id) is Next.ADVANCE


def test_a_ticket_that_was_blocked_after_its_pass_moves_on_when_it_comes_back(services: Services) -> None:
    ticket = worked_off(services)
    review = decide(services, ticket)
    services.phases.move(ticket, Move(Phase.BLOCKED, "wait", "person"))
    assert services.consequences.follow(review) is None
    services.phases.move(ticket, Move(PHASE, "go on", "person"))
    assert services.consequences.follow(decide(services, ticket)) is Next.ADVANCE
    assert place(services, ticket) == Phase.DESIGN


def test_work_that_ended_while_the_ticket_was_blocked_is_reviewed_when_it_comes_back(
    services: Services,
) -> None:
    ticket = worked_off(services)
    services.requests.cancel(waiting(services, ticket).id, cancelled_by="person")
    task = services.queue.enqueue_task(ticket, PHASE, "more", "One thing more", "LOW")
    services.queue.assign_task(task.id, "ada")
    services.phases.move(ticket, Move(Phase.BLOCKED, "wait", "person"))
    services.queue.complete_task(task.id, "ada", {})
    assert services.requests.list(ticket_id=ticket, status="pending").reviews == []
    services.phases.move(ticket, Move(PHASE, "go on", "person"))
    assert waiting(services, ticket).carry_on is True


def test_work_that_failed_for_good_asks_for_a_person(services: Services) -> None:
    ticket = worked_off(services)
    task = services.queue.enqueue_task(ticket, PHASE, "more", "One thing more", "LOW")
    services.queue.assign_task(task.id, "ada")
    services.queue.fail_task(task.id, "ada", "it cannot be done", permanent=True)
    assert services.consequences.follow(decide(services, ticket)) is Next.BLOCK
    assert place(services, ticket) == Phase.BLOCKED
    assert "it cannot be done" in (services.phases.get_phase_history(ticket)[-1].transition_reason or "")


class Cancelling(NoEngine):
    """Remembers what was cancelled."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []
        self.enqueued: list[Job] = []

    def cancel(self, workflow_id: str) -> None:
        self.cancelled.append(workflow_id)


def test_cancelling_ends_the_workflow_that_has_the_review_now(services: Services) -> None:
    engine = Cancelling()
    services.requests.engine = engine
    ticket = worked_off(services)
    review = waiting(services, ticket)
    desk = taken(steps := steps_of(services), review.id)
    assert steps.hand_on(desk)["state"] == "handed_on"
    services.requests.cancel(review.id, cancelled_by="ada")
    ended = services.requests.find(review.id)
    assert ended.workflow_id != review.workflow_id
    assert engine.cancelled == [ended.workflow_id]
