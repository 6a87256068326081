"""Reviews that can never be done end and disturb no other; a worker that is asked to end, ends well."""

from __future__ import annotations

import signal
import time

import pytest

from omoi_os.domain.reviews import MOST_RUNS
from tests.faults.checks import violations
from tests.faults.fleet import Fleet
from tests.faults.load import START, busy, new_ticket, simple_templates, work_off, work_off_all

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


def test_a_review_that_kills_whoever_takes_it_ends_and_takes_no_other_with_it(fleet: Fleet) -> None:
    simple_templates(fleet)
    poisoned, good = new_ticket(fleet), [new_ticket(fleet) for _ in range(4)]
    work_off(fleet, poisoned)
    review = _reviews(fleet, poisoned)[0][0]
    fault = f"record.before_commit@{review}=kill:*"
    worker = fleet.worker(fault)
    for ticket in good:
        work_off(fleet, ticket)
    lost = 0
    while _reviews(fleet, poisoned)[0][1] == "pending":
        if not worker.lives:
            lost += 1
            worker = fleet.worker(fault)
        time.sleep(0.05)
    assert _reviews(fleet, poisoned)[0][1:] == ("inconclusive", "review_crashes")
    assert lost == MOST_RUNS
    fleet.until("the others moved on", lambda: all(_phase(fleet, ticket) != START for ticket in good))


def test_a_review_that_always_meets_an_error_ends_by_the_attempts_of_the_policy(fleet: Fleet) -> None:
    simple_templates(fleet)
    broken, good = new_ticket(fleet), new_ticket(fleet)
    work_off(fleet, broken)
    review = _reviews(fleet, broken)[0][0]
    worker = fleet.worker(f"step_measure.before_commit@{review}=raise:*")
    work_off(fleet, good)
    fleet.until("it is over", lambda: _reviews(fleet, broken)[0][1] != "pending")
    assert _reviews(fleet, broken)[0][1:] == ("inconclusive", "review_failed")
    assert fleet.rows("SELECT attempt FROM phase_gate_results WHERE id = %(id)s", {"id": review}) == [(2,)]
    fleet.until("the other one moved on", lambda: _phase(fleet, good) != START)
    assert worker.lives


def test_a_worker_that_is_asked_to_end_loses_nothing_and_another_goes_on_at_once(fleet: Fleet) -> None:
    simple_templates(fleet)
    for _ in range(10):
        new_ticket(fleet)
    worker = fleet.worker()
    fleet.ready()
    for _ in range(4):
        work_off_all(fleet)
        fleet.worker()
        worker.send(signal.SIGTERM)
        assert worker.ended() == 0
        assert fleet.rows("SELECT count(*) FROM dbos.workflow_status WHERE status = 'PENDING' "
                          "AND executor_id LIKE %(pid)s", {"pid": f"%:{worker.pid}:%"}) == [(0,)]  # fmt: skip
        worker = fleet.members[-1]
    while work_off_all(fleet):
        pass
    fleet.until("the engine has nothing left to do", lambda: not busy(fleet))
    assert violations(fleet) == []
    assert fleet.rows("SELECT count(*) FROM phase_gate_results WHERE takes > 1") == [(0,)]


def test_what_a_worker_cannot_finish_in_time_is_handed_back_at_once(fleet: Fleet) -> None:
    simple_templates(fleet)
    ticket = new_ticket(fleet)
    # It holds the ticket, so that the review waits for it in its last step.
    worker = fleet.worker(OMOI_DRAIN_SECONDS="1", OMOI_LEASE_SECONDS="60")
    fleet.ready()
    with fleet.db.get_session() as session:
        session.connection().exec_driver_sql("SET idle_in_transaction_session_timeout = 0")
        work_off(fleet, ticket)
        session.connection().exec_driver_sql(f"SELECT * FROM tickets WHERE id = '{ticket}' FOR UPDATE")
        fleet.until("it works on it", lambda: busy(fleet) and busy(fleet)[0][1] == "PENDING")
        worker.send(signal.SIGTERM)
        fleet.until("it is back in its queue", lambda: [row[1] for row in busy(fleet)] == ["ENQUEUED"], 20)
    fleet.worker(OMOI_LEASE_SECONDS="60")
    fleet.until("another one did it", lambda: _phase(fleet, ticket) != START, 20)
    assert worker.ended() == 0


def _phase(fleet: Fleet, ticket: str) -> str:
    return str(fleet.rows("SELECT phase_id FROM tickets WHERE id = %(id)s", {"id": ticket})[0][0])


def _reviews(fleet: Fleet, ticket: str) -> list[tuple[str, str, str]]:
    rows = fleet.rows(
        "SELECT id, gate_status, validation_result ->> 'code' FROM phase_gate_results "
        "WHERE ticket_id = %(id)s ORDER BY seq",
        {"id": ticket},
    )
    return [(row[0], row[1], row[2]) for row in rows]
