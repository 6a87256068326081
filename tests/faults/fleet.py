"""Workers and an API as an operator runs them, each in a process of its own that can be killed and frozen."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from omoi_os import faults
from omoi_os.bootstrap import Services, services_on
from omoi_os.embedded import EmbeddedPostgres
from omoi_os.embedded.processes import recorded_pid
from omoi_os.services.database import DatabaseService
from omoi_os.settings import Settings
from omoi_os.store import schema
from omoi_os.worker.client import EngineClient
from tests.command import environment

PATIENCE: Final = 60.0

HURRY: Final = {
    "OMOI_LEASE_SECONDS": "1.5",
    "OMOI_POLL_SECONDS": "0.05",
    "OMOI_RETRY_SECONDS": "0.3",
    "OMOI_DRAIN_SECONDS": "10",
    "OMOI_WORKER_REVIEWS": "8",
    "OMOI_POOL_SIZE": "5",
}


class Zygote:
    """The process that starts the others; see `tests.faults.zygote`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._started: list[int] = []
        self._codes: dict[int, int] = {}
        self._told = threading.Condition()
        self._asking = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def start(self, arguments: list[str], cwd: Path, log: Path, environment: dict[str, str]) -> int:
        order = {"arguments": arguments, "cwd": str(cwd), "log": str(log), "environment": environment}
        with self._asking, self._told:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            assert self._told.wait_for(lambda: self._started, PATIENCE), "nothing was started"
            return self._started.pop()

    def code(self, pid: int, patience: float) -> int | None:
        """How a process ended; None while it runs."""
        with self._told:
            self._told.wait_for(lambda: pid in self._codes, patience)
            return self._codes.get(pid)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            with self._told:
                if "started" in told:
                    self._started.append(told["started"])
                    self._codes.pop(told["started"], None)  # of an earlier process of that number
                else:
                    self._codes[told["ended"]] = told["code"]
                self._told.notify_all()


@dataclass(slots=True)
class Member:
    """A process of the fleet.

    Attributes:
        log: What it said.
        port: Of an API.
    """

    zygote: Zygote
    pid: int
    log: Path
    port: int = 0

    @property
    def lives(self) -> bool:
        return self.zygote.code(self.pid, 0) is None

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        if self.lives:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """As `kill -9`; returns when it is gone."""
        self.send(signal.SIGKILL)
        assert self.ended() is not None

    def ended(self, patience: float = PATIENCE) -> int | None:
        """How it ended; None where it runs on."""
        return self.zygote.code(self.pid, patience)

    def is_frozen(self) -> bool:
        with suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
        return False

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """The status and body of an answer.

        Raises:
            OSError: Nobody answers.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, f"/api/v1{path}", text, {"content-type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except (http.client.HTTPException, ValueError) as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()


@dataclass
class Fleet:
    """All processes on one embedded server with fsync on, and the services in this process beside them."""

    zygote: Zygote
    folder: Path
    server: EmbeddedPostgres
    db: DatabaseService
    services: Services
    engine: EngineClient
    members: list[Member] = field(default_factory=list)
    started: int = 0

    @classmethod
    def at(cls, zygote: Zygote, folder: Path) -> Self:
        home = folder / ".omoi"
        home.mkdir(parents=True)
        server = EmbeddedPostgres(home / "pg")
        db = DatabaseService(server.ensure(), before_connect=server.ensure)
        schema.upgrade(db.engine)
        engine = EngineClient(db)
        engine.prepare()
        settings = Settings(home=home, workspace_roots=str(folder))
        return cls(zygote, folder, server, db, services_on(db, settings, lambda _: engine), engine)

    def worker(self, fault: str = "", **settings: str) -> Member:
        """An `omoi worker`, with a fault as `OMOI_FAULTS` names it."""
        return self._start(["worker"], fault, settings)

    def api(self, fault: str = "", **settings: str) -> Member:
        """An `omoi serve`; it may take a moment until it answers."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        member = self._start(["serve", "--port", str(port)], fault, settings)
        member.port = port
        return member

    def ready(self) -> None:
        """Wait until all that were started do what they are for."""
        begun = {True: "OmoiOS serves", False: "takes reviews"}
        for member in self.members:
            self.until(f"{member.log.name} has begun", lambda m=member: begun[bool(m.port)] in m.said)  # type: ignore[misc]

    def again(self, member: Member) -> Member:
        """A new process of the same kind in the place of one that is gone."""
        self.members.remove(member)
        if not member.port:
            return self.worker()
        new = self._start(["serve", "--port", str(member.port)], "", {})
        new.port = member.port
        return new

    def rows(self, statement: str, values: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """What the database says; asked again while it restarts."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with self.db.single_statements() as connection:
                    return connection.execute(statement.encode(), values).fetchall()
            except Exception:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def until(self, what: str, holds: Callable[[], object], patience: float = PATIENCE) -> None:
        """Wait for something."""
        end = time.monotonic() + patience
        while not holds():
            assert time.monotonic() < end, f"not in {patience:g} s: {what}\n{self.last_words()}"
            time.sleep(0.05)

    def last_words(self) -> str:
        """What the processes do and said at last; for a test that fails."""
        for member in self.members[-4:]:
            member.send(signal.SIGUSR1)
        time.sleep(0.5)
        return "\n".join(f"--- {m.pid} {m.log.name}\n{m.said[-6000:]}" for m in self.members[-4:])

    def restart_server(self) -> None:
        """End PostgreSQL as `pg_ctl stop -m immediate` does; whoever needs it next starts it."""
        pid = recorded_pid(self.server.data_dir)
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        end = time.monotonic() + PATIENCE
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < end, "the server does not end"
            time.sleep(0.01)
        self.server.ensure()

    def close(self) -> None:
        for member in self.members:
            member.send(signal.SIGKILL)
        for member in self.members:
            member.ended()
        self.engine.close()
        self.db.close()
        self.server.stop()

    def _start(self, arguments: list[str], fault: str, settings: dict[str, str]) -> Member:
        self.started += 1
        log = self.folder / f"{arguments[0]}-{self.started}.log"
        log.touch()
        own = {"OMOI_HOME": str(self.folder / ".omoi"), "OMOI_WORKSPACE_ROOTS": str(self.folder)}
        told = environment(**{**HURRY, **own, faults.VARIABLE: fault, **settings})
        member = Member(self.zygote, self.zygote.start(arguments, self.folder, log, told), log)
        self.members.append(member)
        return member


@contextmanager
def fleet_at(zygote: Zygote, folder: Path) -> Iterator[Fleet]:
    """A fleet, and its end."""
    fleet = Fleet.at(zygote, folder)
    try:
        yield fleet
    finally:
        fleet.close()
