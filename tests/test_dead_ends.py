"""A phase in which all that is left failed for good is reviewed by itself, and a person is told."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from omoi_os.bootstrap import Services, services_on
from omoi_os.domain.phases import Move
from omoi_os.models import PhaseHistory, Ticket
from omoi_os.models.phases import Phase
from omoi_os.services.database import DatabaseService
from omoi_os.settings import Settings
from omoi_os.store import dead_ends
from tests.test_consequences import PHASE, decide, place


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
    fail(services, ticket)
    assert services.housekeeping.sweep().dead_ends == 1
    assert causes(services, ticket) == ["work_failed"]
    services.consequences.follow(decide(services, ticket))
    assert place(services, ticket) == Phase.BLOCKED
    with services.db.get_session() as session:
        of_ticket = select(PhaseHistory.transition_reason).filter_by(ticket_id=ticket)
        why = session.scalars(of_ticket.order_by(PhaseHistory.seq.desc())).first() or ""
    assert why.startswith("1 review of requirements failed, so a person is needed. It found:")
    assert "1 not completed: work is failed" in why


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
