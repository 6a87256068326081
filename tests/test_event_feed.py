"""The record can be followed: nothing is missed and nothing comes twice, however transactions commit."""

from __future__ import annotations

import os
import random
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import omoi_os
from omoi_os.domain.events import (
    BEGINNING,
    EVERYTHING,
    MOST_TYPES,
    TYPES,
    EventFilter,
    Position,
    StoredEvent,
    event_filter,
    read_position,
)
from omoi_os.embedded import EmbeddedPostgres
from omoi_os.errors import InvalidInput
from omoi_os.models.event import Event
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.event_feed import OUTAGES
from omoi_os.services.event_tail import EventTail
from omoi_os.services.events import EventService
from omoi_os.services.tickets import NewTicket, TicketService
from omoi_os.store import events as store
from omoi_os.store import schema
from tests.event_readers import cut_all, tell, until
from tests.test_embedded import postmaster


@pytest.fixture
def record(db_service: DatabaseService) -> EventService:
    return EventService(db_service)


@pytest.fixture
def follow(record: EventService) -> Iterator[Callable[[], Reader]]:
    """Makes readers, and ends them."""
    made: list[Reader] = []

    def make() -> Reader:
        made.append(Reader(record))
        return made[-1]

    yield make
    for reader in made:
        reader.end()


def names(found: list[StoredEvent]) -> list[str]:
    return [str((event.payload or {})["name"]) for event in found]


class Reader:
    """Follows the record in a thread of its own."""

    def __init__(self, record: EventService, after: Position = BEGINNING) -> None:
        self.found: list[StoredEvent] = []
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(record, after), daemon=True)
        self._thread.start()

    def _run(self, record: EventService, after: Position) -> None:
        for event in record.follow(after, EVERYTHING, self.stop):
            self.found.append(event)

    def end(self) -> None:
        self.stop.set()
        self._thread.join()


# What is shown, and when


def test_an_event_waits_for_older_transactions_and_then_none_is_missed(
    db_service: DatabaseService, record: EventService
) -> None:
    with db_service.get_session() as slow:
        store.tell(driver_connection(slow), "test.told", "ticket", "t", {"name": "first"})
        tell(db_service, "second")
        page = record.page(BEGINNING)
        assert (page.events, page.reached) == ([], BEGINNING)
    assert names(record.page(page.reached).events) == ["first", "second"]


def test_a_transaction_that_rolls_back_holds_nothing_up(
    db_service: DatabaseService, record: EventService
) -> None:
    with db_service.get_session() as session:
        store.tell(driver_connection(session), "test.told", "ticket", "t", {"name": "never"})
        tell(db_service, "kept")
        session.rollback()
    assert names(record.page(BEGINNING).events) == ["kept"]


def test_pages_cut_through_one_transaction_lose_nothing(
    db_service: DatabaseService, record: EventService
) -> None:
    tell(db_service, *map(str, range(7)))
    tell(db_service, "7", "8")
    place, found = BEGINNING, list[str]()
    for _ in range(5):
        page = record.page(place, limit=2)
        place, found = page.reached, found + names(page.events)
    assert found == [str(number) for number in range(9)]
    assert not page.more


def test_writers_that_commit_out_of_order_are_read_exactly_once(
    db_service: DatabaseService, follow: Callable[[], Reader]
) -> None:
    each, writers = 60, 8
    readers, committed = [follow() for _ in range(2)], list[str]()

    def write(writer: int) -> None:
        dice = random.Random(writer)
        for number in range(each):
            with db_service.get_session() as session:
                name = {"name": f"{writer}/{number}"}
                store.tell(driver_connection(session), "test.told", "ticket", "t", name)
                time.sleep(dice.random() * 0.01)
                if dice.random() < 0.1:
                    session.rollback()
                    store.tell(driver_connection(session), "test.told", "ticket", "t", name)
            committed.append(name["name"])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: all(len(reader.found) >= each * writers for reader in readers))
    time.sleep(0.1)
    for reader in readers:
        found = names(reader.found)
        assert len(found) == len(set(found)) == each * writers
        positions = [event.position for event in reader.found]
        assert positions == sorted(positions)
    assert names(readers[0].found) != committed


def test_a_reader_survives_the_end_of_its_connection(
    db_service: DatabaseService, follow: Callable[[], Reader]
) -> None:
    reader = follow()
    for number in range(5):
        tell(db_service, str(number))
        until(lambda: len(reader.found) == number + 1)  # noqa: B023 - called at once
        cut_all(db_service)
    tell(db_service, "last")
    until(lambda: len(reader.found) == 6)
    assert names(reader.found) == [*map(str, range(5)), "last"]


def test_a_reader_survives_a_killed_server(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg")
    db = DatabaseService(server.ensure(), before_connect=server.ensure)
    schema.upgrade(db.engine)
    reader = Reader(EventService(db))
    try:
        tell(db, "0")
        until(lambda: len(reader.found) == 1)
        os.kill(postmaster(server.data_dir), signal.SIGKILL)
        until(lambda: _told(db, "1"))
        until(lambda: len(reader.found) == 2)
    finally:
        reader.end()
        db.close()
        server.stop()
    assert names(reader.found) == ["0", "1"]


def _told(db: DatabaseService, name: str) -> bool:
    try:
        tell(db, name)
    except OUTAGES:
        return False
    return True


def test_a_writer_wakes_readers_long_before_they_would_look(
    db_service: DatabaseService, follow: Callable[[], Reader]
) -> None:
    reader = follow()
    took = []
    for number in range(10):
        time.sleep(0.1)
        began = time.monotonic()
        tell(db_service, str(number))
        until(lambda: len(reader.found) == number + 1)  # noqa: B023 - called at once
        took.append(time.monotonic() - began)
    assert sorted(took)[5] < 0.3


def test_a_statement_that_tells_nothing_wakes_nobody(db_service: DatabaseService) -> None:
    with db_service.own_connection() as listening, db_service.single_statements() as writing:
        store.listen(listening)
        writing.execute(
            "INSERT INTO events (id, event_type, entity_type, entity_id, created_at)"
            " SELECT id, event_type, entity_type, entity_id, created_at FROM events WHERE false"
        )
        assert not store.wait(listening, 0.2)
        store.tell(writing, "test.told", "ticket", "t", {})
        assert store.wait(listening, 5)


def test_writers_at_the_same_moment_do_not_wait_for_each_other_to_notify(db_service: DatabaseService) -> None:
    with db_service.get_session() as slow:
        store.tell(driver_connection(slow), "test.told", "ticket", "t", {})
        began = time.monotonic()
        tell(db_service, "quick")
        assert time.monotonic() - began < 1


# Filters


def test_events_are_found_by_their_ticket_whatever_they_are_about(
    db_service: DatabaseService, record: EventService
) -> None:
    ticket = TicketService(db_service).create(NewTicket("x")).id
    with db_service.get_session() as session:
        connection = driver_connection(session)
        store.tell(connection, "task.progress", "task", "a", {"ticket_id": ticket})
        store.tell(connection, "task.progress", "task", "b", {"ticket_id": "another"})
        store.tell(connection, "agent.silent", "agent", ticket, {})
        session.add(Event(event_type="x.y", entity_type="ticket", entity_id=ticket, payload=None))
    found = record.page(BEGINNING, EventFilter(ticket)).events
    assert [event.event_type for event in found] == ["ticket.created", "task.progress", "x.y"]
    assert {event.ticket_id for event in found} == {ticket}


def test_a_rare_type_is_found_behind_many_others(db_service: DatabaseService, record: EventService) -> None:
    with db_service.single_statements() as connection:
        connection.execute(
            "INSERT INTO events (id, event_type, entity_type, entity_id, created_at) SELECT"
            " n::text, CASE WHEN n % 11000 = 0 THEN 'rare.one' ELSE 'common' END, 'x', 'x', now()"
            " FROM generate_series(1, 23000) AS n"
        )
    asked, place, found = EventFilter(types=("rare.",)), BEGINNING, list[str]()
    for _ in range(4):
        page = record.page(place, asked)
        place, found = page.reached, [*found, *(event.id for event in page.events)]
    assert (found, page.more) == (["11000", "22000"], False)
    assert [event.id for event in record.newest(asked, 1).events] == ["22000"]


@pytest.mark.parametrize(
    ("types", "matching"),
    [
        ((), ["gate.decided", "gate.waived", "task.moved"]),
        (("gate.waived",), ["gate.waived"]),
        (("gate.",), ["gate.decided", "gate.waived"]),
        (("gate.decided", "task."), ["gate.decided", "task.moved"]),
        (("ticket.moved",), []),
    ],
)
def test_types_are_named_whole_or_by_their_beginning(
    db_service: DatabaseService, record: EventService, types: tuple[str, ...], matching: list[str]
) -> None:
    for kind in ("gate.decided", "gate.waived", "task.moved"):
        tell(db_service, kind, event_type=kind)
    assert names(record.page(BEGINNING, event_filter(None, types)).events) == matching


@pytest.mark.parametrize("ticket", ["", "a\x00b", "x" * 201, "\ud800"])
def test_what_no_ticket_can_be_called_is_refused(ticket: str) -> None:
    with pytest.raises(InvalidInput):
        event_filter(ticket)


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("gate.decidd", "gate.decided"),
        ("gate.passed", "gate.waived"),
        ("gate", "gate."),
        ("gates.", "gate."),
        ("gate.de", "gate."),
        ("GATE.DECIDED", "gate.decided"),
        ("ticket.", None),
        ("", ""),
        (".", ""),
        ("gate..", "gate."),
        ("gate.decided.", "gate.decided"),
        ("%", ""),
        ("a" * 1_000_000, ""),
        ("\ud800", ""),
    ],
)
def test_a_type_that_no_event_has_is_refused_and_the_nearest_named(wrong: str, nearest: str | None) -> None:
    if nearest is None:
        assert event_filter(None, (wrong,)).types == (wrong,)
        return
    with pytest.raises(InvalidInput, match=f"the nearest is {re.escape(nearest)}") as refused:
        event_filter(None, ("gate.", wrong))
    assert len(refused.value.message) < 300


def test_types_of_events_are_not_named_without_end() -> None:
    with pytest.raises(InvalidInput, match="at most"):
        event_filter(None, ("gate.",) * (MOST_TYPES + 1))


def test_all_types_of_events_that_are_written_are_known_and_no_others() -> None:
    # In whole quotes there are also columns, files, and where faults are injected.
    others = re.compile(r".*\.(id|ini|yaml|(before|after)_commit)")
    named = re.compile(r"""["']([a-z_]+\.[a-z_]+)["']""")
    folder = Path(omoi_os.__file__).parent
    files = [file for part in ("services", "store") for file in (folder / part).rglob("*.py")]
    found = {name for file in files for name in named.findall(file.read_text())}
    assert {name for name in found if not others.fullmatch(name)} == set(TYPES)


def test_the_newest_come_in_their_order(db_service: DatabaseService, record: EventService) -> None:
    for number in range(5):
        tell(db_service, str(number))
    page = record.newest(limit=2)
    assert names(page.events) == ["3", "4"]
    tell(db_service, "5")
    assert names(record.page(page.reached).events) == ["5"]


def test_secrets_are_not_told(db_service: DatabaseService) -> None:
    record = EventService(db_service, secrets=("sekret-of-this-process",))
    payload = {
        "message": "use postgresql://me:hunter2@host/db and Bearer abcdef",
        "api_key": "abc",
        "deep": [{"password": {"is": "xyz"}}, "sekret-of-this-process"],
        "max_tokens": 7,
    }
    with db_service.get_session() as session:
        store.tell(driver_connection(session), "test.told", "ticket", "t", payload)
    [event] = record.page(BEGINNING).events
    said = str(event.payload)
    assert not any(secret in said for secret in ("hunter2", "abcdef", "abc'", "xyz", "sekret"))
    assert event.payload is not None
    assert event.payload["max_tokens"] == 7


# Cursors


def test_cursors_are_read_as_they_are_written() -> None:
    place = Position(2, 2**63 - 1, 5)
    assert read_position(str(place)) == place
    assert read_position("0") == BEGINNING


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "-1.2.3",
        "1.2.x",
        " 1.2.3",
        "1.2.3\n",
        "\uff11.2.3",
        "1.2." + "9" * 20,
        "9" * 10 + ".1.1",
    ],
)
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput):
        read_position(cursor)


# Eras


@pytest.fixture
def restored(empty_database: str) -> Iterator[DatabaseService]:
    db = DatabaseService(empty_database)
    schema.upgrade(db.engine)
    yield db
    db.close()


def test_a_restored_dump_begins_an_era_in_which_old_cursors_go_on(restored: DatabaseService) -> None:
    record = EventService(restored)
    assert record.settle() == 1
    assert record.settle() is None
    tell(restored, "read")
    place = record.page(BEGINNING).reached
    tell(restored, "not read")
    # As a dump from a cluster whose transactions had larger numbers.
    with restored.single_statements() as connection:
        connection.execute("UPDATE events SET xid = xid + 1000000000")
        connection.execute("UPDATE event_eras SET cluster = 'elsewhere/1'")
    cursor = place._replace(xid=place.xid + 1_000_000_000)
    assert record.page(cursor).events == []  # what would happen for ever without a new era
    assert record.settle() == 2
    tell(restored, "new")
    assert names(record.page(cursor).events) == ["not read", "new"]
    assert names(record.page(BEGINNING).events) == ["read", "not read", "new"]
    assert record.settle() is None


def test_processes_that_start_together_begin_one_era(restored: DatabaseService) -> None:
    begun: list[int | None] = []
    threads = [
        threading.Thread(target=lambda: begun.append(EventService(restored).settle())) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {era for era in begun if era is not None} == {1}
    with restored.single_statements() as connection:
        assert connection.execute("SELECT count(*) FROM event_eras").fetchone() == (1,)


def test_what_was_there_before_the_feed_comes_first_and_in_order(empty_database: str) -> None:
    db = DatabaseService(empty_database)
    schema.upgrade(db.engine, "006_judge_calibrations")
    with db.single_statements() as connection:
        for number in range(3):
            store.tell(connection, "test.told", "task", "a", {"name": str(number), "ticket_id": "t"})
    schema.upgrade(db.engine)
    tell(db, "3")
    assert names(EventService(db).page(BEGINNING, EventFilter("t")).events) == ["0", "1", "2", "3"]
    db.close()


# The tail that all followers of a process share


def test_the_tail_keeps_the_newest_and_says_where_it_does_not_reach(db_service: DatabaseService) -> None:
    tell(db_service, "before")
    tail, woken = EventTail(db_service, kept=3), threading.Event()
    beginning = EventService(db_service).end()
    with tail.followed(woken.set):
        until(lambda: tail.since(beginning) is not None)
        tell(db_service, "0", "1")
        until(lambda: len(tail.since(beginning) or ()) == 2)
        first = (tail.since(beginning) or [])[0]
        tell(db_service, "2", "3", "4")
        until(lambda: tail.since(beginning) is None)
        assert tail.since(first.position) is None
        newest = EventService(db_service).newest(limit=2).events[0]
        assert names(tail.since(newest.position) or []) == ["4"]
        woken.clear()
        tail.close()
        assert woken.is_set()
