"""`claim_next_task` beside a bare `SKIP LOCKED` update in psycopg, as finished tasks pile up.

Run: `uv run python -m benchmarks.queue`. One embedded server with fsync on holds one database per number of
finished tasks; rounds are interleaved, and ratios are medians over rounds. The bare statement writes no
event and no heartbeat, and asks for no dependency, capability or retry time.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import psycopg

from benchmarks._bench import Row, table
from omoi_os.embedded import EmbeddedPostgres
from omoi_os.services.agent_health import AgentHealthService
from omoi_os.services.database import DatabaseService
from omoi_os.services.task_queue import TaskQueueService
from omoi_os.store import schema

SIZES = (0, 10_000, 1_000_000)
PROCESSES = (1, 4)
ROUNDS = 7
BATCH = 400
WAITING = 10_000

BARE = """
UPDATE tasks SET status = 'assigned', assigned_agent_id = %(agent)s, assigned_at = clock_timestamp()
WHERE id = (SELECT id FROM tasks WHERE status = 'pending' ORDER BY priority_rank, created_at, id
            FOR UPDATE SKIP LOCKED LIMIT 1)
RETURNING *
"""
SEED = """
INSERT INTO tasks (id, ticket_id, phase_id, task_type, priority, status, dependencies, result, created_at,
                   started_at, completed_at)
SELECT gen_random_uuid()::text, 'bench', 'PHASE_IMPLEMENTATION', 'work', %(priority)s, %(status)s::text,
       %(dependencies)s::jsonb, NULL, clock_timestamp(), NULL,
       CASE %(status)s::text WHEN 'completed' THEN clock_timestamp() END
FROM generate_series(1, %(count)s)
"""


@contextmanager
def databases(names: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Addresses of databases of these names, with the schema, on one server."""
    with tempfile.TemporaryDirectory(prefix="omoi-bench-") as folder:
        server = EmbeddedPostgres(Path(folder) / "pg")
        admin = DatabaseService(server.ensure(), pool_size=1)
        addresses = {}
        try:
            for name in names:
                with admin.single_statements() as connection:
                    connection.execute(f'CREATE DATABASE "{name}"')
                url = admin.engine.url.set(database=name, drivername="postgresql")
                addresses[name] = url.render_as_string(hide_password=False)
                db = DatabaseService(addresses[name], pool_size=1)
                schema.upgrade(db.engine)
                db.close()
            yield addresses
        finally:
            admin.close()
            server.stop()


def seed(
    address: str, count: int, status: str, *, priority: str = "MEDIUM", waits_for: str | None = None
) -> None:
    """`count` tasks of one ticket; those that are pending may wait for a task."""
    dependencies = None if waits_for is None else f'{{"depends_on": ["{waits_for}"]}}'
    values = {"count": count, "status": status, "priority": priority, "dependencies": dependencies}
    with psycopg.connect(address) as connection:
        connection.execute(
            "INSERT INTO tickets (id, title, phase_id, status, priority, created_at, updated_at) VALUES "
            "('bench', 'bench', 'PHASE_IMPLEMENTATION', 'pending', 'MEDIUM', now(), now()) "
            "ON CONFLICT DO NOTHING"
        )
        connection.execute(SEED, values)


@dataclass(frozen=True, slots=True)
class Order:
    """Claim in `database` until nothing is left, or `most` times."""

    database: str
    how: str
    most: int


def work(addresses: dict[str, str], pipe: Pipe) -> None:
    """A claiming process: obeys orders, answers with how many tasks it took."""
    claims: dict[tuple[str, str], Callable[[], object]] = {}
    for name, address in addresses.items():
        db = DatabaseService(address, pool_size=1)
        agent = AgentHealthService(db).register("worker").id
        queue = TaskQueueService(db)
        bare = psycopg.connect(address, autocommit=True, options="-c plan_cache_mode=force_generic_plan")
        claims[name, "ours"] = lambda queue=queue, agent=agent: queue.claim_next_task(agent)  # type: ignore[misc]
        claims[name, "bare"] = lambda bare=bare, agent=agent: bare.execute(  # type: ignore[misc]
            BARE, {"agent": agent}, prepare=True
        ).fetchone()
    for claim in claims.values():
        claim()
    pipe.send(0)
    while (order := pipe.recv()) is not None:
        claim, taken = claims[order.database, order.how], 0
        while taken < order.most and claim() is not None:
            taken += 1
        pipe.send(taken)


@contextmanager
def workers(addresses: dict[str, str], count: int) -> Iterator[list[Pipe]]:
    """So many processes that claim."""
    context = multiprocessing.get_context("spawn")
    started = []
    for _ in range(count):
        here, there = context.Pipe()
        process = context.Process(target=work, args=(addresses, there), daemon=True)
        process.start()
        started.append((process, here))
    for _, pipe in started:
        pipe.recv()
    yield [pipe for _, pipe in started]
    for process, pipe in started:
        pipe.send(None)
        process.join(10)


def seconds_each(address: str, pipes: list[Pipe], order: Order, batch: int) -> float:
    """Wall seconds per claim while all processes claim `batch` tasks."""
    seed(address, batch, "pending")
    _vacuum(address, "tasks")
    began = time.perf_counter()
    for pipe in pipes:
        pipe.send(order)
    taken: int = sum(pipe.recv() for pipe in pipes)
    seconds = time.perf_counter() - began
    assert taken == min(batch, order.most * len(pipes)), taken
    with psycopg.connect(address) as connection:
        connection.execute(
            "DELETE FROM tasks WHERE status = 'assigned' OR status = 'pending' AND dependencies IS NULL"
        )
    return seconds / taken


def _vacuum(address: str, what: str = "") -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"VACUUM ANALYZE {what}")


def claiming(addresses: dict[str, str], pipes: list[Pipe], rounds: int) -> Iterator[Row]:
    """Ratios for each size and number of processes."""
    measured: dict[tuple[int, int, str], list[float]] = {}
    places = [(size, count, how) for size in SIZES for count in PROCESSES for how in ("bare", "ours")]
    for number in range(rounds + 1):
        for size, count, how in places if number % 2 == 0 else reversed(places):
            order = Order(f"finished_{size}", how, BATCH)
            cost = seconds_each(addresses[order.database], pipes[:count], order, BATCH)
            if number:  # the first round warms up
                measured.setdefault((size, count, how), []).append(cost)
    for count in PROCESSES:
        empty = measured[0, count, "ours"]
        for size in SIZES:
            ours, bare = measured[size, count, "ours"], measured[size, count, "bare"]
            load = f"{size:,} finished tasks, processes: {count}"
            note = f"{1 / statistics.median(ours):,.0f}/s, bare {1 / statistics.median(bare):,.0f}/s"
            yield Row(f"{load}: rate of bare", _ratio(bare, ours), None, "higher", note)
            if size == SIZES[-1]:
                note = f"bare {_ratio(bare, measured[0, count, 'bare']):.2f}"
                yield Row(f"{load}: cost / cost at 0", _ratio(ours, empty), 1.25, "lower", note)


def waiting(address: str, pipes: list[Pipe], rounds: int) -> Iterator[Row]:
    """A claim that passes many more urgent tasks, all of which wait for one that is not done."""
    order = Order("waiting", "ours", 20)
    free = [seconds_each(address, pipes[:1], order, 20) for _ in range(rounds)]
    with psycopg.connect(address) as connection:
        connection.execute(SEED, {"count": 1, "status": "failed", "priority": "LOW", "dependencies": None})
        row = connection.execute("SELECT id FROM tasks WHERE status = 'failed'").fetchone()
    assert row is not None
    seed(address, WAITING, "pending", priority="CRITICAL", waits_for=row[0])
    passing = [seconds_each(address, pipes[:1], order, 20) for _ in range(rounds)]
    note = f"{statistics.median(passing) * 1e3:.2f} ms, {statistics.median(free) * 1e3:.2f} ms without them"
    yield Row(
        f"claim behind {WAITING:,} that wait: cost / cost without", _ratio(passing, free), None, "lower", note
    )


def _ratio(some: list[float], others: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(some, others, strict=True))


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    names = tuple(f"finished_{size}" for size in SIZES)
    with databases((*names, "waiting")) as addresses:
        for size in SIZES:
            seed(addresses[f"finished_{size}"], size, "completed")
        seed(addresses["waiting"], 0, "completed")
        for address in addresses.values():
            _vacuum(address)
        with workers(addresses, max(PROCESSES)) as pipes:
            table(claiming(addresses, pipes, rounds), "claim_next_task beside a bare SKIP LOCKED update")
            table(
                waiting(addresses["waiting"], pipes, rounds),
                "tasks that wait, ahead of the one that is ready",
            )


if __name__ == "__main__":
    main()
