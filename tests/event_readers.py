"""What tests of the record of events share: writers, a server, and a client of its streams."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import uvicorn
from fastapi import FastAPI

from omoi_os.cli.serve import StreamingServer
from omoi_os.cli.signals import Held
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.store import events

PATIENCE = 20.0


class Sent(NamedTuple):
    """One block of a stream."""

    id: str
    event: str
    data: dict[str, Any]


def tell(db: DatabaseService, *names: str, ticket: str = "t", event_type: str = "test.told") -> None:
    """Events of one transaction, each with a name."""
    with db.get_session() as session:
        for name in names:
            events.tell(driver_connection(session), event_type, "ticket", ticket, {"name": name})


def until(reached: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait for something; fail where it does not happen."""
    end = time.monotonic() + patience
    while not reached():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def cut_all(db: DatabaseService) -> None:
    """End every other connection to the database, and wait until clients can know."""
    with db.own_connection() as connection:
        ended = connection.execute(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ).fetchone()
    assert ended is not None
    assert ended[0] >= 1


@contextmanager
def served(app: FastAPI) -> Iterator[int]:
    """The port of a server of this process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = StreamingServer(
            uvicorn.Config(app, log_level="critical", http="httptools", timeout_graceful_shutdown=5),
            Held(),
        )
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        until(lambda: server.started)
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


class Stream:
    """A client of `/api/v1/events` that reads block by block."""

    def __init__(self, port: int, query: str = "", **headers: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        sent = {"Accept": "text/event-stream", **{n.replace("_", "-"): v for n, v in headers.items()}}
        self.connection.request("GET", f"/api/v1/events{query}", headers=sent)
        self.answer = self.connection.getresponse()
        self.last_id = ""

    def block(self) -> dict[str, str]:
        """The fields of the next block; empty at the end of the stream."""
        fields: dict[str, str] = {}
        while line := self.answer.readline().decode():
            if line == "\n":
                break
            name, _, value = line.rstrip("\n").partition(":")
            fields[name] = value.removeprefix(" ")
        self.last_id = fields.get("id", self.last_id)
        return fields

    def next(self) -> Sent | None:
        """The next event; None at the end."""
        while fields := self.block():
            if "data" in fields:
                return Sent(fields["id"], fields["event"], json.loads(fields["data"]))
        return None

    def names(self, count: int) -> list[str]:
        """The names of the next events."""
        return [sent.data["payload"]["name"] for _ in range(count) if (sent := self.next()) is not None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.answer.close()
        self.connection.close()
