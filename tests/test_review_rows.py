"""Who may take a review, hand it on and put it off, whatever crashed and whoever woke."""

from __future__ import annotations

import time

import pytest

from omoi_os.bootstrap import Services
from omoi_os.domain.phases import Phase
from omoi_os.domain.reviews import SUSPECT, Stage
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.services.database import DatabaseService
from omoi_os.services.durable_reviews import DurableReviews
from omoi_os.services.review_requests import Asked
from omoi_os.store import reviews
from tests.phase_tickets import new_ticket

PHASE = Phase.REQUIREMENTS


def requested(services: Services) -> PhaseGateResult:
    ticket = new_ticket(services.db, PHASE)
    return services.requests.request(ticket, PHASE, Asked("ada"))


def take(
    db: DatabaseService, review: PhaseGateResult, workflow: str | None = None, *, lease: float | None = None
) -> PhaseGateResult | None:
    runner = workflow or review.workflow_id or ""
    with db.single_statements() as connection:
        return reviews.take(connection, review.id, runner, lease=lease, stage=Stage.MEASURING)


def put_off(db: DatabaseService, taken: PhaseGateResult) -> reviews.PutOff | None:
    with db.single_statements() as connection:
        return reviews.put_off(connection, taken, "unavailable", seconds=0.1, counts=True)


def test_a_workflow_takes_its_review_once_more_after_a_crash_and_fences_its_former_self(
    services: Services,
) -> None:
    review = requested(services)
    first, second = take(services.db, review), take(services.db, review)
    assert first is not None
    assert second is not None
    assert put_off(services.db, first) is None
    assert put_off(services.db, second) is not None


def test_a_command_takes_no_review_that_a_worker_has_and_a_worker_none_of_a_command(
    services: Services,
) -> None:
    review = requested(services)
    assert take(services.db, review) is not None
    assert take(services.db, review, "a command", lease=60.0) is None
    other = requested(services)
    assert take(services.db, other, "a command", lease=0.2) is not None
    assert take(services.db, other) is None
    time.sleep(0.3)
    assert take(services.db, other) is not None, "its lease is over"


def test_a_workflow_that_handed_its_review_on_does_not_take_it_back(services: Services) -> None:
    review = requested(services)
    taken = take(services.db, review)
    assert taken is not None
    later = put_off(services.db, taken)
    assert later is not None
    assert take(services.db, review) is None, "the pause would be skipped, and the attempt count twice"
    assert take(services.db, later.review) is not None


@pytest.mark.parametrize("twice", [False, True])
def test_an_attempt_counts_once_however_often_its_end_is_written(services: Services, twice: bool) -> None:
    review = requested(services)
    taken = take(services.db, review)
    assert taken is not None
    for _ in range(2 if twice else 1):
        put_off(services.db, taken)
    assert services.requests.find(review.id).attempt == 1


def test_of_reviews_that_crashed_their_workers_one_is_tried_at_a_time(services: Services) -> None:
    former, later, innocent = (requested(services) for _ in range(3))
    for review in (former, later):
        for _ in range(SUSPECT):
            assert take(services.db, review) is not None
    assert take(services.db, former) is not None
    durable = DurableReviews(services.gates.stages, services.requests)
    desk = durable.take(later.id, later.workflow_id or "", judges=False)
    assert desk.taken is None
    assert desk.early
    assert take(services.db, innocent) is not None
    services.requests.cancel(former.id, cancelled_by="ada")
    assert durable.take(later.id, later.workflow_id or "", judges=False).taken is not None
    assert not durable.take(former.id, former.workflow_id or "", judges=False).early


def test_a_process_that_is_frozen_in_a_transaction_loses_its_locks(services: Services) -> None:
    with services.db.single_statements() as connection:
        row = connection.execute("SHOW idle_in_transaction_session_timeout").fetchone()
    assert row == ("24s",)
