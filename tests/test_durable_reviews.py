"""The steps of a durable review: each may run again, in another process, whatever happened meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update

from omoi_os.bootstrap import Services, services_on
from omoi_os.domain.judging import JudgeQuestion, Opinion, no_opinion
from omoi_os.domain.policy import JudgePolicy
from omoi_os.domain.reviews import MOST_RUNS
from omoi_os.domain.verdict import Finding, Outcome
from omoi_os.models import Event, PhaseGateResult
from omoi_os.models.phases import Phase
from omoi_os.services.calibration import CalibrationService
from omoi_os.services.database import DatabaseService
from omoi_os.services.durable_reviews import FAILED, Desk, DurableReviews
from omoi_os.services.gate.judged import Judging
from omoi_os.services.gate.record import RESTLESS
from omoi_os.services.tickets import NewTicket, TicketService
from omoi_os.settings import Settings
from omoi_os.store import reviews
from tests.evidence_texts import REQUIREMENTS
from tests.test_consequences import PHASE, attach_text, hand_in, worked_off
from tests.test_verdict_binding import told

MET = Finding("judge.covers_ticket", Outcome.PASS, "judge_met", "it does", "that it does")


class OneJudge:
    """Answers as it is told to, and counts."""

    configured = True
    prompts_digest = "p" * 64

    def __init__(self, opinion: Opinion | None = None) -> None:
        self.answer = opinion or Opinion((MET,))
        self.asked: list[UUID | None] = []
        self.stopped: list[UUID] = []
        self.before: Callable[[], object] = lambda: None

    def models(self, _policy: JudgePolicy) -> str:
        return "one"

    def opinion(
        self,
        _question: JudgeQuestion,
        _root: Path | None,
        _policy: JudgePolicy,
        *,
        conversation_id: UUID | None = None,
    ) -> Opinion:
        self.asked.append(conversation_id)
        self.before()
        return self.answer

    def stop(self, conversation_id: UUID) -> None:
        self.stopped.append(conversation_id)


@pytest.fixture
def services(db_service: DatabaseService, tmp_path: Path) -> Services:
    return services_on(db_service, Settings(workspaces=tmp_path / "snapshots"))


def with_judge(services: Services, judge: OneJudge) -> DurableReviews:
    trials = CalibrationService(services.db, judge)
    services.gates.stages.judging = Judging(judge, services.contexts, trials)
    return steps_of(services)


def steps_of(services: Services) -> DurableReviews:
    return DurableReviews(services.gates.stages, services.requests, first_pause=60.0)


def taken(steps: DurableReviews, review_id: str, *, judges: bool = False) -> Desk:
    """Take a review as its own workflow does, once more where it was taken before."""
    workflow = steps.requests.find(review_id).workflow_id
    assert workflow is not None
    return steps.take(review_id, workflow, judges=judges)


def waiting(services: Services, ticket: str) -> PhaseGateResult:
    (review,) = services.requests.list(ticket_id=ticket, status="pending").reviews
    return review


def run(steps: DurableReviews, desk: Desk) -> dict[str, Any]:
    """All steps in a row; what they kept goes through JSON, as the engine does it."""
    for kept in (steps.collect(desk), ground := through_json(steps.snapshot(desk))):
        if kept["state"] != "ok":
            return kept
    found = through_json(steps.measure(desk, ground))
    if found["state"] != "ok":
        return found
    judged = None
    if found["measured"]["asks"]:
        judged = through_json(steps.judge(desk, found["measured"]))
        if judged["state"] != "ok":
            return judged
    return steps.record(desk, found["measured"], judged)


def through_json(kept: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json.dumps(kept))
    return read


def test_the_steps_decide_once_and_say_so_again(services: Services) -> None:
    ticket = worked_off(services)
    steps, review = steps_of(services), waiting(services, ticket)
    desk = taken(steps, review.id)
    ground = steps.snapshot(desk)
    measured = steps.measure(desk, ground)["measured"]
    first = steps.record(desk, measured, None)
    assert first == {"state": "decided", "gate_status": "passed"}
    # A crash after the commit: the step runs again.
    assert steps.record(desk, measured, None) == first
    again = taken(steps, review.id)
    assert again.taken is None
    assert steps.record(again, measured, None) == first
    with services.db.get_session() as session:
        decided = session.scalars(select(Event).where(Event.event_type == "gate.decided"))
        assert [(event.payload or {})["result_id"] for event in decided] == [review.id]


def test_an_execution_that_was_overtaken_changes_nothing(services: Services) -> None:
    ticket = worked_off(services)
    steps, review = steps_of(services), waiting(services, ticket)
    frozen = taken(steps, review.id)
    ground = steps.snapshot(frozen)
    measured = steps.measure(frozen, ground)["measured"]
    new = taken(steps, review.id)
    assert steps.record(frozen, measured, None)["state"] in ("lost", "changed")
    assert steps.hand_on(frozen)["state"] == "lost"
    assert steps.give_up(frozen, FAILED)["state"] in ("lost", "changed")
    assert services.requests.find(review.id).gate_status == "pending"
    assert run(steps, new)["state"] == "decided"


def test_nobody_else_can_take_a_review_that_a_worker_has(services: Services) -> None:
    ticket = worked_off(services)
    steps, review = steps_of(services), waiting(services, ticket)
    assert taken(steps, review.id).taken is not None
    other = steps.take(review.id, "another", judges=False)
    assert other.taken is None
    assert run(steps, other)["state"] == "lost"


def test_evidence_that_changed_after_it_was_measured_is_measured_again(services: Services) -> None:
    ticket = worked_off(services)
    steps, review = steps_of(services), waiting(services, ticket)
    desk = taken(steps, review.id)
    measured = steps.measure(desk, steps.snapshot(desk))["measured"]
    attach_text(services, ticket, "no")
    assert steps.record(desk, measured, None) == {"state": "changed"}
    assert run(steps, desk) == {"state": "decided", "gate_status": "failed"}


def test_a_judge_is_asked_in_its_own_queue_and_about_what_was_measured(services: Services) -> None:
    judge = OneJudge()
    ticket = worked_off(services)
    steps, review = with_judge(services, judge), waiting(services, ticket)
    desk = taken(steps, review.id)
    measured = steps.measure(desk, steps.snapshot(desk))["measured"]
    assert measured["asks"] is True
    assert steps.hand_on(desk)["state"] == "handed_on"
    handed = waiting(services, ticket)
    assert handed.workflow_id != review.workflow_id
    assert (handed.runner, handed.stage, handed.takes) == (None, "queued", 0)
    later = taken(steps, review.id, judges=True)
    assert run(steps, later) == {"state": "decided", "gate_status": "passed"}
    assert len(judge.asked) == 1


def test_a_killed_conversation_has_the_same_name_when_it_goes_on(services: Services) -> None:
    judge = OneJudge()
    ticket = worked_off(services)
    steps, review = with_judge(services, judge), waiting(services, ticket)
    for _ in range(2):
        desk = taken(steps, review.id, judges=True)
        measured = steps.measure(desk, steps.snapshot(desk))["measured"]
        steps.judge(desk, through_json(measured))
    assert judge.asked[0] == judge.asked[1] is not None


def test_evidence_that_changes_while_the_judge_reads_is_judged_again(services: Services) -> None:
    judge = OneJudge()
    ticket = worked_off(services)
    steps, review = with_judge(services, judge), waiting(services, ticket)
    judge.before = lambda: attach_text(services, ticket, "Something else entirely.")
    desk = taken(steps, review.id, judges=True)
    assert run(steps, desk) == {"state": "changed"}
    assert run(steps, desk)["gate_status"] == "failed"  # by the rules, and no judge is paid for it
    assert len(judge.asked) == 1


def test_an_outage_of_any_length_leads_to_no_verdict_and_uses_up_no_attempt(services: Services) -> None:
    judge = OneJudge(no_opinion("unavailable", "nobody answers", can_retry=True))
    ticket = worked_off(services)
    steps, review = with_judge(services, judge), waiting(services, ticket)
    for waits in range(1, 30):
        desk = taken(steps, review.id, judges=True)
        assert run(steps, desk)["state"] == "handed_on"
        now = services.requests.find(review.id)
        assert (now.gate_status, now.stage, now.waits_for) == ("pending", "waiting", "unavailable")
        assert (now.attempt, now.waits) == (0, waits)
        assert now.retry_at is not None
    judge.answer = Opinion((MET,))
    assert run(steps, taken(steps, review.id, judges=True))["gate_status"] == "passed"
    assert len(set(judge.asked)) == 1  # nothing that was paid for is paid again


def test_a_judge_that_comes_to_nothing_is_tried_as_often_as_the_policy_says(services: Services) -> None:
    judge = OneJudge(no_opinion("stuck", "it repeats itself", can_retry=True))
    ticket = worked_off(services)
    steps, review = with_judge(services, judge), waiting(services, ticket)
    states = [run(steps, taken(steps, review.id, judges=True))["state"] for n in range(3)]
    assert states == ["handed_on", "handed_on", "decided"]
    ended = services.requests.find(review.id)
    assert (ended.gate_status, (ended.validation_result or {})["code"]) == ("inconclusive", "stuck")
    assert ended.attempt == 2
    assert len(set(judge.asked)) == 3  # a conversation that is over would only say the same again


def test_what_a_person_must_mend_ends_at_once(services: Services) -> None:
    judge = OneJudge(no_opinion("misconfigured", "there is no such model"))
    ticket = worked_off(services)
    steps, review = with_judge(services, judge), waiting(services, ticket)
    assert run(steps, taken(steps, review.id, judges=True))["gate_status"] == "inconclusive"


def test_a_review_that_loses_every_process_ends(services: Services) -> None:
    ticket = worked_off(services)
    steps, review = steps_of(services), waiting(services, ticket)
    for _ in range(MOST_RUNS):
        assert taken(steps, review.id).taken is not None
    assert taken(steps, review.id).taken is None
    ended = services.requests.find(review.id)
    assert (ended.gate_status, (ended.validation_result or {})["code"]) == ("inconclusive", "review_crashes")
    assert told(services.db) == [("inconclusive", "review_crashes")]


def test_a_review_whose_judge_always_loses_its_workflow_ends(services: Services) -> None:
    ticket = worked_off(services)
    steps, review = with_judge(services, OneJudge()), waiting(services, ticket)
    for number in range(MOST_RUNS):
        assert steps.hand_on(taken(steps, review.id))["state"] == "handed_on"
        assert taken(steps, review.id, judges=True).taken is not None
        # The engine ended it, by an error or by its timeout: it comes back as a stray.
        with services.db.single_statements() as connection:
            assert reviews.renew_workflow(connection, waiting(services, ticket), f"stray-{number}")
    assert taken(steps, review.id).taken is None
    ended = services.requests.find(review.id)
    assert (ended.gate_status, (ended.validation_result or {})["code"]) == ("inconclusive", "review_crashes")


def test_an_attempt_that_raises_is_tried_again_and_ends_too(services: Services) -> None:
    ticket = worked_off(services)
    steps, review = steps_of(services), waiting(services, ticket)
    states = [steps.give_up(taken(steps, review.id), FAILED)["state"] for n in range(3)]
    assert states == ["handed_on", "handed_on", "decided"]
    assert services.requests.find(review.id).gate_status == "inconclusive"
    assert told(services.db) == [("inconclusive", "review_failed")]


def test_restless_evidence_is_an_attempt(services: Services) -> None:
    ticket = worked_off(services)
    steps, review = steps_of(services), waiting(services, ticket)
    steps.give_up(taken(steps, review.id), RESTLESS)
    assert services.requests.find(review.id).attempt == 1


def test_nothing_changed_so_the_last_verdict_answers_and_no_judge_is_paid(services: Services) -> None:
    judge = OneJudge()
    ticket = worked_off(services)
    steps, review = with_judge(services, judge), waiting(services, ticket)
    run(steps, taken(steps, review.id, judges=True))
    hand_in(services, ticket)  # one task more, with the same evidence
    again = waiting(services, ticket)
    assert again.id != review.id
    assert run(steps, taken(steps, again.id, judges=True))["gate_status"] == "passed"
    assert len(judge.asked) == 1
    repeated = services.requests.find(again.id)
    assert (repeated.validation_result or {})["same_as"] == review.id
    with services.db.get_session() as session:
        assert services.gates.holds(repeated, session=session)


def test_a_verdict_that_is_gone_cannot_be_repeated(services: Services) -> None:
    ticket = worked_off(services)
    steps, review = steps_of(services), waiting(services, ticket)
    run(steps, taken(steps, review.id))
    hand_in(services, ticket)
    desk = taken(steps, waiting(services, ticket).id)
    measured = steps.measure(desk, steps.snapshot(desk))["measured"]
    assert measured["same_as"] == review.id
    with services.db.get_session() as session:
        session.execute(delete(PhaseGateResult).where(PhaseGateResult.id == review.id))
    assert steps.record(desk, measured, None) == {"state": "changed"}
    assert run(steps, desk)["gate_status"] == "passed"


def test_force_measures_anew(services: Services) -> None:
    judge = OneJudge()
    ticket = worked_off(services)
    steps, review = with_judge(services, judge), waiting(services, ticket)
    run(steps, taken(steps, review.id, judges=True))
    hand_in(services, ticket)
    with services.db.get_session() as session:
        session.execute(update(PhaseGateResult).where(PhaseGateResult.id != review.id).values(force=True))
    run(steps, taken(steps, waiting(services, ticket).id, judges=True))
    assert len(set(judge.asked)) == 2


DOCUMENT = "docs/requirements.md"


def in_workspace(services: Services, workspace: Path) -> str:
    """A ticket whose `DOCUMENT` stands in a workspace, and whose last task is completed."""
    document = workspace / DOCUMENT
    document.parent.mkdir()
    document.write_text(REQUIREMENTS)
    tickets = TicketService(services.db, workspace_roots=[workspace])
    made = tickets.create(NewTicket("Password reset", phase_id=PHASE, workspace=workspace))
    task = services.queue.enqueue_task(made.id, PHASE, "write", "Write it", "HIGH")
    services.queue.assign_task(task.id, "ada")
    listed = [{"type": "requirements_document", "path": DOCUMENT}]
    services.queue.complete_task(task.id, "ada", {"artifacts": listed})
    return made.id


def test_a_snapshot_that_was_lost_with_its_process_is_taken_again(
    services: Services, workspace: Path, tmp_path: Path
) -> None:
    ticket = in_workspace(services, workspace)
    document = workspace / DOCUMENT
    steps, review = steps_of(services), waiting(services, ticket)
    lost = taken(steps, review.id)
    ground = through_json(steps.snapshot(lost))
    desk = taken(steps, review.id)  # the process is another one
    measured = steps.measure(desk, ground)["measured"]
    document.write_text("Nothing is left of it.")
    after_crash = taken(steps, review.id)
    assert steps.measure(after_crash, ground) == {"state": "changed"}
    # Whoever asked since asked about what is there now.
    assert steps.record(after_crash, measured, None) == {"state": "changed"}
    document.write_text(REQUIREMENTS)
    assert steps.record(after_crash, measured, None)["gate_status"] == "passed"
    for one in (lost, desk, after_crash):
        one.clear()
    assert services.gates.is_current(services.requests.find(review.id)) is True
    assert [path for path in (tmp_path / "snapshots").iterdir() if path.is_dir()] == []


def test_what_changes_while_the_judge_is_asked_is_not_what_was_judged(
    services: Services, workspace: Path
) -> None:
    ticket = in_workspace(services, workspace)
    document = workspace / DOCUMENT
    judge = OneJudge()
    steps, review = with_judge(services, judge), waiting(services, ticket)
    desk = taken(steps, review.id, judges=True)
    judge.before = lambda: document.write_text("Nothing is left of it.")
    assert run(steps, desk) == {"state": "changed"}
    desk.clear()
    assert run(steps, desk)["gate_status"] == "failed"
    assert len(judge.asked) == 1
    desk.clear()


def test_a_command_answers_with_what_is_there_when_the_judge_has_answered(
    services: Services, workspace: Path
) -> None:
    ticket = in_workspace(services, workspace)
    document = workspace / DOCUMENT
    judge = OneJudge()
    with_judge(services, judge)
    judge.before = lambda: document.write_text("Nothing is left of it.")
    assert services.gates.validate_gate(ticket, PHASE).gate_status == "failed"
    assert len(judge.asked) == 1


def test_a_cancelled_review_stays_cancelled(services: Services) -> None:
    ticket = worked_off(services)
    steps, review = steps_of(services), waiting(services, ticket)
    desk = taken(steps, review.id)
    measured = steps.measure(desk, steps.snapshot(desk))["measured"]
    services.requests.cancel(review.id, cancelled_by="ada")
    assert steps.record(desk, measured, None) == {"state": "decided", "gate_status": "inconclusive"}
    ended = services.requests.find(review.id)
    assert (ended.validation_result or {})["code"] == "review_cancelled"


def test_who_stops_waiting_stops_the_judge(services: Services) -> None:
    judge = OneJudge()
    ticket = worked_off(services)
    steps, review = with_judge(services, judge), waiting(services, ticket)
    desk = taken(steps, review.id, judges=True)
    measured = steps.measure(desk, steps.snapshot(desk))["measured"]
    steps.judge(desk, measured)
    steps.stop_judge(desk, measured)
    assert judge.stopped == judge.asked


@pytest.mark.parametrize("phase", [Phase.DESIGN, Phase.IMPLEMENTATION, Phase.TESTING, Phase.DEPLOYMENT])
def test_every_phase_with_a_gate_can_be_reviewed_in_steps(services: Services, phase: Phase) -> None:
    ticket = worked_off(services, phase)
    steps = steps_of(services)
    desk = taken(steps, waiting(services, ticket).id)
    assert run(steps, desk) == {"state": "decided", "gate_status": "passed"}
