"""Nothing is lost and nothing happens twice when processes are killed at random moments."""

from __future__ import annotations

import random
import time

import pytest

from tests.faults.checks import reviews, violations
from tests.faults.fleet import Fleet
from tests.faults.load import at_work, settle, some_tickets

pytestmark = [pytest.mark.faults, pytest.mark.timeout(7200)]


def test_kills_at_random_moments_lose_no_review_and_decide_none_twice(fleet: Fleet, scale: float) -> None:
    wanted, kills = int(200 * scale), int(20 * scale)
    some_tickets(fleet, wanted)
    for _ in range(3):
        fleet.worker()
    apis = [fleet.api()]
    done = 0
    with at_work(fleet, apis) as agents:
        while done < kills:
            time.sleep(random.uniform(0.05, 1.2))
            victim = random.choice(fleet.members)
            victim.kill()
            done += 1
            new = fleet.again(victim)
            if new.port:
                apis[:] = [new]
        asked = settle(fleet, agents)
    print(f"{done} kills, {reviews(fleet)} reviews, {asked} asked for again")
    assert violations(fleet) == []
    assert reviews(fleet) >= wanted
    assert asked <= max(2, reviews(fleet) / 50)
