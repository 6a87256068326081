"""A phase in which all that is left failed for good is reviewed by itself, and a person is told."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from omoi_os.bootstrap import Services, services_on
from omoi_os.domain.phases import Move
from omoi_os.domain.reviews import Next
from omoi_os.models import PhaseGateResult, PhaseHistory, Ticket
from omoi_os.models.phases import Phase
from omoi_os.services.database import DatabaseService
from omoi_os.services.review_requests import Asked
from omoi_os.settings import Settings
from omoi_os.store import dead_ends
from tests.test_consequences import PHASE, decide, place, under


@pytest.fixture
def services(db_service: DatabaseService, tmp_path: Path) -> Services:
    return services_on(db_service, Settings(workspaces=tmp_path))


def new_ticket(services: Services, phase: Phase = PHASE) -> str:
    with services.db.get_session() as session:
        ticket = Ticket(title="Password reset", phase_id=phase)
        session.add(ticket)
        session.flush()
        return ticket.id


def fail(services: Services, ticket_id: str, phase: Phase = PHASE, *, permanent: bool = True) -> str:
    """A task that could not be done."""
    services.queue.enqueue_task(ticket_id, phase, "work", "Do it", "HIGH")
    task = services.queue.claim_next_task("ada", phase)
    assert task is not None
    services.queue.fail_task(task.id, "ada", "it took too long", permanent=permanent)
    return task.id


def causes(services: Services, ticket_id: str) -> list[str | None]:
    return [review.cause for review in services.requests.list(ticket_id=ticket_id).reviews]


def test_a_person_is_asked_when_the_last_task_failed_for_good(services: Services) -> None:
    ticket = new_ticket(services)
    task = fail(services, ticket)
    assert services.housekeeping.sweep().dead_ends == 1
    assert causes(services, ticket) == ["work_failed"]
    services.consequences.follow(decide(services, ticket))
    assert place(services, ticket) == Phase.BLOCKED
    with services.db.get_session() as session:
        of_ticket = select(PhaseHistory.transition_reason).filter_by(ticket_id=ticket)
        why = session.scalars(of_ticket.order_by(PhaseHistory.seq.desc())).first() or ""
    assert why == (
        f"What is left to do in requirements failed for good, so a person is needed. work ({task}): "
        "Permanent error: it took too long. `omoi task retry TASK` begins one anew; then move the ticket "
        "back to requirements."
    )


def test_of_many_who_find_it_at_once_one_asks(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = new_ticket(services)
    fail(services, ticket)
    all_found, find = threading.Barrier(4), dead_ends.find

    def found(*asked: Any) -> list[tuple[str, str]]:
        seen = find(*asked)
        all_found.wait(30)
        return seen

    with monkeypatch.context() as patched, ThreadPoolExecutor(4) as threads:
        patched.setattr(dead_ends, "find", found)
        counts = list(threads.map(lambda _: services.requests.at_dead_ends(), range(4)))
    assert sum(counts) == 1
    (review,) = services.requests.list(ticket_id=ticket).reviews
    services.requests.cancel(review.id, cancelled_by="ada")
    assert services.requests.at_dead_ends() == 0
    assert place(services, ticket) == PHASE


def test_a_task_that_fails_again_is_told_again(services: Services) -> None:
    ticket = new_ticket(services)
    task = fail(services, ticket)
    services.requests.at_dead_ends()
    services.consequences.follow(decide(services, ticket))
    services.queue.reset_task(task)
    services.phases.move(ticket, Move(PHASE, "try once more", "ada"))
    assert services.requests.at_dead_ends() == 0
    services.queue.assign_task(task, "ada")
    while (made := services.queue.claim_next_task("bob", PHASE)) is not None:  # what the move made
        services.queue.complete_task(made.id, "bob", {})
    services.queue.fail_task(task, "ada", "still not there", permanent=True)
    assert services.requests.at_dead_ends() == 1


def test_work_that_somebody_can_go_on_with_is_waited_for(services: Services) -> None:
    ticket = new_ticket(services)
    fail(services, ticket, permanent=False)
    assert services.requests.at_dead_ends() == 0
    other = new_ticket(services)
    fail(services, other)
    services.queue.enqueue_task(other, PHASE, "work", "Do something else", "HIGH")
    assert services.requests.at_dead_ends() == 0


def test_only_work_of_the_phase_and_visit_counts(services: Services) -> None:
    elsewhere = new_ticket(services, Phase.DESIGN)
    fail(services, elsewhere, PHASE)
    nowhere = new_ticket(services, Phase.BACKLOG)
    fail(services, nowhere, Phase.BACKLOG)
    back = new_ticket(services, Phase.DESIGN)
    fail(services, back, Phase.DESIGN)
    services.phases.move(back, Move(PHASE, "the requirements were wrong", "ada", force=True))
    services.phases.move(back, Move(Phase.DESIGN, "again", "ada", force=True))
    assert services.requests.at_dead_ends() == 0


def another_task(services: Services, ticket_id: str) -> str:
    return services.queue.enqueue_task(ticket_id, PHASE, "work", "Do something else", "HIGH").id


def complete(services: Services, task_id: str) -> None:
    services.queue.assign_task(task_id, "bob")
    services.queue.complete_task(task_id, "bob", {})


@pytest.mark.parametrize("asked_by", ["a person", "omoi"])
def test_a_review_that_waited_for_other_work_is_not_the_last_word(services: Services, asked_by: str) -> None:
    ticket = new_ticket(services)
    fail(services, ticket)
    if asked_by == "omoi":
        assert services.requests.at_dead_ends() == 1
        other = another_task(services, ticket)
    else:
        other = another_task(services, ticket)
        services.requests.request(ticket, PHASE, Asked("ada", carry_on=True))
    assert services.consequences.follow(decide(services, ticket)) == Next.WAIT_FOR_WORK
    complete(services, other)
    assert causes(services, ticket)[0] == "work_failed", "asked in the transaction that ended the other"
    assert services.consequences.follow(decide(services, ticket)) == Next.BLOCK


def test_a_replacement_that_was_made_after_the_ticket_was_blocked_is_reviewed(services: Services) -> None:
    ticket = new_ticket(services)
    fail(services, ticket)
    services.requests.at_dead_ends()
    services.consequences.follow(decide(services, ticket))
    services.phases.move(ticket, Move(PHASE, "somebody else does it", "ada"))
    assert services.requests.at_dead_ends() == 0, "whoever moved it back is there"
    while (task := services.queue.claim_next_task("bob", PHASE)) is not None:
        services.queue.complete_task(task.id, "bob", {})
    assert causes(services, ticket)[0] == "work_failed"


def test_a_review_that_was_only_to_answer_is_not_the_last_word(services: Services) -> None:
    ticket = new_ticket(services)
    fail(services, ticket)
    services.requests.request(ticket, PHASE, Asked("ada"))
    decide(services, ticket)
    assert services.requests.at_dead_ends() == 1


def test_a_command_that_was_killed_in_its_review_hides_nothing(services: Services) -> None:
    ticket = new_ticket(services)
    fail(services, ticket)
    with services.db.get_session() as session:
        now = session.scalar(select(func.clock_timestamp()))
        assert now is not None
        killed = PhaseGateResult(ticket_id=ticket, phase_id=PHASE, gate_status="pending", validated_by="ada")
        killed.runner, killed.run, killed.lease_until = "a command", 1, now + timedelta(seconds=0.2)
        session.add(killed)
    assert services.requests.at_dead_ends() == 0
    time.sleep(0.3)
    assert services.requests.at_dead_ends() == 1
    services.consequences.follow(decide(services, ticket))
    assert place(services, ticket) == Phase.BLOCKED


def test_a_policy_that_lets_tasks_be_left_is_not_made_to_pass(services: Services) -> None:
    relaxed = under(services, tasks_must_be_completed=False)
    ticket = new_ticket(relaxed)
    fail(relaxed, ticket)
    assert relaxed.requests.at_dead_ends() == 0
    complete(relaxed, another_task(relaxed, ticket))
    assert causes(relaxed, ticket) == []


def test_whoever_cancelled_knows_and_what_failed_with_another_is_told_there(services: Services) -> None:
    cancelled = new_ticket(services)
    services.queue.cancel_task(another_task(services, cancelled), "it is to be split")
    ticket, dependent = new_ticket(services), new_ticket(services)
    first = another_task(services, ticket)
    services.queue.enqueue_task(dependent, PHASE, "work", "After it", "HIGH", {"depends_on": [first]})
    services.queue.assign_task(first, "ada")
    services.queue.fail_task(first, "ada", "it took too long", permanent=True)
    assert services.requests.at_dead_ends() == 1
    assert causes(services, ticket) == ["work_failed"]
    services.queue.reset_task(first)
    assert place(services, dependent) == PHASE, "it goes on with its first"


def test_one_ticket_that_cannot_be_asked_about_stops_no_other(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = sorted(new_ticket(services) for _ in range(3))
    for ticket in (first, *others):
        fail(services, ticket)
    is_one = dead_ends.is_one

    def broken(connection: Any, ticket: str, phase: str) -> bool:
        if ticket == first:
            raise RuntimeError("injected")
        return is_one(connection, ticket, phase)

    monkeypatch.setattr(dead_ends, "is_one", broken)
    assert services.requests.at_dead_ends() == 2


def test_a_verdict_of_before_the_failure_is_not_repeated_for_after_it(services: Services) -> None:
    ticket = new_ticket(services)
    task = another_task(services, ticket)
    before = services.gates.validate_gate(ticket, PHASE)
    services.queue.assign_task(task, "ada")
    assert services.gates.validate_gate(ticket, PHASE).id == before.id, "who has a task changes nothing"
    services.queue.fail_task(task, "ada", "it took too long", permanent=True)
    after = services.gates.validate_gate(ticket, PHASE)
    assert f"work has failed ({task})" in str(after.blocking_reasons)
    assert "has failed" not in str(before.blocking_reasons)
