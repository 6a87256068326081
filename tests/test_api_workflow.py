"""Tickets move, phases make tasks and agents work on them: over HTTP alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from omoi_os.api.app import create_app
from omoi_os.bootstrap import Services
from omoi_os.domain.tasks import NewTask
from omoi_os.models.phases import Phase
from omoi_os.services.database import DatabaseService
from tests.evidence_texts import REQUIREMENTS
from tests.test_api import problem

API = "/api/v1"


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    with TestClient(
        create_app(services), base_url="http://127.0.0.1:8420", raise_server_exceptions=False
    ) as made:
        yield made


@pytest.fixture
def ticket(client: TestClient) -> str:
    return str(client.post(f"{API}/tickets", json={"title": "Reset by {mail} 100%"}).json()["id"])


@pytest.fixture
def agent(client: TestClient) -> str:
    return str(client.post(f"{API}/agents", json={}).json()["agent_id"])


def move(client: TestClient, ticket: str, phase: str, reason: str = "go on") -> dict[str, Any]:
    answer = client.post(f"{API}/tickets/{ticket}/transition", json={"to_phase": phase, "reason": reason})
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def claim(client: TestClient, agent: str, **wanted: object) -> dict[str, Any] | None:
    answer = client.post(f"{API}/agents/{agent}/claim", json=wanted)
    assert answer.status_code == 200, answer.text
    task: dict[str, Any] | None = answer.json()["task"]
    return task


def test_a_ticket_passes_its_first_gate_over_http_alone(client: TestClient, ticket: str, agent: str) -> None:
    made = move(client, ticket, Phase.REQUIREMENTS)
    assert (made["previous_phase"], made["current_phase"]) == (Phase.BACKLOG, Phase.REQUIREMENTS)
    assert made["transitioned_by"] == "api"
    document = {"artifact_type": "requirements_document", "artifact_content": {"content": REQUIREMENTS}}
    while task := claim(client, agent):
        assert "Reset by {mail} 100%" in task["description"]
        done = client.post(
            f"{API}/agents/{agent}/tasks/{task['id']}/complete", json={"result": {"artifacts": [document]}}
        )
        assert done.json()["status"] == "completed"
    move(client, ticket, Phase.DESIGN)
    history = client.get(f"{API}/tickets/{ticket}/phase-history").json()
    assert [item["to_phase"] for item in history["history"]] == [Phase.REQUIREMENTS, Phase.DESIGN]
    assert history["history"][1]["gate_result_id"]
    assert not any(item["forced"] for item in history["history"])
    designed = client.get(f"{API}/tasks", params={"ticket_id": ticket, "phase_id": Phase.DESIGN}).json()
    assert [task["task_type"] for task in designed["tasks"]] == ["design_architecture"]


def test_a_closed_gate_answers_with_its_reasons(client: TestClient, ticket: str) -> None:
    move(client, ticket, "requirements")
    answer = client.post(f"{API}/tickets/{ticket}/transition", json={"to_phase": "design", "reason": "x"})
    body = problem(answer, 409)
    assert body["code"] == "gate_closed"
    assert body["gate_status"] == "failed"
    assert any("requirements_document" in reason for reason in body["blocking_reasons"])
    assert client.get(f"{API}/tickets/{ticket}").json()["phase_id"] == Phase.REQUIREMENTS


def test_a_move_that_the_map_does_not_have_is_a_conflict_that_names_the_ways(
    client: TestClient, ticket: str
) -> None:
    answer = client.post(f"{API}/tickets/{ticket}/transition", json={"to_phase": "testing", "reason": "x"})
    body = problem(answer, 409)
    assert body["code"] == "transition_not_allowed"
    assert "PHASE_REQUIREMENTS" in body["detail"]
    ways = client.get(f"{API}/tickets/{ticket}/valid-transitions").json()
    assert ways["valid_transitions"] == [Phase.REQUIREMENTS, Phase.BLOCKED]


def test_nobody_forces_a_move_over_http(client: TestClient, ticket: str) -> None:
    body = {"to_phase": "done", "reason": "x", "force": True}
    assert problem(client.post(f"{API}/tickets/{ticket}/transition", json=body), 422)


def test_a_blocked_ticket_goes_back_to_where_it_was(client: TestClient, ticket: str) -> None:
    move(client, ticket, "requirements")
    move(client, ticket, "blocked", "waiting for legal")
    ways = client.get(f"{API}/tickets/{ticket}/valid-transitions").json()["valid_transitions"]
    assert ways == [Phase.REQUIREMENTS]
    move(client, ticket, "requirements")
    listed = client.get(f"{API}/tasks", params={"ticket_id": ticket}).json()["tasks"]
    assert len(listed) == 2  # not made again


def test_tasks_are_generated_once_and_for_the_phase_that_was_asked_for(
    client: TestClient, ticket: str
) -> None:
    first = client.post(f"{API}/tickets/{ticket}/generate-tasks", params={"phase_id": Phase.TESTING})
    assert [task["task_type"] for task in first.json()] == ["write_tests", "run_tests"]
    assert {task["phase_id"] for task in first.json()} == {Phase.TESTING}
    again = client.post(f"{API}/tickets/{ticket}/generate-tasks", params={"phase_id": Phase.TESTING})
    assert (again.status_code, again.json()) == (200, [])
    for unusable in ("", "PHASE_NOWHERE", "x" * 61):
        problem(client.post(f"{API}/tickets/{ticket}/generate-tasks", params={"phase_id": unusable}), 422)
    problem(client.post(f"{API}/tickets/nobody/generate-tasks"), 404)


def test_an_agent_reports_fails_and_releases(client: TestClient, ticket: str, agent: str) -> None:
    made = client.post(f"{API}/tickets/{ticket}/tasks", json={"task_type": "work", "priority": "high"}).json()
    assert (made["priority"], made["status"], made["phase_id"]) == ("HIGH", "pending", Phase.BACKLOG)
    task = f"{API}/agents/{agent}/tasks/{made['id']}"
    assert claim(client, agent) is not None
    assert (
        client.post(f"{task}/progress", json={"message": "half", "percent": 50}).json()["status"] == "running"
    )
    assert client.post(f"{API}/agents/{agent}/heartbeat").json()["tasks"] == [made["id"]]
    assert client.post(f"{task}/release").json()["status"] == "pending"
    assert client.post(f"{API}/agents/{agent}/heartbeat").json()["tasks"] == []
    assert claim(client, agent) is not None
    failed = client.post(f"{task}/fail", json={"error": "connection reset"}).json()
    assert (failed["status"], failed["retry_count"]) == ("pending", 1)
    assert failed["not_before"] > failed["created_at"]
    assert claim(client, agent) is None  # it waits for its backoff


def test_an_agent_that_lost_its_task_is_told_to_stop(
    client: TestClient, ticket: str, agent: str, services: Services, db_service: DatabaseService
) -> None:
    made = client.post(f"{API}/tickets/{ticket}/tasks", json={"task_type": "work"}).json()
    assert claim(client, agent) is not None
    with db_service.get_session() as session:
        session.execute(text("update agents set last_heartbeat = now() - interval '2 minutes'"))
    assert services.housekeeping.sweep().silent_agents == 1
    late = client.post(f"{API}/agents/{agent}/tasks/{made['id']}/complete", json={"result": {"a": 1}})
    assert problem(late, 409)["code"] == "not_your_task"
    assert client.get(f"{API}/tasks/{made['id']}").json()["task"]["status"] == "pending"
    assert client.get(f"{API}/agents/{agent}").json()["status"] == "timeout"
    assert client.post(f"{API}/agents/{agent}/heartbeat").json()["tasks"] == []
    assert client.get(f"{API}/agents/{agent}").json()["status"] == "idle"


def test_a_permanent_failure_says_to_all_that_wait_what_blocks_them(
    client: TestClient, ticket: str, agent: str
) -> None:
    first = client.post(f"{API}/tickets/{ticket}/tasks", json={"task_type": "build"}).json()
    second = client.post(
        f"{API}/tickets/{ticket}/tasks", json={"task_type": "ship", "depends_on": [first["id"]]}
    ).json()
    detail = client.get(f"{API}/tasks/{second['id']}").json()
    assert detail["waits_for"] == [first["id"]]
    blocking = client.get(f"{API}/tasks/{first['id']}").json()
    assert (blocking["blocks"], blocking["blocks_count"]) == ([second["id"]], 1)
    claim(client, agent)
    fail = {"error": "no compiler", "permanent": True}
    client.post(f"{API}/agents/{agent}/tasks/{first['id']}/fail", json=fail)
    blocked = client.get(f"{API}/tasks/{second['id']}").json()["task"]
    assert blocked["status"] == "failed"
    assert blocked["error_message"].startswith(f"Blocked by task {first['id']} (build), which failed")
    revived = client.post(f"{API}/tasks/{first['id']}/retry").json()
    assert (revived["task"]["id"], revived["task"]["status"]) == (first["id"], "pending")
    assert (revived["task_ids"], revived["count"]) == ([first["id"], second["id"]], 2)


def test_lists_of_agents_and_moves_come_in_pages(client: TestClient, ticket: str) -> None:
    agents = [client.post(f"{API}/agents", json={}).json()["agent_id"] for _ in range(5)]
    page = client.get(f"{API}/agents", params={"limit": 3}).json()
    rest = client.get(f"{API}/agents", params={"cursor": page["next_cursor"]}).json()
    assert [item["agent_id"] for item in page["agents"] + rest["agents"]] == agents[::-1]
    assert rest["next_cursor"] is None
    for phase in (Phase.BLOCKED, Phase.BACKLOG, Phase.BLOCKED):
        move(client, ticket, phase)
    path = f"{API}/tickets/{ticket}/phase-history"
    page = client.get(path, params={"limit": 2}).json()
    rest = client.get(path, params={"limit": 2, "cursor": page["next_cursor"]}).json()
    moved = [item["to_phase"] for item in page["history"] + rest["history"]]
    assert moved == [Phase.BLOCKED, Phase.BACKLOG, Phase.BLOCKED]
    assert rest["next_cursor"] is None
    for cursor in ("x", "-1", "1" * 30, "²"):
        assert problem(client.get(path, params={"cursor": cursor}), 422)


def test_a_task_that_blocks_many_is_told_in_few_words(
    client: TestClient, ticket: str, services: Services
) -> None:
    first = client.post(f"{API}/tickets/{ticket}/tasks", json={"task_type": "build"}).json()["id"]
    waiting = [
        NewTask(f"w{n:03}", ticket, Phase.BACKLOG, "wait", None, depends_on=(first,)) for n in range(120)
    ]
    services.queue.enqueue_many(waiting)
    detail = client.get(f"{API}/tasks/{first}").json()
    assert (detail["blocks"], detail["blocks_count"]) == ([task.id for task in waiting[:100]], 120)
    client.post(f"{API}/tasks/{first}/cancel")
    revived = client.post(f"{API}/tasks/{first}/retry").json()
    assert (revived["count"], len(revived["task_ids"])) == (121, 100)


@pytest.mark.parametrize("phase", ["done", "blocked"])
def test_nothing_is_worked_on_where_work_has_ended(client: TestClient, ticket: str, phase: str) -> None:
    body = {"task_type": "build", "phase_id": phase}
    assert problem(client.post(f"{API}/tickets/{ticket}/tasks", json=body), 422)["field"] == "phase_id"


def test_cancelling_ends_a_task_once(client: TestClient, ticket: str) -> None:
    made = client.post(f"{API}/tickets/{ticket}/tasks", json={"task_type": "work"}).json()
    ended = client.post(f"{API}/tasks/{made['id']}/cancel", json={"reason": "not wanted"}).json()
    assert (ended["status"], ended["error_message"]) == ("failed", "Task cancelled: not wanted")
    body = problem(client.post(f"{API}/tasks/{made['id']}/cancel"), 409)
    assert body["code"] == "task_move_not_allowed"
    problem(client.post(f"{API}/tasks/nobody/cancel"), 404)


def test_lists_of_tasks_are_paged_and_filtered_and_leave_results_out(
    client: TestClient, ticket: str, agent: str
) -> None:
    made = [
        client.post(f"{API}/tickets/{ticket}/tasks", json={"task_type": f"work {number}"}).json()["id"]
        for number in range(5)
    ]
    first = claim(client, agent)
    assert first is not None
    assert first["id"] == made[0]
    client.post(f"{API}/agents/{agent}/tasks/{first['id']}/complete", json={"result": {"big": "x"}})
    seen: list[str] = []
    given: dict[str, str | int] = {"ticket_id": ticket, "limit": 2}
    while True:
        page = client.get(f"{API}/tasks", params=given).json()
        seen += [task["id"] for task in page["tasks"]]
        assert all(task["result"] is None for task in page["tasks"])
        if page["next_cursor"] is None:
            break
        given["cursor"] = page["next_cursor"]
    assert seen == made[::-1]
    done = client.get(f"{API}/tasks", params={"status": "completed", "agent_id": agent}).json()["tasks"]
    assert [task["id"] for task in done] == [made[0]]
    for unusable in ({"status": "sleeping"}, {"phase_id": "x"}, {"cursor": "x"}, {"limit": 0}):
        problem(client.get(f"{API}/tasks", params=unusable), 422)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"task_type": "x", "depends_on": ["nobody"]}, "unknown_dependency"),
        ({"task_type": "x", "priority": "SOON"}, "invalid_input"),
        ({"task_type": "x", "phase_id": "PHASE_X"}, "unknown_phase"),
        ({"task_type": "x", "phase_id": ""}, "unknown_phase"),
        ({"task_type": "x", "max_retries": -1}, "invalid_request"),
        ({"task_type": "x", "timeout_seconds": 0}, "invalid_request"),
        ({"task_type": "x", "timeout_seconds": True}, "invalid_request"),
        ({"task_type": "x", "capabilities": [""]}, "invalid_input"),
        ({"task_type": "x", "surprise": 1}, "invalid_request"),
        ({"task_type": " "}, "invalid_input"),
        ({}, "invalid_request"),
    ],
)
def test_a_task_that_cannot_be_is_refused_with_its_reason(
    client: TestClient, ticket: str, body: dict[str, Any], code: str
) -> None:
    assert problem(client.post(f"{API}/tickets/{ticket}/tasks", json=body), 422)["code"] == code


def test_agents_register_take_what_they_can_and_are_listed(client: TestClient, ticket: str) -> None:
    tester = client.post(
        f"{API}/agents",
        json={"agent_type": "tester", "capabilities": ["testing"], "phase_id": "testing"},
    ).json()
    assert (tester["healthy"], tester["status"], tester["phase_id"]) == (True, "idle", Phase.TESTING)
    client.post(
        f"{API}/tickets/{ticket}/tasks",
        json={"task_type": "deploy", "capabilities": ["deployment"], "phase_id": "testing"},
    )
    client.post(f"{API}/tickets/{ticket}/tasks", json={"task_type": "elsewhere", "phase_id": "design"})
    assert claim(client, tester["agent_id"]) is None
    wide = claim(client, tester["agent_id"], capabilities=["testing", "deployment"])
    assert wide is not None
    assert wide["task_type"] == "deploy"
    assert [item["status"] for item in client.get(f"{API}/agents").json()["agents"]] == ["running"]


def test_an_empty_phase_is_not_one_that_was_left_out(client: TestClient, agent: str) -> None:
    claimed = client.post(f"{API}/agents/{agent}/claim", json={"phase_id": ""})
    assert problem(claimed, 422)["code"] == "unknown_phase"


def test_a_phase_in_which_nothing_is_worked_on_generates_no_tasks_and_says_so(
    client: TestClient, ticket: str
) -> None:
    for asked in ({}, {"phase_id": "done"}, {"phase_id": "blocked"}):
        refused = client.post(f"{API}/tickets/{ticket}/generate-tasks", params=asked)
        assert problem(refused, 422)["code"] == "template_invalid"


@pytest.mark.parametrize("percent", [True, "50", -1, 101])
def test_a_progress_that_is_no_percentage_is_refused(client: TestClient, agent: str, percent: object) -> None:
    problem(client.post(f"{API}/agents/{agent}/tasks/x/progress", json={"percent": percent}), 422)


def test_a_reason_for_a_move_is_bounded(client: TestClient, ticket: str) -> None:
    said = {"to_phase": "blocked", "reason": "x" * 2001}
    problem(client.post(f"{API}/tickets/{ticket}/transition", json=said), 422)


@pytest.mark.parametrize("agent_id", ["nobody", "%00", "x" * 300])
@pytest.mark.parametrize("what", ["heartbeat", "claim"])
def test_an_agent_that_never_registered_is_not_found(client: TestClient, agent_id: str, what: str) -> None:
    assert problem(client.post(f"{API}/agents/{agent_id}/{what}"), 404)


@pytest.mark.parametrize("task_id", ["nobody", "%00", "x" * 300])
@pytest.mark.parametrize("what", ["progress", "complete", "release"])
def test_a_task_that_is_not_there_is_not_found(
    client: TestClient, agent: str, task_id: str, what: str
) -> None:
    assert problem(client.post(f"{API}/agents/{agent}/tasks/{task_id}/{what}"), 404)
    assert problem(client.get(f"{API}/tasks/{task_id}"), 404)
