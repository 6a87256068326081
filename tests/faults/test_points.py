"""Each named point of a review's life, with each kind of failure: nothing is lost, nothing happens twice.

One run per kind: worker after worker is told to fail at one point while tickets go their way, and the next
one has to clear up. So every point is met by a fleet that is full of what the points before it left.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from omoi_os.faults import POINTS, Kind
from tests.faults.checks import reviews, violations
from tests.faults.fleet import Fleet, Member
from tests.faults.load import Agents, Story, at_work, new_ticket, settle, simple_templates

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]

JUDGED = {"stage", "hand_on", "step_hand_on", "step_judge"}
"""Only where a judge is asked; see `test_judge`."""

FIRST = {
    "put_off": "step_measure.before_commit=raise:1",
    "step_give_up": "step_measure.before_commit=raise:1",
    "bring_back": "",
}
"""What has to happen before a point is reached at all."""


def of_commit(point: str) -> str:
    return point.partition(".")[0]


def unjudged() -> Iterator[str]:
    return (point for point in POINTS if of_commit(point) not in JUDGED)


def arm(fleet: Fleet, point: str, kind: Kind) -> Member:
    commit = of_commit(point)
    fault = ",".join(filter(None, [FIRST.get(commit, ""), f"{point}={kind}:1"]))
    return fleet.api(fault) if commit == "request" else fleet.worker(fault)


def provoke(fleet: Fleet, point: str) -> None:
    """Make sure that there is something to do which leads to the point."""
    commit = of_commit(point)
    story = {"fix": Story.MENDED, "block": Story.HOPELESS}.get(commit, Story.GOOD)
    new_ticket(fleet, story)
    if commit == "take_over":
        # A dead worker: nobody ever hears from it.
        with fleet.db.single_statements() as connection:
            connection.execute(
                "INSERT INTO worker_leases (executor_id, beat, host) VALUES (gen_random_uuid(), 1, 'gone')"
            )
    if commit == "bring_back":
        with fleet.db.single_statements() as connection:
            connection.execute(
                "DELETE FROM dbos.workflow_status WHERE status = 'ENQUEUED' AND workflow_uuid IN "
                "(SELECT workflow_id FROM phase_gate_results WHERE gate_status = 'pending')"
            )


@pytest.mark.parametrize("kind", list(Kind))
def test_each_point_can_fail_and_nothing_is_lost_or_done_twice(fleet: Fleet, kind: Kind) -> None:
    simple_templates(fleet)
    api = fleet.api()
    apis = [api]
    frozen: list[Member] = []
    with at_work(fleet, apis, every=1.0) as agents:
        for point in unjudged():
            provoke(fleet, point)
            faulty = arm(fleet, point, kind)
            apis[:] = [faulty if faulty.port else api]
            wait_for(fleet, point, faulty, agents)
            apis[:] = [api]
            suffered(fleet, faulty, kind, frozen)
        for _ in range(2):
            fleet.worker()
        time.sleep(2)
        for member in frozen:
            member.send(signal.SIGCONT)
        asked = settle(fleet, agents)
        assert all(member.lives for member in frozen)
    print(f"{len(list(unjudged()))} points x {kind}, {reviews(fleet)} reviews, {asked} asked for again")
    assert violations(fleet) == []


def wait_for(fleet: Fleet, point: str, faulty: Member, agents: Agents) -> None:
    began = time.monotonic()
    while f'"point": "{point}"' not in (said := faulty.said):
        assert not agents.crashed, agents.crashed
        assert faulty.lives, f"{point}: it ended before\n{said[-3000:]}"
        assert time.monotonic() < began + 30, f"{point} is not reached\n{fleet.last_words()}"
        if of_commit(point) == "bring_back":
            provoke(fleet, point)
        time.sleep(0.05)


def suffered(fleet: Fleet, faulty: Member, kind: Kind, frozen: list[Member]) -> None:
    """Look that it failed as told; of those that froze the oldest one wakes after others took its work."""
    match kind:
        case Kind.KILL:
            assert faulty.ended() == -signal.SIGKILL
        case Kind.RAISE:
            faulty.kill()
        case Kind.HANG:
            fleet.until("it is frozen", faulty.is_frozen)
            frozen.append(faulty)
    if len(frozen) > 3:
        awake = frozen.pop(0)
        awake.send(signal.SIGCONT)
        time.sleep(0.3)
        assert awake.lives
        awake.kill()
