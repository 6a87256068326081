"""`GET /api/v1/events`: pages, and streams that end, resume and stay within bounds."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from omoi_os.api.app import create_app
from omoi_os.api.streams import Streams
from omoi_os.bootstrap import Services
from omoi_os.domain.events import event_filter, read_position
from omoi_os.embedded import EmbeddedPostgres
from omoi_os.services.database import DatabaseService
from tests.command import COMMAND, environment, hears_ctrl_c, omoi
from tests.event_readers import PATIENCE, Stream, cut_all, served, tell, until

type Connect = Callable[..., Stream]


@pytest.fixture
def port(services: Services) -> Iterator[int]:
    with served(create_app(services)) as port:
        yield port


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Opens streams, and closes them."""
    with ExitStack() as opened:
        yield lambda *given, **headers: opened.enter_context(Stream(*given, **headers))


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    with TestClient(create_app(services), base_url="http://localhost") as client:
        yield client


def small(services: Services, **bounds: Any) -> Any:
    """An application with other bounds for its streams."""
    app = create_app(services)
    app.state.streams = Streams(services.events, **bounds)
    return app


# Pages


def test_a_page_goes_on_where_the_one_before_ended(client: TestClient, db_service: DatabaseService) -> None:
    for number in range(3):
        tell(db_service, str(number), ticket="t1")
    first = client.get("/api/v1/events?limit=2").json()
    assert [event["payload"]["name"] for event in first["events"]] == ["0", "1"]
    assert first["more"] is True
    second = client.get("/api/v1/events", params={"after": first["next_cursor"]}).json()
    assert [event["payload"]["name"] for event in second["events"]] == ["2"]
    [event] = second["events"]
    assert set(event) == {
        *("id", "seq", "cursor", "event_type", "entity_type", "entity_id", "ticket_id", "payload"),
        "created_at",
    }
    assert (event["ticket_id"], event["cursor"], second["more"]) == ("t1", second["next_cursor"], False)
    tell(db_service, "3")
    later = client.get("/api/v1/events", headers={"Last-Event-ID": second["next_cursor"]}).json()
    assert [event["payload"]["name"] for event in later["events"]] == ["3"]


@pytest.mark.parametrize("accept", ["application/json", "*/*", ""])
def test_only_who_names_the_media_type_gets_a_stream(client: TestClient, accept: str) -> None:
    answer = client.get("/api/v1/events", headers={"Accept": accept})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?after=1.2", {}),
        ("?after=%00", {}),
        ("", {"Last-Event-ID": "x"}),
        ("?after=0", {"Last-Event-ID": "1.2.3;drop"}),
        ("", {"Last-Event-ID": "x", "Accept": "text/event-stream"}),
        ("?ticket_id=%00", {}),
        ("?ticket_id=", {"Accept": "text/event-stream"}),
        ("?event_type=%25", {}),
        ("?event_type=gate.decidd", {"Accept": "text/event-stream"}),
        ("?limit=1001", {}),
        ("?" + "&".join(["event_type=a"] * 21), {}),
    ],
)
def test_what_cannot_be_asked_for_is_a_problem(
    client: TestClient, query: str, headers: dict[str, str]
) -> None:
    answer = client.get(f"/api/v1/events{query}", headers=headers)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


# Streams


def test_a_stream_begins_now_and_sends_what_happens(
    connect: Connect, port: int, db_service: DatabaseService
) -> None:
    tell(db_service, "before")
    stream = connect(port)
    assert stream.answer.headers["content-type"].startswith("text/event-stream")
    assert stream.block()["retry"] == "2000"
    tell(db_service, "0", "1")
    sent = stream.next()
    assert sent is not None
    assert (sent.event, sent.data["event_type"], sent.data["payload"]) == (
        "test.told",
        "test.told",
        {"name": "0"},
    )
    assert sent.id == sent.data["cursor"]
    assert stream.names(1) == ["1"]
    stream.close()


def test_a_client_that_is_cut_off_before_the_first_event_misses_none(
    connect: Connect, port: int, db_service: DatabaseService
) -> None:
    stream = connect(port)
    stream.block()
    stream.close()
    tell(db_service, "meanwhile")
    again = connect(port, Last_Event_ID=stream.last_id)
    assert again.names(1) == ["meanwhile"]
    again.close()


def test_resuming_again_and_again_while_others_write_gives_every_event_once(
    connect: Connect, services: Services, db_service: DatabaseService
) -> None:
    written, writers = 150, 4

    def write(writer: int) -> None:
        for number in range(written):
            tell(db_service, f"{writer}/{number}")
            time.sleep(0.001)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    found: list[str] = []
    place = str(services.events.end())
    for thread in threads:
        thread.start()
    while len(found) < written * writers:
        with served(create_app(services)) as port:  # each time another server
            for _ in range(3):
                stream = connect(port, Last_Event_ID=place)
                found += stream.names(min(40, written * writers - len(found)))
                place = stream.last_id
                stream.close()
    for thread in threads:
        thread.join()
    assert len(found) == len(set(found)) == written * writers


def test_a_stream_is_filtered_and_its_place_moves_on_all_the_same(
    connect: Connect, services: Services, db_service: DatabaseService
) -> None:
    with served(small(services, heartbeat=0.2)) as port:
        stream = connect(port, "?ticket_id=mine&event_type=gate.&event_type=task.moved&after=0")
        stream.block()
        for ticket in ("mine", "other"):
            for kind in ("gate.decided", "task.moved", "task.failed"):
                tell(db_service, kind, ticket=ticket, event_type=kind)
        assert stream.names(2) == ["gate.decided", "task.moved"]
        seen = stream.last_id
        comment = stream.block()
        assert "" in comment
        (newest,) = services.events.newest(event_filter(None, ()), 1).events
        assert read_position(seen) < newest.position
        while read_position(stream.last_id) < newest.position:
            assert stream.block()
        again = connect(port, Last_Event_ID=stream.last_id)
        tell(db_service, "next")
        assert again.names(1) == ["next"]
        again.close()
        stream.close()


def test_many_streams_share_one_connection_to_the_database(
    connect: Connect, port: int, db_service: DatabaseService
) -> None:
    streams = [connect(port) for _ in range(20)]
    for stream in streams:
        stream.block()
    tell(db_service, "0", "1")
    assert all(stream.names(2) == ["0", "1"] for stream in streams)
    until(lambda: _listening(db_service) == 1)  # those of other tests end within a second
    for stream in streams:
        stream.close()


def _listening(db: DatabaseService) -> int:
    with db.single_statements() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT EXISTS (SELECT FROM events%'"
            " AND pid <> pg_backend_pid()"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_there_are_so_many_streams_and_no_more(connect: Connect, services: Services) -> None:
    with served(small(services, most=2)) as port:
        streams = [connect(port) for _ in range(2)]
        refused = connect(port)
        assert refused.answer.status == 503
        assert json.loads(refused.answer.read())["code"] == "too_many_streams"
        streams[0].close()
        until(lambda: connect(port).answer.status == 200)


def test_a_slow_client_is_cut_off_and_others_are_not_held_up(
    connect: Connect, services: Services, db_service: DatabaseService
) -> None:
    with served(small(services, patience=2)) as port, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", port))
        slow.sendall(
            b"GET /api/v1/events?after=0 HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
        )
        quick = connect(port)
        quick.block()
        for number in range(40):
            tell(db_service, str(number) + "x" * 400_000)
        assert len(quick.names(40)) == 40
        time.sleep(3)
        slow.settimeout(PATIENCE)
        received = 0
        while piece := slow.recv(1 << 20):
            received += len(piece)
        assert received < 40 * 400_000
        quick.close()


def test_a_stream_outlives_an_outage_of_the_database(
    connect: Connect, port: int, db_service: DatabaseService, postgres: EmbeddedPostgres
) -> None:
    stream = connect(port)
    stream.block()
    tell(db_service, "0")
    assert stream.names(1) == ["0"]
    cut_all(db_service)
    tell(db_service, "1", "2")
    assert stream.names(2) == ["1", "2"]
    stream.close()


# Processes


def started(*arguments: str, tmp_path: Path, address: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=tmp_path,
        env=environment(OMOI_DATABASE_URL=address),
        preexec_fn=hears_ctrl_c,  # noqa: PLW1509 it only sets a signal
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_server_that_is_told_to_end_does_not_wait_for_its_streams(
    connect: Connect, tmp_path: Path, postgres: EmbeddedPostgres, db_service: DatabaseService
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = started("serve", "--port", str(port), tmp_path=tmp_path, address=postgres.ensure())
    try:
        until(lambda: _answers(port))
        streams = [connect(port) for _ in range(3)]
        for stream in streams:
            stream.block()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert [stream.block() for stream in streams] == [{}, {}, {}]
        process.wait(PATIENCE)
        assert time.monotonic() - began < 6
    finally:
        process.kill()
        _, said = process.communicate()
    assert "Traceback" not in said


def _answers(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=1)) as connection:
        try:
            connection.request("GET", "/api/v1/health")
            return connection.getresponse().status == 200
        except OSError:
            return False


def test_the_command_line_shows_pages_and_follows_until_ctrl_c(
    tmp_path: Path, postgres: EmbeddedPostgres, db_service: DatabaseService
) -> None:
    address = postgres.ensure()
    for number in range(3):
        tell(db_service, str(number), ticket="t1")
    shown = omoi("events", "--limit", "2", cwd=tmp_path, OMOI_DATABASE_URL=address).stdout.splitlines()
    assert [line.split("  ")[1:] for line in shown] == [
        ["test.told", "ticket t1", f'{{"name": "{number}"}}'] for number in (1, 2)
    ]
    lines = omoi(
        "events", "--after", "0", "--json", cwd=tmp_path, OMOI_DATABASE_URL=address
    ).stdout.splitlines()
    cursor = json.loads(lines[0])["cursor"]
    following = started(
        "events", "--after", cursor, "--follow", "--json", "--limit", "1", tmp_path=tmp_path, address=address
    )
    try:
        assert following.stdout is not None
        found = [json.loads(following.stdout.readline())["payload"]["name"] for _ in range(2)]
        tell(db_service, "3")
        found.append(json.loads(following.stdout.readline())["payload"]["name"])
        cut_all(db_service)
        tell(db_service, "4")
        found.append(json.loads(following.stdout.readline())["payload"]["name"])
        following.send_signal(signal.SIGINT)
        assert following.wait(PATIENCE) == 130
    finally:
        following.kill()
        following.communicate()
    assert found == ["1", "2", "3", "4"]


def test_a_cursor_that_is_none_is_wrong_usage(tmp_path: Path) -> None:
    done = omoi("events", "--after", "x", cwd=tmp_path, OMOI_HOME=str(tmp_path / "never"))
    assert (done.returncode, (tmp_path / "never").exists()) == (2, False)
