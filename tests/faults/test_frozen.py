"""A worker that is frozen while others take its work over, and wakes: it records nothing, and goes on."""

from __future__ import annotations

import signal
import time

import pytest

from tests.faults.checks import violations
from tests.faults.fleet import Fleet
from tests.faults.load import START, Story, busy, new_ticket, simple_templates, stuck, work_off, work_off_all

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

POINTS = (
    "take.after_commit",
    "step_measure.before_commit",
    "step_measure.after_commit",
    "record.before_commit",
    "record.after_commit",
    "advance.before_commit",
)


@pytest.mark.parametrize("point", POINTS)
def test_a_frozen_worker_that_wakes_after_takeover_changes_nothing_and_works_on(
    fleet: Fleet, point: str
) -> None:
    simple_templates(fleet)
    first, second = new_ticket(fleet), new_ticket(fleet)
    frozen = fleet.worker(f"{point}=hang:1")
    fleet.ready()
    work_off(fleet, first)
    fleet.until("it is frozen", frozen.is_frozen)
    other = fleet.worker()
    fleet.until("the other one moved the ticket", lambda: _phase(fleet, first) != START)
    fleet.until("it has done all", lambda: not busy(fleet))
    before = _record(fleet, first)
    frozen.send(signal.SIGCONT)
    other.send(signal.SIGTERM)
    assert other.ended() == 0
    beats = _beats(fleet)
    fleet.until("the woken one gives signs of life", lambda: _beats(fleet) > beats)
    time.sleep(0.5)
    assert _record(fleet, first) == before
    work_off(fleet, second)
    fleet.until("it works on", lambda: _phase(fleet, second) != START)
    assert frozen.lives


def test_two_workers_with_the_same_work_decide_it_once_and_move_it_once(fleet: Fleet) -> None:
    simple_templates(fleet)
    for number in range(12):
        new_ticket(fleet, Story.GOOD if number % 2 else Story.MENDED)
    for _ in range(2):
        fleet.worker()
    fleet.ready()
    end = time.monotonic() + 120
    while work_off_all(fleet):
        assert time.monotonic() < end, stuck(fleet)
        take_from_all(fleet)
        time.sleep(1)  # seldom: a review that six processes lose is given up
    fleet.until("the engine has nothing left to do", lambda: not busy(fleet))
    twice = fleet.rows("SELECT count(*) FROM phase_gate_results WHERE takes > 1")
    assert twice != [(0,)], "no review was ever taken by two"
    assert violations(fleet) == []


def take_from_all(fleet: Fleet) -> None:
    """As after a false alarm: what is being worked on goes to another worker as well."""
    for executor in {executor for _, status, executor, _ in busy(fleet) if status == "PENDING"}:
        fleet.engine.resume_work_of(executor)


def _phase(fleet: Fleet, ticket: str) -> str:
    return str(fleet.rows("SELECT phase_id FROM tickets WHERE id = %(id)s", {"id": ticket})[0][0])


def _record(fleet: Fleet, ticket: str) -> list[tuple[object, ...]]:
    """All that was ever said of a ticket's reviews, moves and tasks."""
    return fleet.rows(
        """SELECT id, gate_status, validated_at, run, attempt, followed_at FROM phase_gate_results
               WHERE ticket_id = %(id)s
           UNION ALL SELECT id, to_phase, created_at, 0, 0, NULL FROM phase_history WHERE ticket_id = %(id)s
           UNION ALL SELECT id, status, created_at, 0, 0, NULL FROM tasks WHERE ticket_id = %(id)s
           UNION ALL SELECT id, event_type, created_at, 0, 0, NULL FROM events WHERE entity_id = %(id)s
           ORDER BY 1""",
        {"id": ticket},
    )


def _beats(fleet: Fleet) -> int:
    return int(fleet.rows("SELECT coalesce(sum(beat), 0) FROM worker_leases")[0][0])
