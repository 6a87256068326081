"""Reviews by `omoi worker` processes beside a workflow of the engine that does nothing, in the same run.

Run: `uv run python -m benchmarks.reviews [rounds]`. One embedded server with fsync on holds three databases:
one for reviews, one for the engine's empty workflow, and one for reviews beside 100,000 that are finished.
All have workers of their own, with the settings that an operator finds; they are frozen while a batch is
asked for, so that the clock starts when all of it is due. No model is asked.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks._bench import Row, table
from benchmarks.queue import databases
from omoi_os.bootstrap import Services, services_on
from omoi_os.domain.phases import Phase
from omoi_os.services.database import DatabaseService
from omoi_os.services.engine import Job
from omoi_os.services.review_requests import Asked
from omoi_os.settings import Settings
from omoi_os.worker.client import EngineClient

WORKERS = (1, 2, 4)
BATCH = 160
ROUNDS = 5
SAMPLES = 15
FINISHED = 100_000
IDLE = 10.0

WORKER = "from omoi_os.cli import main; main()"
EMPTY = """
import sys, threading
from dbos import DBOS
from omoi_os.services.database import DatabaseService
from omoi_os.worker import engine

@DBOS.workflow(name="nothing")
async def nothing(id_: str) -> str:
    return id_

engine.launch(DatabaseService(sys.argv[1]), engine.executor_name(), engine.Load())
print("takes nothing", file=sys.stderr, flush=True)
threading.Event().wait()
"""

TICKETS = """
INSERT INTO tickets (id, title, phase_id, status, priority, created_at, updated_at)
SELECT gen_random_uuid()::text, 'bench', 'PHASE_REQUIREMENTS', 'pending', 'MEDIUM', now(), now()
FROM generate_series(1, %(count)s) RETURNING id
"""
WORK = """
INSERT INTO tasks (id, ticket_id, phase_id, task_type, priority, status, result, created_at, completed_at)
SELECT gen_random_uuid()::text, id, 'PHASE_REQUIREMENTS', 'work', 'MEDIUM', 'completed', %(result)s::jsonb,
       clock_timestamp(), clock_timestamp() FROM unnest(%(tickets)s::text[]) AS id
"""
FINISHED_REVIEWS = """
INSERT INTO phase_gate_results (id, ticket_id, phase_id, gate_status, validation_result, validated_at,
    validated_by, blocking_reasons, requested_at, cause, carry_on, followed_at, workflow_id, run)
SELECT n || ':old', id, 'PHASE_REQUIREMENTS', 'passed', '{"findings": []}', now(), 'omoi', '{}', now(),
       'request', true, now(), n || ':old:0', 1
FROM unnest(%(tickets)s::text[]) WITH ORDINALITY AS t (id, n)
"""
FINISHED_WORKFLOWS = """
INSERT INTO dbos.workflow_status (workflow_uuid, status, name, queue_name, executor_id, application_version,
    application_name, created_at, updated_at, priority)
SELECT n || ':old:0', 'SUCCESS', 'review', 'reviews', 'gone', '1', 'omoi', 0, 0, 3
FROM generate_series(1, %(count)s) AS n
"""
DOCUMENT = (
    "# Scope\n\n"
    + "One link per account, which expires. " * 20
    + "\n\n# Acceptance criteria\n\n- It works.\n"
)
RESULT = {"artifacts": [{"type": "requirements_document", "content": {"content": DOCUMENT}}]}


@dataclass(frozen=True, slots=True)
class Place:
    """A database with its workers, and a way to give them work."""

    address: str
    services: Services
    workers: Sequence[subprocess.Popen[bytes]]

    def signal(self, number: signal.Signals) -> None:
        for worker in self.workers:
            os.kill(worker.pid, number)


@contextmanager
def place(address: str, workers: int, *, empty: bool = False) -> Iterator[Place]:
    """So many workers on a database, ready."""
    with tempfile.TemporaryDirectory(prefix="omoi-bench-") as folder:
        environment = {**os.environ, "OMOI_DATABASE_URL": address, "OMOI_HOME": folder}
        command = ["-c", EMPTY, address] if empty else ["-c", WORKER, "worker"]
        db = DatabaseService(address, pool_size=4)
        client = EngineClient(db)
        client.prepare()
        started = [
            subprocess.Popen([sys.executable, *command], env=environment, cwd=folder, stderr=subprocess.PIPE)
            for _ in range(workers)
        ]
        try:
            for process in started:
                assert process.stderr is not None
                while b"takes" not in process.stderr.readline():
                    assert process.poll() is None, "a worker ended"
            yield Place(address, services_on(db, Settings(home=Path(folder)), lambda _: client), started)
        finally:
            for process in started:
                process.kill()
                process.wait()
                assert process.stderr is not None
                process.stderr.close()
            client.close()
            db.close()


def new_tickets(address: str, count: int) -> list[str]:
    """Tickets whose requirements are written and not reviewed."""
    with psycopg.connect(address) as connection:
        tickets = [row[0] for row in connection.execute(TICKETS, {"count": count}).fetchall()]
        connection.execute(WORK, {"tickets": tickets, "result": psycopg.types.json.Jsonb(RESULT)})
    return tickets


def reviews(where: Place) -> float:
    """Seconds until a batch of reviews is decided, and each ticket has moved on."""
    tickets = new_tickets(where.address, BATCH)

    def ask() -> None:
        for ticket in tickets:
            where.services.requests.request(ticket, Phase.REQUIREMENTS, Asked("bench", carry_on=True))

    left = "SELECT count(*) FROM tickets WHERE id = ANY (%(ids)s) AND phase_id = 'PHASE_REQUIREMENTS'"
    return _seconds(where, ask, left, tickets)


def nothing(where: Place) -> float:
    """Seconds until as many empty workflows are done."""
    ids = [f"{time.monotonic_ns()}:{number}" for number in range(BATCH)]

    def ask() -> None:
        for id_ in ids:
            with where.services.db.get_session() as session:
                where.services.requests.engine.enqueue(session, Job("nothing", "reviews", id_, (id_,)))

    left = """SELECT %(count)s - count(*) FROM dbos.workflow_status
              WHERE workflow_uuid = ANY (%(ids)s) AND status = 'SUCCESS'"""
    return _seconds(where, ask, left, ids)


def _seconds(where: Place, ask: Callable[[], None], left: str, ids: Sequence[str]) -> float:
    where.signal(signal.SIGSTOP)
    ask()
    values: Mapping[str, object] = {"ids": list(ids), "count": len(ids)}
    with psycopg.connect(where.address, autocommit=True) as connection:
        began = time.perf_counter()
        where.signal(signal.SIGCONT)
        while connection.execute(left, values).fetchone() != (0,):
            assert time.perf_counter() < began + 300, "the batch is not done"
            time.sleep(0.02)
        return time.perf_counter() - began


def throughput(ours: str, engines: str, rounds: int) -> Iterator[Row]:
    """Reviews a second for each number of workers, beside empty workflows."""
    for count in WORKERS:
        with place(ours, count) as reviewing, place(engines, count, empty=True) as idle:
            times = _interleaved({"ours": lambda: reviews(reviewing), "empty": lambda: nothing(idle)}, rounds)
        ratio = statistics.median(e / o for e, o in zip(times["empty"], times["ours"], strict=True))
        ours_, empty = (BATCH / statistics.median(times[name]) for name in ("ours", "empty"))
        note = f"{ours_:.1f}/s, empty {empty:.1f}/s"
        yield Row(f"workers: {count}: rate of an empty workflow", ratio, None, "higher", note)


def flatness(ours: str, full: str, rounds: int) -> Iterator[Row]:
    """What a review costs where many are finished."""
    with place(ours, 1) as reviewing, place(full, 1) as beside:
        seed(full)
        times = _interleaved({"empty": lambda: reviews(reviewing), "full": lambda: reviews(beside)}, rounds)
    ratio = statistics.median(f / e for f, e in zip(times["full"], times["empty"], strict=True))
    many, none = (statistics.median(times[name]) / BATCH * 1e3 for name in ("full", "empty"))
    note = f"{many:.1f} ms, {none:.1f} ms at 0"
    yield Row(f"{FINISHED:,} finished reviews: cost / cost at 0", ratio, 1.25, "lower", note)


def seed(address: str) -> None:
    """Many finished reviews, and the engine's record of them."""
    with psycopg.connect(address) as connection:
        tickets = [row[0] for row in connection.execute(TICKETS, {"count": FINISHED}).fetchall()]
        connection.execute(FINISHED_REVIEWS, {"tickets": tickets})
        connection.execute(FINISHED_WORKFLOWS, {"count": FINISHED})
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def quiet(ours: str) -> Iterator[Row]:
    """How soon one review begins, and what a worker costs that has nothing to do."""
    with place(ours, 1) as where, psycopg.connect(ours, autocommit=True) as connection:
        waits = [_latency(where, connection) for _ in range(SAMPLES)]
        time.sleep(2)
        before = _transactions(connection)
        time.sleep(IDLE)
        after = _transactions(connection)
    note = f"longest {max(waits) * 1e3:.0f} ms; the worker looks every {Settings().poll_seconds * 1e3:.0f} ms"
    yield Row("request to start, ms, median", statistics.median(waits) * 1e3, None, "lower", note)
    yield Row("transactions a second of an idle worker", (after - before) / IDLE)


def _latency(where: Place, connection: psycopg.Connection[tuple[object, ...]]) -> float:
    (ticket,) = new_tickets(where.address, 1)
    review = where.services.requests.request(ticket, Phase.REQUIREMENTS, Asked("bench"))
    began = time.perf_counter()
    begun = "SELECT run > 0 FROM phase_gate_results WHERE id = %(id)s"
    while connection.execute(begun, {"id": review.id}).fetchone() != (True,):
        time.sleep(0.005)
    waited = time.perf_counter() - began
    time.sleep(0.3)
    return waited


def _transactions(connection: psycopg.Connection[tuple[object, ...]]) -> int:
    connection.execute("SELECT pg_stat_clear_snapshot()")
    row = connection.execute(
        "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    return int(str(row[0]))


def _interleaved(contenders: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender in each round, forwards and backwards in turn, after one that warms up."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name in contenders if number % 2 == 0 else reversed(list(contenders)):
            seconds = contenders[name]()
            if number:
                times[name].append(seconds)
    return times


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with databases(("reviews", "engine", "full")) as addresses:
        ours, engines, full = addresses["reviews"], addresses["engine"], addresses["full"]
        table(throughput(ours, engines, rounds), "reviews beside the engine's empty workflow")
        table(quiet(ours), "one review, and none")
        table(flatness(ours, full, rounds), "reviews beside many that are finished")


if __name__ == "__main__":
    main()
