"""Budgets hold however many ask at once, whoever dies, and whatever is asked for."""

from __future__ import annotations

import math
import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection as Pipe

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from omoi_os.errors import DatabaseUnavailable, InvalidInput
from omoi_os.services.budgets import REST, BudgetLimits, BudgetService, Reservation
from omoi_os.services.database import DatabaseService

PROCESSES = 4
THREADS = 8
DEMAND = 10_000


def calls(db: DatabaseService, most: int | None, *, rest: float = REST) -> BudgetService:
    return BudgetService(db, BudgetLimits(calls_per_minute=most), rest=rest)


def money(db: DatabaseService, most: float | None) -> BudgetService:
    return BudgetService(db, BudgetLimits(usd_per_day=most))


def run(db: DatabaseService, statement: str, **values: object) -> None:
    with db.get_session() as session:
        session.execute(text(statement), values)


# Many at once


def in_threads(work: Callable[[], int], count: int) -> int:
    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(lambda _: work(), range(count)))


def grant_calls(db: DatabaseService, demand: int, most: int) -> int:
    service = calls(db, most)
    return in_threads(lambda: service.reserve_call() == 0.0, demand)


def grant_money(db: DatabaseService, demand: int, most: int) -> int:
    """Every second one settles at once for a part of it; returns what was kept, in millionths."""
    service, chance = money(db, most), random.Random(demand)

    def one() -> int:
        usd, part = chance.uniform(0, 0.05), chance.choice((None, chance.random()))
        granted = service.reserve(usd)
        if granted is None:
            return 0
        if part is None:
            return int(granted.usd * 1_000_000)
        spent = float(granted.usd) * part
        service.settle(granted, spent)
        return math.ceil(spent * 1_000_000)

    return in_threads(one, demand)


type Grant = Callable[[DatabaseService, int, int], int]


def _asker(address: str, grant: Grant, most: int, pipe: Pipe) -> None:
    db = DatabaseService(address, pool_size=THREADS)
    pipe.send(None)
    pipe.send(grant(db, pipe.recv(), most))
    db.close()


@contextmanager
def askers(db: DatabaseService, grant: Grant, most: int) -> Iterator[list[Pipe]]:
    """Processes that wait for how much each of them shall ask for."""
    address = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    context = multiprocessing.get_context("spawn")
    pairs = [context.Pipe() for _ in range(PROCESSES)]
    started = [
        context.Process(target=_asker, args=(address, grant, most, there), daemon=True) for _, there in pairs
    ]
    for process in started:
        process.start()
    pipes = [here for here, _ in pairs]
    for pipe in pipes:
        pipe.recv()
    yield pipes
    for process, pipe in zip(started, pipes, strict=True):
        process.join(10)
        pipe.close()


def granted_to_all(db: DatabaseService, grant: Grant, most: int) -> int:
    with askers(db, grant, most) as pipes:
        for pipe in pipes:
            pipe.send(DEMAND // PROCESSES)
        return sum(pipe.recv() for pipe in pipes)


@pytest.mark.parametrize("most", [1, 60, 1_000])
def test_of_ten_thousand_calls_at_once_exactly_the_cap_is_granted(
    db_service: DatabaseService, most: int
) -> None:
    assert granted_to_all(db_service, grant_calls, most) == most
    assert calls(db_service, most).state().calls_last_minute == most


def test_ten_thousand_reservations_at_once_stay_within_the_cap_and_use_it_up(
    db_service: DatabaseService,
) -> None:
    kept = granted_to_all(db_service, grant_money, 50)
    state = money(db_service, 50).state()
    assert round((state.reserved_usd + state.spent_usd) * 1_000_000) == kept <= 50_000_000
    assert (state.left_usd or 0) < 0.05  # what is left is less than the largest request


def test_with_room_for_all_nobody_is_refused(db_service: DatabaseService) -> None:
    service = money(db_service, 20.0)
    assert in_threads(lambda: service.reserve(0.1) is not None, 200) == 200
    assert service.reserve(0.000001) is None


# The window


def pass_time(db: DatabaseService, seconds: float) -> None:
    """As if everything that was used had been used that much earlier."""
    run(db, "UPDATE model_call_slots SET used_at = used_at - make_interval(secs => :by)", by=seconds)


def test_a_call_too_many_waits_for_the_first_one_to_be_a_minute_ago(db_service: DatabaseService) -> None:
    service = calls(db_service, 3)
    assert [service.reserve_call() for _ in range(3)] == [0.0, 0.0, 0.0]
    assert 60 < service.reserve_call() <= REST
    pass_time(db_service, 40)
    assert 20 < service.reserve_call() <= 21
    pass_time(db_service, 20.5)
    assert 0 < service.reserve_call() <= 0.5
    pass_time(db_service, 0.5)
    assert [service.reserve_call() for _ in range(3)] == [0.0, 0.0, 0.0]
    assert service.reserve_call() > 60


def test_no_window_wherever_it_begins_holds_more_than_the_cap(db_service: DatabaseService) -> None:
    most, rest = 5, 0.4
    service = calls(db_service, most, rest=rest)

    def ask() -> list[tuple[float, float]]:
        spans, end = [], time.monotonic() + 2.5
        while (before := time.monotonic()) < end:
            if service.reserve_call() == 0.0:
                spans.append((before, time.monotonic()))
            time.sleep(random.uniform(0, 0.01))
        return spans

    with ThreadPoolExecutor(4) as pool:
        spans = [span for future in [pool.submit(ask) for _ in range(4)] for span in future.result()]
    # Each grant lies in its span: the n-th one not before the n-th beginning, nor after the n-th end.
    begins, ends = sorted(begin for begin, _ in spans), sorted(end for _, end in spans)
    assert all(late - early >= rest for early, late in zip(begins, ends[most:], strict=False))
    assert len(spans) >= 5 * most  # it was used up again and again


def test_two_limits_in_one_fleet_grant_no_more_than_the_larger_one(db_service: DatabaseService) -> None:
    few, many = calls(db_service, 2), calls(db_service, 5)
    assert sum(service.reserve_call() == 0.0 for service in [few, many] * 10) == 5
    assert many.state().calls_last_minute == 5


def test_a_limit_that_is_raised_or_lowered_holds_at_once(db_service: DatabaseService) -> None:
    assert calls(db_service, 1).reserve_call() == 0.0
    assert sum(calls(db_service, 3).reserve_call() == 0.0 for _ in range(9)) == 2
    assert calls(db_service, 1).reserve_call() > 60
    pass_time(db_service, REST)
    assert sum(calls(db_service, 1).reserve_call() == 0.0 for _ in range(9)) == 1


def test_slots_that_somebody_deleted_are_made_again(db_service: DatabaseService) -> None:
    service = calls(db_service, 2)
    assert service.reserve_call() == 0.0
    run(db_service, "DELETE FROM model_call_slots")
    assert sum(service.reserve_call() == 0.0 for _ in range(9)) == 2


def test_a_clock_that_was_put_back_does_not_stop_calls_for_longer_than_a_minute(
    db_service: DatabaseService,
) -> None:
    service = calls(db_service, 1)
    assert service.reserve_call() == 0.0
    pass_time(db_service, -30)
    assert service.reserve_call() == REST
    pass_time(db_service, -3600)
    assert service.reserve_call() == 0.0


def test_without_a_limit_the_database_is_not_asked() -> None:
    nowhere = DatabaseService("postgresql://nobody@127.0.0.1:9/none", pool_size=1)
    assert calls(nowhere, None).reserve_call() == 0.0
    with pytest.raises(DatabaseUnavailable):
        calls(nowhere, 5).reserve_call()
    with pytest.raises(DatabaseUnavailable):
        money(nowhere, 5).reserve(1)
    nowhere.close()


# Money


def sums(db: DatabaseService) -> tuple[float, float]:
    state = money(db, None).state()
    return state.reserved_usd, state.spent_usd


def test_what_is_not_spent_comes_back_and_what_is_not_known_stays_spent(db_service: DatabaseService) -> None:
    service = money(db_service, 2.0)
    first, second = service.reserve(1.0), service.reserve(1.0)
    assert first
    assert second
    assert service.reserve(0.01) is None
    assert service.settle(first, 0.25)
    assert sums(db_service) == (1.0, 0.25)
    assert service.settle(second, None)
    assert sums(db_service) == (0.0, 1.25)
    assert service.reserve(0.76) is None
    assert service.reserve(0.75)


def test_only_the_first_settlement_counts(db_service: DatabaseService) -> None:
    service = money(db_service, 2.0)
    granted = service.reserve(1.0)
    assert granted
    with ThreadPoolExecutor(THREADS) as pool:
        first = list(pool.map(lambda usd: service.settle(granted, usd / 100), range(THREADS * 4)))
    assert first.count(True) == 1
    assert not service.settle(granted, None)
    reserved, spent = sums(db_service)
    assert (reserved, spent < 1.0) == (0.0, True)


def test_who_dies_before_settling_leaves_it_reserved_until_the_day_ends(db_service: DatabaseService) -> None:
    service = money(db_service, 1.0)
    granted = service.reserve(1.0)
    assert granted
    assert service.reserve(0.5) is None
    begins_anew = service.state().begins_anew
    assert (begins_anew.hour, begins_anew.minute, begins_anew.utcoffset()) == (0, 0, timedelta(0))
    run(db_service, "UPDATE judge_days SET day = day - 1")
    run(db_service, "UPDATE judge_reservations SET day = day - 1")
    assert service.state().left_usd == 1.0
    today = service.reserve(0.75)
    assert today
    assert service.settle(granted, 0.5)  # it was alive after all: its own day pays
    assert sums(db_service) == (0.75, 0.0)


def test_a_conversation_that_cost_more_is_told_as_it_was_and_nothing_more_is_granted(
    db_service: DatabaseService,
) -> None:
    service = money(db_service, 1.0)
    granted = service.reserve(1.0)
    assert granted
    assert service.settle(granted, 1.5)
    assert sums(db_service) == (0.0, 1.5)
    assert service.state().left_usd == 0.0
    assert service.reserve(0.0) is None


@pytest.mark.parametrize("usd", [-0.01, math.nan, math.inf, -math.inf, 1e300, 1_000_001.0])
def test_what_is_no_amount_is_refused(db_service: DatabaseService, usd: float) -> None:
    service = money(db_service, 10.0)
    with pytest.raises(InvalidInput):
        service.reserve(usd)
    granted = service.reserve(1.0)
    assert granted
    with pytest.raises(InvalidInput):
        service.settle(granted, usd)
    assert sums(db_service) == (1.0, 0.0)


def test_more_than_the_whole_budget_is_never_granted(db_service: DatabaseService) -> None:
    assert money(db_service, 1.0).reserve(1.000001) is None
    assert money(db_service, 0.0).reserve(0.000001) is None
    assert sums(db_service) == (0.0, 0.0)


MICRO = 1_000_000


class MoneyMachine(RuleBasedStateMachine):
    """The service beside a model that counts in millionths."""

    db: DatabaseService

    def __init__(self) -> None:
        super().__init__()
        run(self.db, "DELETE FROM judge_days")
        run(self.db, "DELETE FROM judge_reservations")
        self.cap = 1 * MICRO
        self.open: list[tuple[Reservation, int]] = []
        self.yesterday: list[tuple[Reservation, int]] = []
        self.done: list[Reservation] = []
        self.spent = 0

    @property
    def service(self) -> BudgetService:
        return money(self.db, self.cap / MICRO)

    @property
    def reserved(self) -> int:
        return sum(amount for _, amount in self.open)

    @rule(cap=st.integers(0, 3 * MICRO))
    def set_cap(self, cap: int) -> None:
        self.cap = cap

    @rule(amount=st.integers(0, MICRO) | st.integers(0, 5))
    def reserve(self, amount: int) -> None:
        granted = self.service.reserve(amount / MICRO)
        assert (granted is not None) is (self.reserved + self.spent + amount <= self.cap)
        if granted:
            self.open.append((granted, amount))

    @precondition(lambda self: self.open)
    @rule(place=st.integers(0, 99), share=st.none() | st.integers(0, 150))
    def settle(self, place: int, share: int | None) -> None:
        granted, amount = self.open.pop(place % len(self.open))
        spent = amount if share is None else amount * share // 100
        assert self.service.settle(granted, None if share is None else spent / MICRO)
        self.spent += spent
        self.done.append(granted)

    @precondition(lambda self: self.done)
    @rule(place=st.integers(0, 99))
    def settle_again(self, place: int) -> None:
        assert not self.service.settle(self.done[place % len(self.done)], 0.0)

    @rule()
    def midnight(self) -> None:
        run(self.db, "DELETE FROM judge_days WHERE day < current_date")
        run(self.db, "UPDATE judge_days SET day = day - 1")
        run(self.db, "UPDATE judge_reservations SET day = day - 1")
        self.yesterday, self.open, self.spent = self.open, [], 0

    @precondition(lambda self: self.yesterday)
    @rule(usd=st.floats(0, 1))
    def settle_late(self, usd: float) -> None:
        self.service.settle(self.yesterday.pop()[0], usd)

    @invariant()
    def the_books_agree(self) -> None:
        state = self.service.state()
        assert (round(state.reserved_usd * MICRO), round(state.spent_usd * MICRO)) == (
            self.reserved,
            self.spent,
        )
        assert round((state.left_usd or 0) * MICRO) == max(0, self.cap - self.reserved - self.spent)


def test_no_order_of_reservations_and_settlements_breaks_the_books(db_service: DatabaseService) -> None:
    machine = type("Machine", (MoneyMachine,), {"db": db_service})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
