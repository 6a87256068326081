"""The HTTP interface: what it promises, and that every error is problem details."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from omoi_os.api.app import create_app
from omoi_os.api.strict import MAX_BODY_BYTES
from omoi_os.bootstrap import Services, services_on
from omoi_os.models.phases import Phase
from omoi_os.models.task import Task
from omoi_os.services.database import DatabaseService
from omoi_os.settings import Settings
from tests.evidence_texts import CODE, REQUIREMENTS, TESTS, junit, lcov

type Add = Callable[..., str]
JSON = {"content-type": "application/json"}


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    with TestClient(
        create_app(services), base_url="http://127.0.0.1:8420", raise_server_exceptions=False
    ) as made:
        yield made


@pytest.fixture
def ticket(client: TestClient, db_service: DatabaseService) -> str:
    """A ticket in IMPLEMENTATION whose one task is completed."""
    made = client.post("/api/v1/tickets", json={"title": "Reset", "phase_id": Phase.IMPLEMENTATION})
    with db_service.get_session() as session:
        session.add(
            Task(
                ticket_id=made.json()["id"],
                phase_id=Phase.IMPLEMENTATION,
                task_type="implement_feature",
                status="completed",
            )
        )
    return str(made.json()["id"])


def problem(response: Response, status: int) -> dict[str, Any]:
    """The problem details of a response that must be one."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail", "code"} <= body.keys()
    assert body["status"] == status
    assert body["detail"]
    return body


def test_health_needs_no_database_and_readiness_does(client: TestClient) -> None:
    assert client.get("/api/v1/health").json()["status"] == "ok"
    ready = client.get("/api/v1/ready").json()
    assert (ready["status"], ready["database"]) == ("ready", "ok")


def test_without_a_database_the_server_is_alive_and_not_ready() -> None:
    db = DatabaseService("postgresql://nobody@127.0.0.1:1/nothing")
    app = create_app(services_on(db, Settings()))
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        assert client.get("/api/v1/health").status_code == 200
        assert problem(client.get("/api/v1/ready"), 503)["code"] == "database_unavailable"
        assert problem(client.get("/api/v1/tickets/x"), 503)["code"] == "database_unavailable"
        assert problem(client.post("/api/v1/tickets/x/validate-gate?phase_id=testing"), 503)


def test_a_database_without_the_schema_is_not_ready(empty_database: str) -> None:
    db = DatabaseService(empty_database)
    with TestClient(create_app(services_on(db, Settings())), base_url="http://localhost") as client:
        assert problem(client.get("/api/v1/ready"), 503)["code"] == "schema_out_of_date"
    db.close()


def test_a_ticket_is_created_and_found(client: TestClient) -> None:
    made = client.post("/api/v1/tickets", json={"title": "Reset", "priority": "high"})
    assert made.status_code == 201
    assert (made.json()["phase_id"], made.json()["priority"]) == ("PHASE_BACKLOG", "HIGH")
    assert client.get(f"/api/v1/tickets/{made.json()['id']}").json() == made.json()


def test_tickets_are_listed_in_pages_the_newest_first(client: TestClient) -> None:
    made = [client.post("/api/v1/tickets", json={"title": f"t{n}"}).json()["id"] for n in range(5)]
    seen: list[str] = []
    cursor = None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = client.get("/api/v1/tickets", params=query).json()
        seen += [ticket["id"] for ticket in page["tickets"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == made[::-1]


def test_lists_are_filtered(client: TestClient, ticket: str) -> None:
    client.post("/api/v1/tickets", json={"title": "other"})
    found = client.get(
        "/api/v1/tickets", params={"phase_id": "implementation", "status": "in_progress"}
    ).json()
    assert [item["id"] for item in found["tickets"]] == [ticket]
    assert client.get("/api/v1/tickets", params={"status": "completed"}).json()["tickets"] == []


def test_a_gate_is_validated_over_http(client: TestClient, ticket: str) -> None:
    changes = {"artifact_type": "code_changes", "artifact_content": {"diff": CODE + TESTS}}
    assert client.post(f"/api/v1/tickets/{ticket}/artifacts", json=changes).status_code == 201
    first = client.post(f"/api/v1/tickets/{ticket}/validate-gate").json()
    assert (first["gate_status"], first["requirements_met"]) == ("failed", False)
    assert first["blocking_reasons"] == [
        "test_coverage: no such artifact; needed: an artifact test_coverage. Attach the coverage report "
        "(Cobertura, lcov, JaCoCo, Clover, coverage.py or gcovr) as test_coverage."
    ]
    coverage = {"artifact_type": "test_coverage", "artifact_content": {"report": lcov(9, 10)}}
    client.post(f"/api/v1/tickets/{ticket}/artifacts", json=coverage)
    second = client.post(f"/api/v1/tickets/{ticket}/validate-gate?phase_id=PHASE_IMPLEMENTATION").json()
    assert (second["gate_status"], second["requirements_met"], second["blocking_reasons"]) == (
        "passed",
        True,
        [],
    )
    assert {"criterion", "outcome", "found", "needed", "artifact", "fix"} <= second["findings"][0].keys()


def test_the_gate_status_tells_what_is_missing(client: TestClient, ticket: str) -> None:
    status = client.get(f"/api/v1/tickets/{ticket}/gate-status").json()
    assert status["requirements_met"] is False
    assert status["missing_artifacts"] == ["code_changes", "test_coverage"]
    assert status["validation_status"] == "none"
    client.post(f"/api/v1/tickets/{ticket}/validate-gate")
    assert client.get(f"/api/v1/tickets/{ticket}/gate-status").json()["validation_status"] == "failed"


def test_an_artifact_can_be_given_as_the_specification_shows_it(client: TestClient, ticket: str) -> None:
    query = {"artifact_type": "test_results", "artifact_path": "junit.xml"}
    given = client.post(f"/api/v1/tickets/{ticket}/artifacts", params=query, json={"report": junit()})
    assert given.status_code == 201
    assert given.json()["artifact_content"] == {"report": junit()}
    assert given.json()["artifact_path"] == "junit.xml"
    assert given.json()["content_digest"]


def test_the_newest_of_two_artifacts_is_reviewed(client: TestClient) -> None:
    ticket = client.post("/api/v1/tickets", json={"title": "x", "phase_id": "PHASE_REQUIREMENTS"}).json()[
        "id"
    ]
    for text in (REQUIREMENTS, "x"):
        body = {"artifact_type": "requirements_document", "artifact_content": {"content": text}}
        client.post(f"/api/v1/tickets/{ticket}/artifacts", json=body)
    findings = client.post(f"/api/v1/tickets/{ticket}/validate-gate").json()["findings"]
    assert "document_too_short" in {finding["code"] for finding in findings}


@pytest.mark.parametrize("path", ["", "/gate-status", "/validate-gate", "/artifacts"])
@pytest.mark.parametrize("ticket_id", ["nope", "%00", "%ED%A0%80", "a" * 3000])
def test_a_ticket_that_is_not_there_is_404(client: TestClient, path: str, ticket_id: str) -> None:
    address = f"/api/v1/tickets/{ticket_id}{path}"
    if path in ("/validate-gate", "/artifacts"):
        body = {"artifact_type": "x", "artifact_content": {"a": 1}}
        assert problem(client.post(address, json=body), 404)["code"] == "not_found"
    else:
        assert problem(client.get(address), 404)["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/", 404),
        ("DELETE", "/api/v1/tickets", 405),
        ("GET", "/api/v1/tickets?limit=0", 422),
        ("GET", "/api/v1/tickets?limit=x", 422),
        ("GET", "/api/v1/tickets?cursor=zzz", 422),
        ("GET", "/api/v1/tickets?cursor=%00", 422),
        ("GET", "/api/v1/tickets?phase_id=nowhere", 422),
        ("GET", "/api/v1/tickets?status=nothing", 422),
    ],
)
def test_wrong_addresses_and_queries_are_problems(
    client: TestClient, method: str, path: str, status: int
) -> None:
    problem(client.request(method, path), status)


@pytest.mark.parametrize(
    ("path", "methods"), [("tickets", "GET, POST"), ("tickets/x", "GET"), ("tickets/x/transition", "POST")]
)
def test_a_wrong_method_is_told_all_right_ones(client: TestClient, path: str, methods: str) -> None:
    answer = client.request("PATCH", f"/api/v1/{path}")
    problem(answer, 405)
    assert answer.headers["allow"] == methods


@pytest.mark.parametrize("phase", ["PHASE_UNKNOWN", "PHASE_BACKLOG", "PHASE_DONE", "%00"])
def test_a_phase_that_has_no_gate_is_refused(client: TestClient, ticket: str, phase: str) -> None:
    body = problem(client.post(f"/api/v1/tickets/{ticket}/validate-gate?phase_id={phase}"), 422)
    assert body["code"] in ("unknown_phase", "phase_has_no_gate")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 422, ""),
        (b"{", 400, "not JSON"),
        (b'{"title": NaN}', 400, "NaN"),
        (b'{"title": "a", "title": "b"}', 400, "twice"),
        (b'{"title": "\\ud800"}', 422, "surrogate"),
        (b'{"title": "a\\u0000b"}', 422, "NUL"),
        (b'{"title": "\xff"}', 400, "UTF-8"),
        (b'{"title": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "nested"),
        (b'{"title": ' + b"9" * 5000 + b"}", 400, "not JSON"),
        (b'{"title": 1e400}', 422, "finite"),
        (b"[]", 422, ""),
        (b'{"title": ""}', 422, "title"),
        (b'{"title": "   "}', 422, "title"),
        (json.dumps({"title": "x" * 501}).encode(), 422, "500"),
        (b'{"title": "a", "priority": "URGENT"}', 422, "priority"),
        (b'{"title": "a", "phase_id": "x"}', 422, "phase"),
        (b'{"title": "a", "titel": "b"}', 422, "titel"),
        (b'{"title": "a", "workspace_path": "/"}', 422, "workspace"),
        (b'{"title": "a", "workspace_path": "/nowhere/at/all"}', 422, "workspace"),
    ],
)
def test_bodies_that_cannot_be_used_are_refused_with_the_reason(
    client: TestClient, body: bytes, status: int, said: str
) -> None:
    answer = problem(client.post("/api/v1/tickets", content=body, headers=JSON), status)
    assert said in answer["detail"]


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"artifact_type": "x"},
        {"artifact_type": "", "artifact_content": {"a": 1}},
        {"artifact_type": "x" * 101, "artifact_content": {"a": 1}},
        {"artifact_type": "x", "artifact_content": "text"},
        {"artifact_type": "x", "artifact_content": {}},
        {"artifact_type": "x", "artifact_content": {"a": 1}, "more": 1},
        {"artifact_type": "x", "artifact_content": {"a": 1}, "phase_id": "nowhere"},
        {"artifact_type": "x", "artifact_content": {"a": 2**63}},
    ],
)
def test_artifacts_that_cannot_be_used_are_refused(
    client: TestClient, ticket: str, content: dict[str, Any]
) -> None:
    problem(client.post(f"/api/v1/tickets/{ticket}/artifacts", json=content), 422)


@pytest.mark.parametrize(
    "media", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "", "x"]
)
def test_other_media_types_are_415(client: TestClient, media: str) -> None:
    answer = client.post("/api/v1/tickets", content=b'{"title": "a"}', headers={"content-type": media})
    problem(answer, 415)


def test_a_body_that_is_too_large_is_413(client: TestClient, ticket: str) -> None:
    huge = b'{"artifact_type": "x", "artifact_content": {"a": "' + b"x" * MAX_BODY_BYTES + b'"}}'
    problem(client.post(f"/api/v1/tickets/{ticket}/artifacts", content=huge, headers=JSON), 413)

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(huge), 1_000_000):
            yield huge[start : start + 1_000_000]

    problem(client.post(f"/api/v1/tickets/{ticket}/artifacts", content=chunks(), headers=JSON), 413)


def test_a_workspace_under_an_allowed_root_is_read(client: TestClient, workspace: Path) -> None:
    (workspace / "requirements.md").write_text(REQUIREMENTS)
    body = {"title": "x", "phase_id": "PHASE_REQUIREMENTS", "workspace_path": str(workspace)}
    ticket = client.post("/api/v1/tickets", json=body).json()["id"]
    artifact = {"artifact_type": "requirements_document", "artifact_path": "requirements.md"}
    client.post(f"/api/v1/tickets/{ticket}/artifacts", json=artifact)
    findings = client.post(f"/api/v1/tickets/{ticket}/validate-gate").json()["findings"]
    assert [
        finding["outcome"] for finding in findings if finding["artifact"].startswith("requirements.md")
    ] == ["pass"] * 3


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": "192.0.2.1"}, 421),
        ({"host": ""}, 421),
        ({"host": "[::bad"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost.evil.example"}, 403),
    ],
)
def test_foreign_hosts_and_origins_are_refused(
    client: TestClient, headers: dict[str, str], status: int
) -> None:
    problem(client.get("/api/v1/health", headers=headers), status)


@pytest.mark.parametrize(
    "headers",
    [{"host": "localhost:8420"}, {"host": "[::1]:8420"}, {"origin": "http://127.0.0.1:3000"}],
)
def test_this_machine_may_call(client: TestClient, headers: dict[str, str]) -> None:
    assert client.get("/api/v1/health", headers=headers).status_code == 200


def test_every_operation_has_a_tag_and_a_stable_id(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    operations = {
        operation["operationId"]: operation["tags"] for item in paths.values() for operation in item.values()
    }
    assert set(operations) == {
        "getHealth",
        "getReadiness",
        "createTicket",
        "listTickets",
        "getTicket",
        "addArtifact",
        "validateGate",
        "getGateStatus",
        "transitionTicket",
        "getPhaseHistory",
        "getValidTransitions",
        "generateTasks",
        "createTask",
        "listTasks",
        "getTask",
        "cancelTask",
        "retryTask",
        "registerAgent",
        "listAgents",
        "getAgent",
        "sendHeartbeat",
        "claimTask",
        "reportProgress",
        "completeTask",
        "failTask",
        "releaseTask",
        "listWaivers",
        "getGateResult",
        "listReviews",
        "getReview",
        "cancelReview",
        "getTranscript",
        "getTicketContext",
        "updateTicketContext",
        "getPolicy",
        "listEvents",
    }
    assert all(operations.values())
    assert all(path.startswith("/api/v1/") for path in paths)


def test_an_unexpected_error_is_a_problem_without_its_text(services: Services) -> None:
    app = create_app(services)

    @app.get("/api/v1/broken")
    def broken() -> None:
        raise RuntimeError("secret-canary")

    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        answer = client.get("/api/v1/broken")
    assert problem(answer, 500)["code"] == "internal"
    assert "canary" not in answer.text
