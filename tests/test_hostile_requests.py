"""Requests that nobody sends in good faith, over a socket to the server as `omoi serve` runs it.

Each is answered in time and as expected, with problem details where the application refuses it; afterwards
the server lives, and no refused request has left a row.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Final

import pytest
import uvicorn
from sqlalchemy import text

from omoi_os.api.app import create_app
from omoi_os.api.problems import MEDIA_TYPE, PROBLEM_SCHEMA
from omoi_os.bootstrap import Services, services_on
from omoi_os.domain.phases import Phase
from omoi_os.models import Base
from omoi_os.services.database import DatabaseService
from omoi_os.services.tickets import NewTicket, next_cursor
from omoi_os.settings import Settings
from tests.hostile.wire import NO_ANSWER, Hostile, get
from tests.hostile_requests import REQUESTS

IN_TIME: Final = 20.0
"""Seconds for any answer; generous, for a machine that does other things too."""

UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What a terminal obeys, or what shows a line in another order: raw in no error."""

LEAKS: Final = re.compile(r"secret-canary|Traceback|site-packages|sqlalchemy|psycopg|SELECT |INSERT ", re.I)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; the status is `NO_ANSWER` where the connection was closed without any."""

    status: int
    media: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, and what exists on it."""

    port: int
    services: Services
    names: dict[str, str]

    def ask(self, sent: bytes, *, hang_up: bool = False) -> Answer:
        """The answer to exactly these bytes; to hang up is to send no more after them."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=IN_TIME) as connection:
            try:
                connection.sendall(self._filled(sent))
                if hang_up:
                    connection.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it answered before it had read all
            return _read(connection, sent.partition(b" ")[0])

    def rows(self) -> dict[str, int]:
        """Rows in every table."""
        counts = " union all ".join(
            f"select '{table.name}', count(*) from {table.name}" for table in Base.metadata.sorted_tables
        )
        with self.services.db.engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(text(counts))}

    def _filled(self, sent: bytes) -> bytes:
        """`sent` with real names for those with an @, and with the length that its body has then."""
        head, end, body = sent.partition(b"\r\n\r\n")
        declared = b"content-length: %d" % len(body)
        for name, value in self.names.items():
            head, body = (part.replace(name.encode(), value.encode()) for part in (head, body))
        return head.replace(declared, b"content-length: %d" % len(body)) + end + body


def _read(connection: socket.socket, method: bytes) -> Answer:
    response = HTTPResponse(connection, method=method.decode("latin-1"))
    try:
        response.begin()
        return Answer(response.status, response.getheader("content-type"), response.read())
    except (HTTPException, ConnectionResetError):
        return Answer(NO_ANSWER, None, b"")
    finally:
        response.close()


@contextmanager
def served(services: Services) -> Iterator[int]:
    """The port of a server like that of `omoi serve`."""
    config = uvicorn.Config(
        create_app(services), host="127.0.0.1", port=0, log_level="critical", http="httptools", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def server(_database: DatabaseService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = _prepared(tmp_path_factory.mktemp("root"))
    services = services_on(
        _database, Settings(workspace_roots=str(root), workspaces=root.parent / "snapshots")
    )
    names = _seeded(services) | {"@root": str(root)}
    with served(services) as port:
        yield Server(port, services, names)
    with _database.engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())


def _prepared(root: Path) -> Path:
    (root / "etc").symlink_to("/etc")
    (root / "circle").symlink_to(root / "circle")
    (root / "file").write_text("x")
    return root


def _seeded(services: Services) -> dict[str, str]:
    tickets = [services.tickets.create(NewTicket(f"t{n}", phase_id=Phase.TESTING)).id for n in range(3)]
    agent = services.agents.register("worker").id
    services.queue.enqueue_task(tickets[0], Phase.TESTING, "work", None)
    task = services.queue.claim_next_task(agent)
    assert task is not None
    verdict = services.gates.validate_gate(tickets[1], Phase.TESTING)
    cursor = next_cursor(services.tickets.list(limit=1))
    assert cursor is not None
    return {
        "@ticket": tickets[0], "@task": task.id, "@agent": agent, "@result": verdict.id,
        "@half": cursor[: len(cursor) // 2], "@cursor": cursor,
    }  # fmt: skip


@pytest.mark.parametrize("hostile", [pytest.param(item, id=item.name) for item in REQUESTS])
def test_a_hostile_request_is_answered_as_it_should_be(server: Server, hostile: Hostile) -> None:
    before = server.rows()
    began = time.monotonic()
    answer = server.ask(hostile.sent, hang_up=hostile.status == NO_ANSWER)
    assert time.monotonic() - began < IN_TIME
    assert answer.status == hostile.status, answer.body[:500]
    if answer.status >= 400 and not hostile.by_server:
        _is_problem(answer, head=hostile.sent.startswith(b"HEAD"))
    assert not LEAKS.search(answer.body.decode())
    if not 200 <= answer.status < 300 and not hostile.may_write:
        assert server.rows() == before
    assert server.ask(get("/health")).status == 200


def _is_problem(answer: Answer, *, head: bool) -> None:
    assert answer.media == MEDIA_TYPE
    if head:
        return
    assert not UNSAFE.search(answer.body.decode()), answer.body
    body = json.loads(answer.body)
    assert set(PROBLEM_SCHEMA["required"]) <= body.keys()
    assert body["status"] == answer.status
    assert body["detail"]
    assert len(answer.body) < 20_000


def test_there_are_many_of_them_and_each_has_a_name_of_its_own() -> None:
    assert len(REQUESTS) >= 200
    assert [name for name, count in Counter(item.name for item in REQUESTS).items() if count > 1] == []
