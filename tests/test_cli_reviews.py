"""`omoi gate request|wait|cancel|history`, with and without a worker, in a terminal and in a pipe."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from omoi_os.bootstrap import Services
from omoi_os.cli import main
from omoi_os.cli.following import how_far
from omoi_os.domain.reviews import Stage
from omoi_os.embedded import EmbeddedPostgres
from omoi_os.models import PhaseGateResult
from omoi_os.models.phases import Phase
from omoi_os.services.database import DatabaseService
from omoi_os.services.phase_service import Move
from omoi_os.services.review_requests import Asked
from omoi_os.settings import Settings
from omoi_os.store import reviews, schema
from tests.command import COMMAND, environment
from tests.phase_tickets import attach, new_ticket, ready_ticket
from tests.test_consequences import PHASE, fixes, place
from tests.workers import MARKS, doors, until, worker

pytestmark = MARKS

type Run = Callable[..., Said]


@dataclass(frozen=True)
class Said:
    """What a command printed."""

    stdout: str
    stderr: str


@pytest.fixture
def run(
    postgres: EmbeddedPostgres,
    db_service: DatabaseService,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """Runs `omoi` in this process: another one takes seconds to start."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMOI_DATABASE_URL", postgres.ensure())
    monkeypatch.delenv("COLUMNS", raising=False)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    def run(*arguments: str, code: int) -> Said:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = Said(*capsys.readouterr())
        assert ended.value.code == code, said
        return said

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def served(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[Services]:
    """A worker in this process."""
    settings = Settings(workspaces=tmp_path / "snapshots", retry_seconds=0.1)
    with doors(postgres.ensure(), settings) as services, worker(services):
        yield services


def row(**columns: Any) -> PhaseGateResult:
    return PhaseGateResult(**{"attempt": 0, "gate_status": "pending", "stage": "queued", **columns})


@pytest.mark.parametrize(
    ("review", "alone", "said"),
    [
        (row(), False, "waits for a worker"),
        (row(), True, "no worker lives, so it waits: start one with `omoi worker`"),
        (row(stage="measuring"), False, "measuring"),
        (row(stage="judging", attempt=1), False, "the judge is at work, attempt 2"),
        (
            row(stage="waiting", waits_for="rate_limited", retry_at=datetime(2030, 1, 1, 12, tzinfo=UTC)),
            False,
            "waits until 12:00:00Z (rate_limited)",
        ),
        (row(stage=None), True, "another process reviews it"),
    ],
)
def test_it_is_said_how_far_a_review_is(review: PhaseGateResult, alone: bool, said: str) -> None:
    assert how_far(review, alone=alone).startswith(said)


def test_without_a_worker_a_request_stands_and_says_what_to_do(run: Run, db_service: DatabaseService) -> None:
    ticket = ready_ticket(db_service, PHASE)
    run("gate", "wait", ticket, code=5)
    asked = run("gate", "request", ticket, "--key", "k", code=8)
    assert "no worker lives" in asked.stdout
    said = json.loads(run("gate", "request", ticket, "--key", "k", "--json", code=8).stdout)
    review = said["result_id"]
    assert f"omoi gate wait {review}" in asked.stdout
    assert said["review"]["stage"] == "queued"
    status = run("gate", "status", ticket, code=8).stdout
    assert f"queued; `omoi gate wait {review}`" in " ".join(status.split())
    waited = run("gate", "wait", ticket, "--timeout", "0.5", code=8)
    assert waited.stderr.count("no worker lives") == 1
    checks = {check["name"]: check for check in json.loads(run("doctor", "--json", code=1).stdout)}
    assert checks["workers"]["state"] == "fail"
    assert "omoi worker" in checks["workers"]["fix"]
    run("gate", "cancel", review, code=0)
    assert "decided already" in run("gate", "cancel", review, code=4).stderr
    listed = run("gate", "history", ticket, code=0).stdout
    assert review in listed
    assert "review_cancelled" in listed
    (kept,) = json.loads(run("gate", "history", ticket, "--json", code=0).stdout)["reviews"]
    assert (kept["carry_on"], kept["asked_by"].startswith("cli")) == (True, True)
    assert "neither a review nor a ticket" in run("gate", "wait", "nobody", code=2).stderr


def test_reviews_of_all_tickets_are_listed_by_status(run: Run, db_service: DatabaseService) -> None:
    assert "Nothing was reviewed yet" in run("gate", "history", code=0).stdout
    tickets = [ready_ticket(db_service, PHASE) for _ in range(2)]
    cancelled, pending = (
        json.loads(run("gate", "request", ticket, "--json", code=8).stdout)["result_id"] for ticket in tickets
    )
    run("gate", "cancel", cancelled, code=0)
    listed = run("gate", "history", "--status", "pending", code=0).stdout
    assert (pending in listed, tickets[1] in listed, cancelled in listed) == (True, True, False)
    (kept,) = json.loads(run("gate", "history", "--status", "inconclusive", "--json", code=0).stdout)[
        "reviews"
    ]
    assert (kept["id"], kept["ticket_id"]) == (cancelled, tickets[0])
    of_one = run("gate", "history", tickets[0], "--status", "pending", code=0).stdout
    assert "There is no such review" in of_one
    assert "inconclusive" in run("gate", "history", "--status", "done", code=2).stderr
    assert "no ticket" in run("gate", "history", "nobody", code=2).stderr


def test_what_is_asked_for_before_there_was_a_worker_is_done_by_the_first_one(empty_database: str) -> None:
    """The engine's tables cannot be made in the transaction that asks: that would wait for itself."""
    with doors(empty_database, Settings()) as services:
        schema.upgrade(services.db.engine)
        ticket = ready_ticket(services.db, PHASE)
        review = services.requests.request(ticket, PHASE, Asked("ada", carry_on=True))
        cancelled = services.requests.request(ready_ticket(services.db, PHASE), PHASE, Asked("ada"))
        services.requests.cancel(cancelled.id, cancelled_by="ada")
        with worker(services):
            until(lambda: place(services, ticket) == Phase.DESIGN)
        assert services.requests.find(review.id).gate_status == "passed"


def test_a_worker_does_what_is_asked_for_and_the_exit_code_is_the_verdicts(
    run: Run, db_service: DatabaseService, served: Services
) -> None:
    good, bad = ready_ticket(db_service, PHASE), new_ticket(db_service, PHASE)
    attach(db_service, bad, PHASE, good=False)
    passed = run("gate", "request", good, "--wait", "60", code=0)
    assert "PASSED" in passed.stdout
    until(lambda: place(served, good) == Phase.DESIGN)
    assert "BLOCKED" in run("gate", "request", bad, "--wait", "60", code=1).stdout
    until(lambda: len(fixes(served, bad)) == 1)
    # A ticket that has moved on is asked about by its name, all the same.
    assert "PASSED" in run("gate", "wait", good, code=0).stdout
    still = ready_ticket(db_service, PHASE)
    run("gate", "request", still, "--no-carry-on", "--wait", "60", code=0)
    (review,) = served.requests.list(ticket_id=still).reviews
    assert (review.carry_on, review.followed_at) == (False, None)
    assert place(served, still) == PHASE


def test_whoever_asks_about_a_blocked_ticket_is_told_how_it_goes_on(
    run: Run, db_service: DatabaseService, served: Services
) -> None:
    ticket = ready_ticket(db_service, PHASE)
    how = f"blocked; `omoi ticket move {ticket} requirements` goes on"
    run("gate", "request", ticket, "--no-carry-on", "--wait", "60", code=0)
    assert how not in shown(run("gate", "status", ticket, code=0))
    served.phases.move(ticket, Move(Phase.BLOCKED, "wait", "ada"))
    passed = shown(run("gate", "request", ticket, "--wait", "60", code=0))
    assert "PASSED" in passed
    assert passed.endswith(f"The ticket is {how}.")
    assert how in shown(run("gate", "status", ticket, code=0))
    run("ticket", "move", ticket, "requirements", code=0)
    assert how not in shown(run("gate", "wait", ticket, code=0))


def test_a_move_whose_gate_is_being_reviewed_says_so_and_how_to_wait(
    run: Run, db_service: DatabaseService, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = ready_ticket(db_service, PHASE)
    monkeypatch.setenv("OMOI_JUDGE_MODEL", "openai/nobody")
    review = json.loads(run("gate", "request", ticket, "--json", code=8).stdout)["result_id"]
    with db_service.single_statements() as connection:
        assert reviews.take(connection, review, "somebody", lease=60, stage=Stage.MEASURING)
    refused = run("ticket", "move", ticket, "design", code=8).stdout
    assert "NOT MOVED: the gate of PHASE_REQUIREMENTS is being reviewed" in refused
    assert f"omoi gate wait {review}\n" in refused


def test_a_stale_verdict_is_none_unless_the_next_one_is_on_its_way(
    run: Run, db_service: DatabaseService
) -> None:
    ticket = ready_ticket(db_service, PHASE)
    run("gate", "validate", ticket, code=0)
    run("gate", "status", ticket, code=0)
    attach(db_service, ticket, PHASE, good=False)
    assert "(stale)" in run("gate", "status", ticket, code=5).stdout
    run("gate", "request", ticket, code=8)
    assert "(stale)" in run("gate", "status", ticket, code=8).stdout


def shown(said: Said) -> str:
    return " ".join(said.stdout.split())


def test_a_terminal_shows_a_line_that_changes(
    run: Run, postgres: EmbeddedPostgres, db_service: DatabaseService, tmp_path: Path
) -> None:
    ticket = ready_ticket(db_service, PHASE)
    run("gate", "request", ticket, code=8)
    master, slave = pty.openpty()
    command = [*COMMAND, "gate", "wait", ticket, "--timeout", "1.5"]
    variables = environment(OMOI_DATABASE_URL=postgres.ensure(), TERM="xterm", COLUMNS="200")
    with subprocess.Popen(
        command, cwd=tmp_path, env=variables, stdout=subprocess.PIPE, stderr=slave, text=True
    ) as waiting:
        os.close(slave)
        shown = _all_of(master)
        assert waiting.stdout is not None
        assert "PENDING" in waiting.stdout.read()
    assert waiting.returncode == 8
    assert "no worker lives" in shown
    assert "\r" in shown
    assert " s)" in shown


def _all_of(terminal: int) -> str:
    shown = b""
    with suppress(OSError):  # the other end is closed
        while piece := os.read(terminal, 65536):
            shown += piece
    os.close(terminal)
    return shown.decode()


def test_a_server_that_is_told_to_end_answers_who_waits(
    postgres: EmbeddedPostgres, db_service: DatabaseService, tmp_path: Path
) -> None:
    ticket = ready_ticket(db_service, PHASE)
    variables = environment(
        OMOI_DATABASE_URL=postgres.ensure(),
        OMOI_HOME=str(tmp_path / "home"),
        OMOI_JUDGE_MODEL="openai/nobody",
        OMOI_JUDGE_BASE_URL="http://127.0.0.1:9/v1",
    )
    port = _free_port()
    api = f"http://127.0.0.1:{port}/api/v1"
    command = [*COMMAND, "serve", "--port", str(port)]
    with (
        subprocess.Popen(command, cwd=tmp_path, env=variables, stderr=subprocess.DEVNULL) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        until(lambda: _answers(f"{api}/health"), 60)
        asked = pool.submit(
            httpx2.post, f"{api}/tickets/{ticket}/validate-gate", params={"wait": 60}, timeout=90
        )
        until(lambda: bool(httpx2.get(f"{api}/reviews").json()["reviews"]), 60)
        time.sleep(0.5)
        server.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert asked.result(30).status_code == 202
        server.wait(30)
    assert time.monotonic() - began < 20


def _answers(address: str) -> bool:
    try:
        return httpx2.get(address).status_code == 200
    except httpx2.TransportError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
