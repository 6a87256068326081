"""Reviews over HTTP: at once where rules decide, pending where a worker has to ask a judge."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from starlette.requests import Request

from omoi_os.api.app import create_app
from omoi_os.api.waiting import Waiting
from omoi_os.bootstrap import Services, services_on
from omoi_os.models.phases import Phase
from omoi_os.models.worker_lease import WorkerLease
from omoi_os.services.database import DatabaseService
from omoi_os.services.review_requests import Asked
from omoi_os.settings import Settings
from tests.phase_tickets import attach, new_ticket, ready_ticket
from tests.test_api import problem
from tests.test_consequences import PHASE, fixes, place
from tests.test_durable_reviews import OneJudge, run, steps_of, taken, with_judge

KEY = "Idempotency-Key"
PROGRESS = {
    "stage": "queued",
    "attempt": 0,
    "waits_for": None,
    "retry_at": None,
    "cause": "request",
}


@pytest.fixture
def services(db_service: DatabaseService, tmp_path: Path) -> Services:
    """As `omoi serve` opens them, with a judge that a worker would ask."""
    made = services_on(db_service, Settings(workspaces=tmp_path / "snapshots"), judges_here=False)
    with_judge(made, OneJudge())
    return made


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    app = create_app(services)
    with TestClient(app, base_url="http://127.0.0.1:8420", raise_server_exceptions=False) as made:
        yield made


@pytest.fixture
def ticket(services: Services) -> str:
    """The rules leave its gate open, so the judge has to be asked."""
    return ready_ticket(services.db, PHASE)


def decide(services: Services, review_id: str) -> None:
    """What a worker would do."""
    steps = steps_of(services)
    assert run(steps, taken(steps, review_id, judges=True))["state"] == "decided"


def ask(client: TestClient, ticket: str, key: str | None = None, **query: Any) -> Response:
    headers = {} if key is None else {KEY: key}
    return client.post(f"/api/v1/tickets/{ticket}/validate-gate", params=query, headers=headers)


def pending(client: TestClient, ticket: str, **query: Any) -> str:
    """The id of the pending review that is the answer."""
    answer = ask(client, ticket, **query)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["result_id"])


# Asking


def test_a_verdict_of_the_rules_is_answered_at_once(client: TestClient, services: Services) -> None:
    ticket = new_ticket(services.db, PHASE)
    attach(services.db, ticket, PHASE, good=False)
    answer = ask(client, ticket)
    said = answer.json()
    assert (answer.status_code, said["gate_status"], said["requirements_met"]) == (200, "failed", False)
    assert said["blocking_reasons"]
    assert (said["review"], said["ticket_id"]) == (None, ticket)
    assert not {"location", "retry-after"} & set(answer.headers)


def test_where_a_judge_is_needed_the_review_is_pending_and_says_where(
    client: TestClient, services: Services, ticket: str
) -> None:
    answer = ask(client, ticket)
    said = answer.json()
    assert answer.status_code == 202
    assert (said["gate_status"], said["requirements_met"], said["blocking_reasons"]) == ("pending", False, [])
    assert said["review"].pop("requested_at")
    assert said["review"] == PROGRESS
    assert answer.headers["location"] == f"/api/v1/reviews/{said['result_id']}"
    assert int(answer.headers["retry-after"]) >= 1
    found = client.get(answer.headers["location"])
    assert (found.status_code, found.json()["gate_status"]) == (200, "pending")
    assert "retry-after" in found.headers
    # Somebody else's answers, too.
    assert pending(client, ticket) == said["result_id"]
    decide(services, said["result_id"])
    after = client.get(answer.headers["location"])
    assert (after.json()["gate_status"], after.json()["review"]) == ("passed", None)
    assert "retry-after" not in after.headers
    assert ask(client, ticket).json()["result_id"] == said["result_id"]
    assert client.get(f"/api/v1/gate-results/{said['result_id']}").json() == after.json()


def test_force_and_carry_on_are_added_to_a_review_that_is_pending(
    client: TestClient, services: Services, ticket: str
) -> None:
    review = pending(client, ticket)
    assert pending(client, ticket, force=True, carry_on=True) == review
    now = services.requests.find(review)
    assert (now.force, now.carry_on, now.validated_by) == (True, True, "api")


def test_a_plain_call_only_answers_and_carry_on_does_the_policys_next_thing(
    client: TestClient, services: Services
) -> None:
    services.gates.stages.judging = None
    good, bad = ready_ticket(services.db, PHASE), new_ticket(services.db, PHASE)
    attach(services.db, bad, PHASE, good=False)
    for ticket, status in ((good, "passed"), (bad, "failed")):
        assert ask(client, ticket).json()["gate_status"] == status
    assert (place(services, good), fixes(services, bad)) == (PHASE, [])
    for ticket, status in ((good, "passed"), (bad, "failed"), (bad, "failed")):
        answer = ask(client, ticket, carry_on=True, phase_id=PHASE)
        assert (answer.status_code, answer.json()["gate_status"]) == (200, status)
    assert place(services, good) == Phase.DESIGN
    assert len(fixes(services, bad)) == 1


# Waiting


def test_who_waits_gets_the_verdict_when_it_is_there(
    client: TestClient, services: Services, ticket: str
) -> None:
    review = pending(client, ticket)
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(ask, client, ticket, wait=60)
        looked = pool.submit(client.get, f"/api/v1/reviews/{review}", params={"wait": 60})
        time.sleep(0.5)
        assert not asked.done()
        assert not looked.done()
        decide(services, review)
        for answer in (asked.result(20), looked.result(20)):
            said = answer.json()
            assert (answer.status_code, said["gate_status"], said["result_id"]) == (200, "passed", review)


def test_who_waits_in_vain_is_told_that_it_is_pending(client: TestClient, ticket: str) -> None:
    began = time.monotonic()
    assert ask(client, ticket, wait=1).status_code == 202
    assert 0.9 < time.monotonic() - began < 30
    for wait in (-1, 60.5, "long", "nan", "inf"):
        problem(ask(client, ticket, wait=wait), 422)


def test_waiting_occupies_no_thread(client: TestClient, services: Services, ticket: str) -> None:
    threads = 2 * services.settings.pool_size
    review = pending(client, ticket)
    with ThreadPoolExecutor(2 * threads) as pool:
        asked = [pool.submit(ask, client, ticket, wait=60) for _ in range(2 * threads)]
        time.sleep(2.0)
        assert client.get("/api/v1/ready").status_code == 200
        assert not any(one.done() for one in asked)
        decide(services, review)
        assert {one.result(30).status_code for one in asked} == {200}


def test_of_too_many_who_wait_the_last_are_answered_at_once(services: Services, ticket: str) -> None:
    app = create_app(services)
    app.state.waiting = Waiting(services.requests, most=1)
    with TestClient(app, base_url="http://localhost") as client, ThreadPoolExecutor(1) as pool:
        review = pending(client, ticket)
        first = pool.submit(ask, client, ticket, wait=60)
        time.sleep(0.7)
        began = time.monotonic()
        assert ask(client, ticket, wait=60).status_code == 202
        assert time.monotonic() - began < 20
        decide(services, review)
        assert first.result(20).status_code == 200


class Gone(Request):
    """A request whose client went away after it was looked for so often."""

    def __init__(self, looks: int) -> None:
        super().__init__({"type": "http"})
        self.looks = looks

    async def is_disconnected(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def test_for_a_client_that_went_away_nobody_waits(services: Services, ticket: str) -> None:
    review = services.requests.validate(ticket, None, Asked("ada"))
    gone, began = Gone(looks=2), time.monotonic()
    found = asyncio.run(Waiting(services.requests).verdict(review, 60, gone))
    assert (found.gate_status, gone.looks) == ("pending", -1)
    assert time.monotonic() - began < 30


def test_a_server_that_ends_answers_who_waits(client: TestClient, ticket: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, client, ticket, wait=60)
        time.sleep(0.5)
        client.app.state.waiting.end()  # type: ignore[attr-defined]
        assert asked.result(20).status_code == 202


# Keys


def test_a_key_gets_the_same_review_and_stands_for_one_request(
    client: TestClient, services: Services, ticket: str
) -> None:
    first = ask(client, ticket, key="k 1").json()["result_id"]
    decide(services, first)
    again = ask(client, ticket, key="k 1", wait=5)
    assert (again.status_code, again.json()["result_id"]) == (200, first)
    other = ready_ticket(services.db, PHASE)
    for answer in (ask(client, other, key="k 1"), ask(client, ticket, key="k 1", force=True)):
        assert problem(answer, 422)["code"] == "idempotency_key_reused"
    assert ask(client, ticket, key="k 2", force=True).json()["result_id"] != first


@pytest.mark.parametrize("key", ["", " ", "k" * 256])
def test_a_key_that_cannot_be_kept_is_refused(client: TestClient, ticket: str, key: str) -> None:
    problem(ask(client, ticket, key=key), 422)


def test_many_who_say_one_key_at_once_get_one_review(client: TestClient, ticket: str) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: ask(client, ticket, key="one", force=True), range(16)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["result_id"] for answer in answers}) == 1


# Looking


def test_reviews_are_listed_filtered_and_paged(client: TestClient, services: Services, ticket: str) -> None:
    first = pending(client, ticket)
    decide(services, first)
    second = pending(client, ready_ticket(services.db, PHASE), carry_on=True)
    page = client.get("/api/v1/reviews", params={"limit": 1}).json()
    assert [row["id"] for row in page["reviews"]] == [second]
    rest = client.get("/api/v1/reviews", params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert ([row["id"] for row in rest["reviews"]], rest["next_cursor"]) == ([first], None)
    (row,) = rest["reviews"]
    assert (row["ticket_id"], row["phase_id"], row["gate_status"], row["code"]) == (
        ticket,
        PHASE,
        "passed",
        None,
    )
    assert (row["asked_by"], row["cause"], row["carry_on"], row["followed_at"]) == (
        "api",
        "request",
        False,
        None,
    )
    found = client.get("/api/v1/reviews", params={"status": "pending"}).json()["reviews"]
    assert [(row["id"], row["stage"], row["carry_on"]) for row in found] == [(second, "queued", True)]
    mine = client.get("/api/v1/reviews", params={"ticket_id": ticket, "phase_id": "requirements"}).json()
    assert [row["id"] for row in mine["reviews"]] == [first]
    for wrong in ({"status": "done"}, {"phase_id": "x"}, {"limit": 0}, {"limit": 201}, {"cursor": "x"}):
        problem(client.get("/api/v1/reviews", params=wrong), 422)


def test_a_review_is_cancelled_once(client: TestClient, services: Services, ticket: str) -> None:
    review = pending(client, ticket)
    ended = client.post(f"/api/v1/reviews/{review}/cancel")
    assert (ended.status_code, ended.json()["code"]) == (200, "review_cancelled")
    assert problem(client.post(f"/api/v1/reviews/{review}/cancel"), 409)["code"] == "review_over"
    (row,) = client.get("/api/v1/reviews").json()["reviews"]
    assert (row["gate_status"], row["code"]) == ("inconclusive", "review_cancelled")
    assert pending(client, ticket) != review
    for path in ("reviews/nobody/cancel", "reviews/a%00b/cancel"):
        problem(client.post(f"/api/v1/{path}"), 404)
    problem(client.get("/api/v1/reviews/nobody"), 404)


def test_the_gates_status_tells_the_pending_review(
    client: TestClient, services: Services, ticket: str
) -> None:
    path = f"/api/v1/tickets/{ticket}/gate-status"
    assert client.get(path).json()["review"] is None
    review = pending(client, ticket)
    state = client.get(path).json()
    assert state["gate_status"] == "pending"
    assert state["review"].pop("requested_at")
    assert state["review"] == {"id": review, **PROGRESS}
    decide(services, review)
    state = client.get(path).json()
    assert (state["gate_status"], state["review"]) == ("passed", None)


def test_a_move_that_needs_a_judge_says_that_the_gate_is_being_reviewed(
    client: TestClient, services: Services, ticket: str
) -> None:
    move = f"/api/v1/tickets/{ticket}/transition"
    body = {"to_phase": "design", "reason": "done"}
    answer = client.post(move, json=body)
    said = problem(answer, 409)
    assert (said["code"], said["gate_status"]) == ("gate_closed", "pending")
    assert "is being reviewed" in said["detail"]
    assert answer.headers["location"] == f"/api/v1/reviews/{said['result_id']}"
    assert int(answer.headers["retry-after"]) >= 1
    decide(services, said["result_id"])
    assert client.post(move, json=body).json()["current_phase"] == Phase.DESIGN


def test_readiness_counts_workers_and_what_waits_for_them(
    client: TestClient, services: Services, ticket: str
) -> None:
    ready = client.get("/api/v1/ready").json()
    assert (ready["workers"], ready["pending_reviews"], ready["oldest_review_seconds"]) == (0, 0, None)
    pending(client, ticket)
    with services.db.get_session() as session:
        session.add(WorkerLease(executor_id="w", beat=1))
    ready = client.get("/api/v1/ready").json()
    assert (ready["workers"], ready["pending_reviews"]) == (1, 1)
    assert 0 <= ready["oldest_review_seconds"] < 60


def test_the_document_names_both_answers_and_the_key(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    asked = paths["/api/v1/tickets/{ticket_id}/validate-gate"]["post"]
    shapes = {
        asked["responses"][code]["content"]["application/json"]["schema"]["$ref"] for code in ("200", "202")
    }
    assert shapes == {"#/components/schemas/GateResultOut"}
    assert set(asked["responses"]["202"]["headers"]) == {"Location", "Retry-After"}
    names = {parameter["name"].lower() for parameter in asked["parameters"]}
    assert names == {"ticket_id", "phase_id", "force", "wait", "carry_on", KEY.lower()}
