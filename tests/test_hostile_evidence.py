"""Evidence and results in shapes that no reader expects: taken or refused, reviewed, and never a pass."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from omoi_os.api.app import create_app
from omoi_os.bootstrap import Services
from omoi_os.domain.phases import Phase
from tests.hostile.evidence import CONTENTS, PATHS, RESULTS
from tests.phase_tickets import ready_ticket
from tests.test_api import problem
from tests.test_phase_gates import GOOD

API: Final = "/api/v1"
READ_AS: Final = {
    "content": ("requirements_document", "design_document"),
    "report": ("test_coverage", "test_results", "smoke_test_results"),
    "diff": ("code_changes",),
}
PHASE_OF: Final = {type_: phase for phase, given in GOOD.items() for type_ in given}


def odd() -> Iterator[tuple[str, str]]:
    """Each content as every type that reads it; what is no text is a claim, and read by all."""
    everything = [type_ for types in READ_AS.values() for type_ in types]
    for name, content in CONTENTS.items():
        for type_ in READ_AS.get(next(iter(content)), everything):
            yield type_, name


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    # The server's own errors are not raised: they have to be answered like any other.
    app = create_app(services)
    with TestClient(app, base_url="http://127.0.0.1:8420", raise_server_exceptions=False) as made:
        yield made


def fine(answer: Response, *refusals: int) -> dict[str, Any]:
    """The body of an answer that is no error, or one of `refusals`."""
    if answer.status_code in refusals:
        return problem(answer, answer.status_code)
    assert answer.is_success, answer.text[:500]
    body: dict[str, Any] = answer.json()
    return body


def review(client: TestClient, ticket: str) -> str:
    """How the gate stands after everything was asked that reads what was handed in."""
    result = fine(client.post(f"{API}/tickets/{ticket}/validate-gate"))
    fine(client.get(f"{API}/gate-results/{result['result_id']}"))
    fine(client.get(f"{API}/tickets/{ticket}/gate-status"))
    fine(client.post(f"{API}/tickets/{ticket}/update-context"))
    fine(client.get(f"{API}/tickets/{ticket}/context"))
    fine(client.get(f"{API}/tickets/{ticket}/context", params={"max_tokens": 50}))
    return str(result["gate_status"])


@pytest.mark.parametrize(("artifact", "name"), list(odd()))
def test_an_odd_content_beside_good_evidence_is_reviewed_and_does_not_pass(
    client: TestClient, services: Services, artifact: str, name: str
) -> None:
    ticket = ready_ticket(services.db, PHASE_OF[artifact])
    body = {"artifact_type": artifact, "artifact_content": CONTENTS[name]}
    fine(client.post(f"{API}/tickets/{ticket}/artifacts", json=body))
    assert review(client, ticket) in ("failed", "inconclusive")


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_is_no_file_of_the_workspace_is_no_evidence(
    client: TestClient, workspace: Path, path: str
) -> None:
    (workspace / "report.xml").write_text("<testsuite/>")
    (workspace / "link").symlink_to("/etc/passwd")
    (workspace / "links").symlink_to("/etc")
    (workspace / "folder").mkdir()
    os.mkfifo(workspace / "pipe")
    made = {"title": "a", "phase_id": Phase.TESTING, "workspace_path": str(workspace)}
    ticket = fine(client.post(f"{API}/tickets", json=made))["id"]
    for artifact in ("test_results", "test_evidence"):
        body = {"artifact_type": artifact, "artifact_path": path}
        fine(client.post(f"{API}/tickets/{ticket}/artifacts", json=body))
    assert review(client, ticket) in ("failed", "inconclusive")


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_an_odd_result_is_taken_or_refused_and_does_not_pass(client: TestClient, result: object) -> None:
    ticket = fine(client.post(f"{API}/tickets", json={"title": "a", "phase_id": Phase.TESTING}))["id"]
    agent = fine(client.post(f"{API}/agents", json={}))["agent_id"]
    task = fine(client.post(f"{API}/tickets/{ticket}/tasks", json={"task_type": "work"}))["id"]
    assert fine(client.post(f"{API}/agents/{agent}/claim"))["task"]["id"] == task
    fine(client.post(f"{API}/agents/{agent}/tasks/{task}/complete", json={"result": result}), 422)
    fine(client.get(f"{API}/tasks/{task}"))
    assert review(client, ticket) in ("failed", "inconclusive")
