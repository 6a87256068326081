"""`validate_gate` beside two bare psycopg round trips that do the same reads and the same insert.

Run: `uv run python -m benchmarks.gate`. Both sides use the same embedded server with fsync on, the same
statements and generic plans; rounds are interleaved, and ratios are medians over rounds.
"""

from __future__ import annotations

import statistics
import subprocess
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

from benchmarks._bench import Row, interleave, table
from omoi_os.domain.policy import built_in_policy
from omoi_os.embedded import EmbeddedPostgres
from omoi_os.evidence.snapshot import Snapshot, take_snapshot, workspace_digest
from omoi_os.models import PhaseGateArtifact, Task, Ticket
from omoi_os.models.phases import Phase
from omoi_os.services.database import DatabaseService
from omoi_os.services.phase_gate import PhaseGateService, ReviewTerms
from omoi_os.services.policies import PolicyService, parse_policy
from omoi_os.store import gates, schema
from tests.evidence_texts import CODE, TESTS, junit, lcov

PHASE = Phase.IMPLEMENTATION
SIZES = (10, 100, 1000)
ROUNDS = 7
SECONDS = 1.0
FORCE = ReviewTerms(force=True)
FILES = 1_000
LINES = 100
POLICY = b"""version: 1
phases:
  implementation:
    required_artifacts: [code_changes, test_coverage, {type: test_results, kind: suite}]
    criteria:
      test_results: {all_passed: true}
"""
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
                ours = lambda ticket=ticket: lambda: service.validate_gate(ticket, PHASE, terms=FORCE)  # noqa: E731
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


def unchanged(db: DatabaseService, rounds: int) -> Iterator[Row]:
    """Validation of what did not change beside measuring it anew: inline, and in a workspace."""
    inline, of_inline = seed(db, 10), PhaseGateService(db)
    seconds = interleave(
        {
            "unchanged": lambda: [of_inline.validate_gate(inline, PHASE) for _ in range(20)],
            "fresh": lambda: [of_inline.validate_gate(inline, PHASE, terms=FORCE) for _ in range(20)],
        },
        rounds,
    )
    note = f"{seconds['fresh'] / 20 * 1e3:.2f} ms / {seconds['unchanged'] / 20 * 1e3:.2f} ms"
    yield Row("inline: fresh / unchanged", seconds["fresh"] / seconds["unchanged"], None, "higher", note)
    with tempfile.TemporaryDirectory(prefix="omoi-bench-") as folder:
        yield from _in_workspace(db, Path(folder).resolve(), rounds)


def _in_workspace(db: DatabaseService, folder: Path, rounds: int) -> Iterator[Row]:
    root, store = folder / "work", folder / "snapshots"
    _make_repository(root)
    ticket = _named_in(db, root)
    service = PhaseGateService(db, policies=PolicyService(parse_policy(POLICY, "bench")), snapshots=store)
    names = ("lcov.info", "junit.xml")
    result = service.validate_gate(ticket, PHASE)
    assert result.gate_status == "passed", result.blocking_reasons

    def snapshot() -> None:
        taken = take_snapshot(root, store / "bench", also=names)
        assert isinstance(taken, Snapshot)
        with taken:
            pass

    took = interleave(
        {
            "unchanged": lambda: service.validate_gate(ticket, PHASE),
            "fresh": lambda: service.validate_gate(ticket, PHASE, terms=FORCE),
            "snapshot": snapshot,
            "digest": lambda: workspace_digest(root, also=names, store=store),
        },
        rounds,
    )
    what = f"git workspace of {FILES:,} files"
    note = f"{took['fresh'] * 1e3:.0f} ms / {took['unchanged'] * 1e3:.1f} ms"
    yield Row(f"{what}: fresh / unchanged", took["fresh"] / took["unchanged"], 10, "higher", note)
    note = f"{took['snapshot'] * 1e3:.0f} ms, with its removal"
    yield Row(
        f"{what}: share of the snapshot in a fresh one", took["snapshot"] / took["fresh"], None, note=note
    )
    note = f"{took['digest'] * 1e3:.1f} ms"
    yield Row(
        f"{what}: share of the digest in an unchanged one", took["digest"] / took["unchanged"], note=note
    )


def _make_repository(root: Path) -> None:
    """A branch that changes one module in ten, and reports on all of them that git ignores."""
    names = [f"package{number % 100}/module_{number}.py" for number in range(FILES)]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("".join(f"value_{line} = {line}\n" for line in range(LINES)))
    (root / ".gitignore").write_text("*.info\n*.xml\n")
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "gc.auto=0")
    for command in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "start")):
        subprocess.run(["git", *identity, *command], cwd=root, check=True)
    subprocess.run(["git", "checkout", "-q", "-b", "work"], cwd=root, check=True)
    for name in names[::10]:
        with (root / name).open("a") as module:
            module.write("more = 1\n")
    (root / "tests").mkdir()
    (root / "tests" / "test_all.py").write_text("def test_all():\n    assert more == 1\n")
    (root / "lcov.info").write_text("".join(lcov(LINES, LINES + 1, name) for name in names))
    (root / "junit.xml").write_text(junit(passed=3 * FILES))


def _named_in(db: DatabaseService, root: Path) -> str:
    """A ticket whose artifacts are the change and the reports in a repository."""
    ticket = Ticket(title="bench workspace", phase_id=PHASE, workspace_path=str(root))
    given = (("code_changes", None), ("test_coverage", "lcov.info"), ("test_results", "junit.xml"))
    with db.get_session() as session:
        session.add(ticket)
        session.flush()
        session.add(Task(ticket_id=ticket.id, phase_id=PHASE, task_type="work", status="completed"))
        for type_, path in given:
            session.add(
                PhaseGateArtifact(
                    ticket_id=ticket.id,
                    phase_id=PHASE,
                    artifact_type=type_,
                    artifact_path=path,
                    artifact_content={"note": "by git"} if path is None else None,
                    collected_by="bench",
                )
            )
    return ticket.id


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
        table(unchanged(db, rounds), "what did not change, and what a snapshot costs")
        table(collection(db, rounds), "collect_artifacts beside writing row by row")


if __name__ == "__main__":
    main()
