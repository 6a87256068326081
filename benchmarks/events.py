"""What waking readers costs writers, and how soon a reader has what was written.

Run: `uv run python -m benchmarks.events`. Writers insert one event per transaction into an embedded server
with fsync on; rounds are interleaved, and ratios are medians over rounds.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator

import psycopg

from benchmarks._bench import Row, table
from benchmarks.gate import database
from omoi_os.domain.events import EVERYTHING
from omoi_os.services.database import DatabaseService
from omoi_os.services.events import EventService

ROUNDS = 7
SECONDS = 0.7
CALLERS = (1, 8, 16)
INSERT = """INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
            VALUES (gen_random_uuid()::text, 'bench.told', 'ticket', 't', '{}', clock_timestamp())"""
TRIGGER = "CREATE OR REPLACE TRIGGER wake_readers AFTER INSERT ON events FOR EACH {} EXECUTE FUNCTION {}()"
EVERY_COMMIT = """CREATE OR REPLACE FUNCTION notify_always() RETURNS trigger LANGUAGE plpgsql AS
                  $$ BEGIN PERFORM pg_notify('omoi_events', ''); RETURN NULL; END $$"""
SILENT = "DROP TRIGGER IF EXISTS wake_readers ON events"
WAYS = {
    "no wake-up": (SILENT,),
    "ours": (TRIGGER.format("ROW", "omoi_wake_readers"),),
    "NOTIFY in every transaction": (EVERY_COMMIT, TRIGGER.format("STATEMENT", "notify_always")),
    "NOTIFY after every commit": (SILENT,),
}


def rate(address: str, callers: int, *, notify: bool) -> float:
    """Transactions per second of so many connections."""
    counts, start, end = [0] * callers, threading.Barrier(callers + 1), [float("inf")]

    def write(place: int) -> None:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(INSERT, prepare=True)
            start.wait()
            while time.perf_counter() < end[0]:
                connection.execute(INSERT, prepare=True)
                if notify:
                    connection.execute("NOTIFY omoi_events")
                counts[place] += 1

    threads = [threading.Thread(target=write, args=(place,)) for place in range(callers)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    end[0] = began + SECONDS
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def waking(db: DatabaseService) -> Iterator[Row]:
    """Each way beside none at all, while somebody listens."""
    address = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    stop = threading.Event()
    follower = threading.Thread(target=_follow, args=(db, stop))
    follower.start()
    measured: dict[tuple[str, int], list[float]] = {}
    with db.own_connection() as admin:
        for _ in range(ROUNDS):
            for way, statements in WAYS.items():
                for statement in statements:
                    admin.execute(statement)
                for callers in CALLERS:
                    done = rate(address, callers, notify=way.endswith("commit"))
                    measured.setdefault((way, callers), []).append(done)
        admin.execute(TRIGGER.format("ROW", "omoi_wake_readers"))
    stop.set()
    follower.join()
    for callers in CALLERS:
        none = measured["no wake-up", callers]
        for way in list(WAYS)[1:]:
            ours = measured[way, callers]
            ratio = statistics.median(one / other for one, other in zip(ours, none, strict=True))
            note = f"{statistics.median(ours):,.0f}/s, none {statistics.median(none):,.0f}/s"
            target = 0.8 if way == "ours" else None
            yield Row(f"{way}, writers: {callers}: of the rate without", ratio, target, "higher", note)


def _follow(db: DatabaseService, stop: threading.Event) -> None:
    record = EventService(db)
    for _ in record.follow(record.end(), EVERYTHING, stop):
        pass


def latency(db: DatabaseService) -> Iterator[Row]:
    """From the commit to the reader, one event at a time."""
    record, stop, arrived = EventService(db), threading.Event(), threading.Semaphore(0)

    def follow() -> None:
        for _ in record.follow(record.end(), EVERYTHING, stop):
            arrived.release()

    thread = threading.Thread(target=follow)
    thread.start()
    time.sleep(1.5)
    took = []
    for _ in range(60):
        time.sleep(0.06)
        with db.single_statements() as connection:
            connection.execute(INSERT)
        began = time.perf_counter()
        arrived.acquire(timeout=5)
        took.append((time.perf_counter() - began) * 1e3)
    stop.set()
    thread.join()
    took.sort()
    yield Row("from commit to reader, ms: median", took[30], 50, note=f"95 %: {took[57]:.0f} ms")


def reading(db: DatabaseService) -> Iterator[Row]:
    """A page from the end of a long record, and one of a ticket in it."""
    with db.own_connection() as admin:
        admin.execute(SILENT)
        admin.execute(
            "INSERT INTO events (id, event_type, entity_type, entity_id, created_at)"
            " SELECT gen_random_uuid()::text, 'bench.told', 'ticket', (n % 10000)::text, now()"
            " FROM generate_series(1, 1000000) AS n"
        )
        admin.execute("VACUUM ANALYZE events")
    record = EventService(db)
    last = record.newest(limit=100).events[0].position
    began = time.perf_counter()
    for _ in range(100):
        record.page(last)
    yield Row("100 events after a place among a million, ms", (time.perf_counter() - began) * 10, 10)


def main() -> None:
    with database() as db:
        table([*waking(db), *latency(db), *reading(db)], "events")


if __name__ == "__main__":
    main()
