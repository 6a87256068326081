"""`validate_gate` beside two bare psycopg round trips that do the same reads and the same insert.

Run: `uv run python -m benchmarks.gate`. Both sides use the same embedded server with fsync on, the same
statements and generic plans; rounds are interleaved, and ratios are medians over rounds.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import msgspec
import psycopg

from benchmarks._bench import Row, table
from omoi_os.domain.policy import built_in_policy
from omoi_os.embedded import EmbeddedPostgres
from omoi_os.models import PhaseGateArtifact, Task, Ticket
from omoi_os.models.phases import Phase
from omoi_os.services.database import DatabaseService
from omoi_os.services.phase_gate import PhaseGateService
from omoi_os.store import gates, schema
from tests.evidence_texts import CODE, TESTS, lcov

PHASE = Phase.IMPLEMENTATION
SIZES = (10, 100, 1000)
ROUNDS = 7
SECONDS = 1.0
CONTENT = {"code_changes": {"diff": CODE + TESTS}, "test_coverage": {"report": lcov(90, 100)}}


@contextmanager
def database() -> Iterator[DatabaseService]:
    """An empty embedded server with fsync on."""
    with tempfile.TemporaryDirectory(prefix="omoi-bench-") as folder:
        server = EmbeddedPostgres(Path(folder) / "pg")
        db = DatabaseService(server.ensure(), pool_size=10)
        try:
            schema.upgrade(db.engine)
            yield db
        finally:
            db.close()
            server.stop()


def vacuum(db: DatabaseService) -> None:
    with db.single_statements() as connection:
        connection.execute("vacuum analyze")


def seed(db: DatabaseService, count: int) -> str:
    """A ticket with `count` artifacts and `count` completed tasks, all collected."""
    ticket = Ticket(title=f"bench {count}", phase_id=PHASE)
    types = list(CONTENT)
    with db.get_session() as session:
        session.add(ticket)
        session.flush()
        for number in range(count):
            type_ = types[number % len(types)]
            session.add(Task(ticket_id=ticket.id, phase_id=PHASE, task_type="work", status="completed"))
            session.add(
                PhaseGateArtifact(
                    ticket_id=ticket.id,
                    phase_id=PHASE,
                    artifact_type=type_,
                    artifact_content=CONTENT[type_],
                    collected_by="bench",
                )
            )
    return ticket.id


def bare(db: DatabaseService, ticket: str, service: PhaseGateService) -> Callable[[], Callable[[], object]]:
    """Two round trips on a connection of one's own: what cannot be saved."""
    result = service.validate_gate(ticket, PHASE)
    assert result.gate_status == "passed", result.blocking_reasons
    question = gates.GateQuestion(ticket, PHASE, built_in_policy(PHASE).artifact_types)
    asked = question.parameters()
    reviewed = (result.validation_result or {})["reviewed"]
    fixed = asked | {
        "status": result.gate_status,
        "result": msgspec.json.encode(result.validation_result).decode(),
        "by": "bench",
        "reasons": [],
        "seen": sorted(item["id"] for item in reviewed),
        "open": 0,
    }
    address = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)

    def caller() -> Callable[[], object]:
        connection = psycopg.connect(
            address, autocommit=True, options="-c plan_cache_mode=force_generic_plan"
        )

        def once() -> object:
            connection.execute(gates.READ_GATE, asked, prepare=True).fetchall()
            ids = {"id": str(uuid4()), "event": str(uuid4())}
            recorded = connection.execute(gates.RECORD_RESULT, fixed | ids, prepare=True).fetchone()
            assert recorded is not None
            return recorded

        return once

    return caller


def rate(caller: Callable[[], Callable[[], object]], callers: int) -> float:
    """Calls per second of so many threads of one process."""
    counts = [0] * callers
    start = threading.Barrier(callers + 1, timeout=30)
    end = [0.0]

    def run(place: int) -> None:
        once = caller()
        once()
        start.wait()
        while time.perf_counter() < end[0]:
            once()
            counts[place] += 1

    threads = [threading.Thread(target=run, args=(place,)) for place in range(callers)]
    for thread in threads:
        thread.start()
    end[0] = time.perf_counter() + SECONDS + 3600
    start.wait()
    began = time.perf_counter()
    end[0] = began + SECONDS
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def validation(db: DatabaseService, rounds: int) -> Iterator[Row]:
    """Ratios for each size and number of callers."""
    service = PhaseGateService(db)
    tickets = {size: seed(db, size) for size in SIZES}
    callers_of = {size: bare(db, ticket, service) for size, ticket in tickets.items()}
    vacuum(db)
    measured: dict[tuple[int, int, str], list[float]] = {}
    for _ in range(rounds):
        for size, ticket in tickets.items():
            for callers in (1, 8):
                ours = lambda ticket=ticket: lambda: service.validate_gate(ticket, PHASE)  # noqa: E731
                measured.setdefault((size, callers, "bare"), []).append(rate(callers_of[size], callers))
                measured.setdefault((size, callers, "ours"), []).append(rate(ours, callers))
    for callers in (1, 8):
        at_ten = statistics.median(measured[10, callers, "ours"])
        for size in SIZES:
            pairs = zip(measured[size, callers, "ours"], measured[size, callers, "bare"], strict=True)
            bare_rate = statistics.median(measured[size, callers, "bare"])
            our_rate = statistics.median(measured[size, callers, "ours"])
            load = f"{size:,} artifacts and tasks, callers: {callers}"
            note = f"{our_rate:,.0f}/s, bare {bare_rate:,.0f}/s"
            yield Row(f"{load}: of bare", statistics.median(o / t for o, t in pairs), 0.6, "higher", note)
            if size == SIZES[-1]:
                yield Row(f"{load}: of the rate at 10", our_rate / at_ten, 0.8, "higher")


def collection(db: DatabaseService, rounds: int) -> Iterator[Row]:
    """First collection of N artifacts beside writing the same rows one by one."""
    service = PhaseGateService(db)
    for size in SIZES:
        ours, one_by_one = [], []
        for _ in range(rounds):
            ticket = _with_results(db, size)
            began = time.perf_counter()
            collected = service.collect_artifacts(ticket, PHASE)
            ours.append(time.perf_counter() - began)
            assert len(collected) == size
            one_by_one.append(_insert_each(db, ticket, size))
        first, second = statistics.median(ours), statistics.median(one_by_one)
        note = f"{first * 1e3:.1f} ms, row by row {second * 1e3:.1f} ms"
        yield Row(f"first collection of {size:,}: row by row / ours", second / first, None, "higher", note)


def _with_results(db: DatabaseService, size: int) -> str:
    ticket = Ticket(title="collect", phase_id=PHASE)
    with db.get_session() as session:
        session.add(ticket)
        session.flush()
        for number in range(size):
            entry = {"type": f"report_{number % 20}", "content": {"report": f"text {number}"}}
            session.add(
                Task(
                    ticket_id=ticket.id,
                    phase_id=PHASE,
                    task_type="work",
                    status="completed",
                    result={"artifacts": [entry]},
                )
            )
    return ticket.id


def _insert_each(db: DatabaseService, ticket: str, size: int) -> float:
    began = time.perf_counter()
    with db.get_session() as session:
        for number in range(size):
            session.add(
                PhaseGateArtifact(
                    ticket_id=ticket,
                    phase_id=PHASE,
                    artifact_type=f"report_{number % 20}",
                    artifact_content={"report": f"text {number}"},
                    collected_by="bench",
                )
            )
            session.flush()
    return time.perf_counter() - began


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with database() as db:
        table(validation(db, rounds), "validate_gate beside the same two statements in bare psycopg")
        table(collection(db, rounds), "collect_artifacts beside writing row by row")


if __name__ == "__main__":
    main()
