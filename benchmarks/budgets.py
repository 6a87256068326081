"""Reservations per second of calls and of money, from one process and from four.

Run: `uv run python -m benchmarks.budgets`. One embedded server with fsync on; each process uses four threads.
A granted call writes; a refused one only reads, and is what many waiting processes ask for.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from benchmarks._bench import Row, table
from benchmarks.queue import databases
from omoi_os.services.budgets import BudgetLimits, BudgetService
from omoi_os.services.database import DatabaseService

SECONDS: Final = 4.0
THREADS: Final = 4
PROCESSES: Final = (1, 4)


def _granted(db: DatabaseService) -> Callable[[], object]:
    return BudgetService(db, BudgetLimits(calls_per_minute=60), rest=0.0).reserve_call


def _refused(db: DatabaseService) -> Callable[[], object]:
    return BudgetService(db, BudgetLimits(calls_per_minute=60)).reserve_call


def _of_ten_thousand(db: DatabaseService) -> Callable[[], object]:
    return BudgetService(db, BudgetLimits(calls_per_minute=10_000), rest=0.0).reserve_call


def _money(db: DatabaseService) -> Callable[[], object]:
    service = BudgetService(db, BudgetLimits(usd_per_day=1_000_000.0))

    def both() -> None:
        granted = service.reserve(1.0)
        assert granted
        service.settle(granted, 0.000001)

    return both


CASES: Final = {
    "calls granted, 60 slots": _granted,
    "calls granted, 10,000 slots": _of_ten_thousand,
    "calls refused": _refused,
    "money reserved and settled": _money,
}


def _ask(case: str, address: str) -> int:
    db = DatabaseService(address, pool_size=THREADS)
    work = CASES[case](db)
    work()
    end = time.monotonic() + SECONDS

    def one(_: int) -> int:
        count = 0
        while time.monotonic() < end:
            work()
            count += 1
        return count

    with ThreadPoolExecutor(THREADS) as pool:
        total = sum(pool.map(one, range(THREADS)))
    db.close()
    return total


def main() -> None:
    rows = []
    context = multiprocessing.get_context("spawn")
    with databases(("budgets",)) as addresses, context.Pool(max(PROCESSES)) as pool:
        for case in CASES:
            for count in PROCESSES:
                done = sum(pool.starmap(_ask, [(case, addresses["budgets"])] * count, 1))
                rows.append(Row(f"{case}, {count} processes, per second", done / SECONDS))
    table(rows, "Budgets")


if __name__ == "__main__":
    main()
