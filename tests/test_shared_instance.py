"""API and command line share one embedded server, and a kill -9 of any of them loses nothing acknowledged."""

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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 30.0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / ".omoi"


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OMOI_")}
    return kept | {"OMOI_HOME": str(home)}


def omoi(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "omoi_os.cli", *arguments],
        env=environment(home),
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class Api:
    """An `omoi serve` in a process of its own."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "omoi_os.cli", "serve", "--port", str(self.port)],
            env=environment(home),
            cwd=home.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """The status and body of an answer.

        Raises:
            OSError: Nobody answers.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, f"/api/v1{path}", text, {"content-type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def wait(self) -> None:
        """Until it is ready."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            assert self.process.poll() is None, "the server ended"
            try:
                if self.ask("GET", "/ready")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the server does not become ready")

    def end(self, with_signal: signal.Signals) -> None:
        self.process.send_signal(with_signal)
        self.process.wait(PATIENCE)


@contextmanager
def serving(home: Path) -> Iterator[Api]:
    api = Api(home)
    try:
        api.wait()
        yield api
    finally:
        if api.process.poll() is None:
            api.end(signal.SIGTERM)


def postmaster(home: Path) -> int:
    return int((home / "pg" / "postmaster.pid").read_text().split()[0])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_end(pid: int) -> None:
    end = time.monotonic() + PATIENCE
    while is_alive(pid):
        assert time.monotonic() < end, f"process {pid} is still there"
        time.sleep(0.05)


def write_until_killed(api: Api, acknowledged: list[str]) -> None:
    number = 0
    while True:
        number += 1
        try:
            status, body = api.ask("POST", "/tickets", {"title": f"ticket {number}"})
        except (OSError, http.client.HTTPException):
            return
        if status == 201:
            acknowledged.append(body["id"])


def test_what_was_acknowledged_before_a_kill_is_there_after_the_next_start(home: Path) -> None:
    acknowledged: list[str] = []
    with serving(home) as api:
        writers = [threading.Thread(target=write_until_killed, args=(api, acknowledged)) for _ in range(3)]
        for writer in writers:
            writer.start()
        while len(acknowledged) < 30:
            time.sleep(0.01)
        api.end(signal.SIGKILL)
        for writer in writers:
            writer.join()
    with serving(home) as again:
        assert all(again.ask("GET", f"/tickets/{ticket}")[0] == 200 for ticket in acknowledged)
        server = postmaster(home)
    wait_for_end(server)


def test_a_killed_database_is_started_again_and_keeps_what_was_acknowledged(home: Path) -> None:
    with serving(home) as api:
        acknowledged = [api.ask("POST", "/tickets", {"title": f"t{n}"})[1]["id"] for n in range(5)]
        first = postmaster(home)
        os.kill(first, signal.SIGKILL)
        wait_for_end(first)
        answers = [api.ask("GET", f"/tickets/{ticket}")[0] for ticket in acknowledged]
        assert answers == [200] * 5
        assert api.ask("POST", "/tickets", {"title": "after"})[0] == 201
        second = postmaster(home)
        assert second != first
    wait_for_end(second)


def test_api_and_command_line_work_on_the_same_data(home: Path) -> None:
    folder = home.parent / "work"
    folder.mkdir()
    (folder / "requirements.md").write_text("# Scope\n\nnot enough\n")
    with serving(home) as api:
        reviewed = omoi(home, "review", str(folder), "--phase", "requirements", "--json")
        assert reviewed.returncode == 1, reviewed.stderr
        verdict = json.loads(reviewed.stdout)
        path = f"/tickets/{verdict['ticket_id']}/gate-status?phase_id=requirements"
        assert api.ask("GET", path)[1]["validation_status"] == "failed"
        server = postmaster(home)
        assert is_alive(server), "the command line took the server down with it"
    wait_for_end(server)


def test_a_killed_command_line_leaves_a_database_that_the_next_one_uses(home: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "omoi_os.cli", "db", "upgrade"],
        env=environment(home),
        cwd=home.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + PATIENCE
    while not (home / "pg" / "postmaster.pid").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    process.kill()
    process.wait(PATIENCE)
    done = omoi(home, "db", "upgrade")
    assert done.returncode == 0, done.stderr
    assert not (home / "pg" / "postmaster.pid").exists()
