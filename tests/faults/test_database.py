"""The database ends connections, and itself, at random moments."""

from __future__ import annotations

import random
import time
from contextlib import suppress

import pytest

from tests.faults.checks import reviews, violations
from tests.faults.fleet import Fleet
from tests.faults.load import at_work, settle, some_tickets

pytestmark = [pytest.mark.faults, pytest.mark.timeout(7200)]

SOME_BACKEND = """
SELECT pg_terminate_backend(pid), application_name, state FROM pg_stat_activity
WHERE application_name LIKE 'omoi%%' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1
"""


def test_backends_that_are_terminated_lose_nothing_and_cost_no_attempt(fleet: Fleet, scale: float) -> None:
    wanted, terminations = int(60 * scale), int(40 * scale)
    some_tickets(fleet, wanted)
    api = fleet.api()
    for _ in range(2):
        fleet.worker()
    fleet.ready()
    hit: dict[str, int] = {}
    with at_work(fleet, [api]) as agents:
        while sum(hit.values()) < terminations:
            time.sleep(random.uniform(0.02, 0.2))
            with suppress(Exception):  # it may have been this one
                for _, name, _ in fleet.rows(SOME_BACKEND):
                    hit[name] = hit.get(name, 0) + 1
        asked = settle(fleet, agents)
    print(f"terminations {hit}, {reviews(fleet)} reviews, {asked} asked for again")
    assert all(member.lives for member in fleet.members)
    assert violations(fleet) == []
    assert counted(fleet) == []


def test_immediate_restarts_of_the_server_lose_nothing_and_cost_no_attempt(
    fleet: Fleet, scale: float
) -> None:
    wanted, restarts = int(40 * scale), max(2, round(2 * scale))
    some_tickets(fleet, wanted)
    assert fleet.rows("SHOW fsync") == [("on",)]
    api = fleet.api()
    for _ in range(2):
        fleet.worker()
    fleet.ready()
    with at_work(fleet, [api]) as agents:
        for _ in range(restarts):
            time.sleep(random.uniform(0.5, 3.0))
            fleet.restart_server()
        asked = settle(fleet, agents)
    print(f"{restarts} restarts, {reviews(fleet)} reviews, {asked} asked for again")
    assert all(member.lives for member in fleet.members)
    assert violations(fleet) == []
    assert counted(fleet) == []


def counted(fleet: Fleet) -> list[object]:
    """Reviews that an outage cost one of the policy's attempts, and what the workers say about it.

    The writer may change the evidence in each round of a review: an attempt, and none of the outage.
    """
    found = fleet.rows(
        "SELECT id, attempt, waits_for FROM phase_gate_results "
        "WHERE attempt > 0 AND waits_for IS DISTINCT FROM 'evidence_changed'"
    )
    said = [m.said.partition("review_failed")[2][:3000] for m in fleet.members if "review_failed" in m.said]
    return [*found, *said]
