"""Which workers count as dead, by nothing but what was seen of them."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from omoi_os.errors import EmbeddedDatabaseError
from omoi_os.worker.leases import Watch
from omoi_os.worker.outages import is_outage


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> Watch:
    return Watch(ttl=12.0, clock=clock)


def look(watch: Watch, clock: Clock, beat: int, seconds: float) -> list[str]:
    """Look every two seconds for so long, while a peer's number stays."""
    found: list[str] = []
    for _ in range(int(seconds / 2)):
        clock.now += 2
        found = watch.silent([("peer", beat)])
    return found


def test_a_peer_whose_number_stands_still_for_the_whole_time_is_dead(watch: Watch, clock: Clock) -> None:
    assert look(watch, clock, 1, 12) == []
    assert look(watch, clock, 1, 2) == ["peer"]


def test_a_peer_that_counts_on_lives(watch: Watch, clock: Clock) -> None:
    assert look(watch, clock, 1, 12) == []
    assert look(watch, clock, 2, 12) == []


def test_an_observer_that_stood_still_itself_takes_nobody_for_dead(watch: Watch, clock: Clock) -> None:
    look(watch, clock, 1, 4)
    clock.now += 60
    assert watch.silent([("peer", 1)]) == []
    assert look(watch, clock, 1, 12) == ["peer"]


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (psycopg.errors.AdminShutdown(), True),
        (OperationalError("select 1", {}, psycopg.OperationalError("gone")), True),
        (EmbeddedDatabaseError("it does not start"), True),
        (psycopg.errors.UniqueViolation(), False),
        (ValueError(), False),
    ],
)
def test_what_is_an_outage_of_the_database_and_what_an_error_of_ours(
    error: BaseException, outage: bool
) -> None:
    assert is_outage(error) is outage
