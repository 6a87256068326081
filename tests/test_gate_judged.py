"""The whole way: HTTP or the command line, the gate, the real agent, a scripted model, and back."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import update

from omoi_os.api.app import create_app
from omoi_os.bootstrap import Services, services_on
from omoi_os.domain.policy import read_policy
from omoi_os.embedded import EmbeddedPostgres
from omoi_os.judge.scripted import Answer, Request, Script, ScriptedModel, fails, finish, says
from omoi_os.models import PhaseGateArtifact, Task, Ticket
from omoi_os.models.phases import Phase
from omoi_os.services.database import DatabaseService
from omoi_os.services.phase_gate import ReviewTerms
from omoi_os.settings import Settings
from omoi_os.utils.tokens import Tokens
from tests.agent_runs import KEY, always, load_library
from tests.command import omoi
from tests.evidence_texts import REQUIREMENTS
from tests.workers import MARKS, doors, judged_by, judging_settings, worker

pytestmark = MARKS

CRITERIA = ("covers_ticket", "bounded", "checkable")
QUOTE = next(line for line in REQUIREMENTS.splitlines() if len(line) > 40)


@pytest.fixture(autouse=True, scope="module")
def _library() -> None:
    load_library()


def code_in(request: Request) -> str:
    found = re.search(r"in `review`: ([0-9a-f]{8})\.", request.text())
    assert found
    return found[1]


def answers(answer: str, **instead: str) -> Script:
    """Answers every criterion with a quote that is there; `instead` names other answers."""

    def script(request: Request) -> Answer:
        given = [
            {
                "criterion": criterion,
                "answer": instead.get(criterion, answer),
                "quote": QUOTE,
                "where": "requirements_document",
                "reasoning": "It stands there.",
            }
            for criterion in CRITERIA
        ]
        return says(None, finish(review=code_in(request), answers=given))

    return script


@pytest.fixture
def ticket(db_service: DatabaseService) -> str:
    """A ticket whose rules pass."""
    phase = Phase.REQUIREMENTS
    with db_service.get_session() as session:
        made = Ticket(title="Reset passwords", description="By mail.", phase_id=phase)
        session.add(made)
        session.flush()
        session.add(Task(ticket_id=made.id, phase_id=phase, task_type="write", status="completed"))
        content = {"content": REQUIREMENTS}
        session.add(
            PhaseGateArtifact(
                ticket_id=made.id,
                phase_id=phase,
                artifact_type="requirements_document",
                artifact_content=content,
                collected_by="ada",
            )
        )
        return made.id


class Door:
    """The API with a scripted judge behind it."""

    def __init__(self, client: TestClient, server: ScriptedModel) -> None:
        self.client = client
        self.server = server

    def validate(self, ticket: str, **asked: Any) -> dict[str, Any]:
        answer = self.client.post(f"/api/v1/tickets/{ticket}/validate-gate", params={"wait": 60, **asked})
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said


type Open = Callable[[Script], Door]


@pytest.fixture(scope="module")
def served(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """What an API and a worker have; the worker is in this process."""
    settings = Settings(workspaces=tmp_path_factory.mktemp("snapshots"), retry_seconds=0.1)
    with doors(postgres.ensure(), settings) as services, worker(services):
        yield services


@pytest.fixture
def door(served: Services, db_service: DatabaseService, tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as stack:

        def open_(script: Script) -> Door:
            server = stack.enter_context(judged_by(served, script, tmp_path / "home"))
            return Door(TestClient(create_app(served), base_url="http://localhost"), server)

        yield open_


def test_a_judged_pass_goes_through_http_to_the_model_and_back(door: Open, ticket: str) -> None:
    api = door(answers("met"))
    said = api.validate(ticket)
    assert said["gate_status"] == "passed", said
    assert said["judge"]["asked"] is True
    assert said["judge"]["model"] == "openai/scripted"
    assert len(said["judge"]["prompts_digest"]) == 64
    assert said["judge"]["usage"]["llm_calls"] == 1
    assert {item["criterion"] for item in said["findings"]} >= {f"judge.{name}" for name in CRITERIA} or {
        item["code"] for item in said["findings"]
    } >= {"judge_met"}
    assert "passed" in said["feedback"]
    asked = len(api.server.requests)
    again = api.validate(ticket)
    assert (again["result_id"], len(api.server.requests)) == (
        said["result_id"],
        asked,
    )  # nothing is paid twice
    shown = api.client.get(f"/api/v1/gate-results/{said['result_id']}").json()
    assert shown["gate_status"] == "passed"


def test_a_full_summary_of_earlier_phases_reaches_the_judge_whole(
    door: Open, ticket: str, db_service: DatabaseService
) -> None:
    with db_service.get_session() as session:
        session.add(
            Task(
                ticket_id=ticket,
                phase_id=Phase.BACKLOG,
                task_type="think",
                status="completed",
                result={"decisions": " ".join(map(str, range(3_500)))},  # cut to the last token
            )
        )
    api = door(answers("met"))
    assert api.validate(ticket)["gate_status"] == "passed"
    told = api.server.requests[-1].text().partition("earlier phases\n")[2].partition(">>>")[0]
    assert 3_940 < Tokens().count(told) < 4_000
    assert re.search(r"\n\(left out: 0 of 1 items; cut: 1; .*\)\n[0-9a-f]{16}$", told)
    assert "are left out here" not in api.server.requests[-1].text()


def test_the_transcript_says_what_was_asked_and_answered_and_no_key(door: Open, ticket: str) -> None:
    api = door(answers("met"))
    said = api.validate(ticket)
    answer = api.client.get(f"/api/v1/gate-results/{said['result_id']}/transcript")
    assert answer.status_code == 200, answer.text
    (conversation,) = answer.json()["transcripts"]
    assert conversation["llm_calls"] == 1
    words = json.dumps(conversation)
    assert "Reset passwords" in words
    assert KEY not in words
    missing = api.client.get("/api/v1/gate-results/nobody/transcript")
    assert missing.status_code == 404


def test_a_failed_rule_spends_no_model(door: Open, ticket: str, db_service: DatabaseService) -> None:
    with db_service.get_session() as session:
        session.add(Task(ticket_id=ticket, phase_id=Phase.REQUIREMENTS, task_type="more"))
    api = door(answers("met"))
    said = api.validate(ticket)
    assert (said["gate_status"], said["code"]) == ("failed", "tasks_open")
    assert (said["judge"]["asked"], api.server.requests) == (False, [])
    gone = api.client.get(f"/api/v1/gate-results/{said['result_id']}/transcript")
    assert gone.status_code == 404
    assert "A rule failed" in gone.json()["detail"]


def test_what_the_judge_finds_missing_blocks_with_its_reason(door: Open, ticket: str) -> None:
    said = door(answers("met", bounded="not_met")).validate(ticket)
    assert (said["gate_status"], said["code"]) == ("failed", "judge_not_met")
    assert any("bounded" in reason for reason in said["blocking_reasons"])
    assert said["convergence"]["new"]


def test_an_outage_is_inconclusive_and_the_next_request_asks_again(door: Open, ticket: str) -> None:
    turns = iter([fails(503)])
    api = door(lambda request: next(turns, None) or answers("met")(request))
    said = api.validate(ticket)
    # The executor tries a few times by itself; whichever way, no pass without an answer.
    assert said["gate_status"] in ("passed", "inconclusive")
    assert api.validate(ticket, force=True)["gate_status"] == "passed"


def test_each_attempt_asks_the_judge_anew_and_so_does_each_request_after_them(
    door: Open, ticket: str
) -> None:
    good = threading.Event()
    api = door(lambda request: answers("met")(request) if good.is_set() else says("Well."))
    said = api.validate(ticket)
    assert (said["gate_status"], said["code"]) == ("inconclusive", "no_submission")
    # Each attempt puts the question, and twice says what was wrong.
    assert [request.turn for request in api.server.requests] == [0, 1, 2] * 3
    good.set()
    assert api.validate(ticket)["gate_status"] == "passed"
    assert len(api.server.requests) == 10


def test_force_asks_a_judge_that_has_answered_once_more(door: Open, ticket: str) -> None:
    api = door(answers("met"))
    said = [api.validate(ticket, force=True) for _ in range(3)]
    assert [one["judge"]["usage"]["llm_calls"] for one in said] == [1, 1, 1]
    assert len(api.server.requests) == 3
    for one, request in zip(said, api.server.requests, strict=True):
        shown = api.client.get(f"/api/v1/gate-results/{one['result_id']}/transcript")
        assert code_in(request) in shown.text


@pytest.mark.parametrize("answer", [always(says("Well.")), answers("met")], ids=["nothing", "passed"])
def test_force_asks_anew_where_the_caller_waits(
    answer: Script, ticket: str, db_service: DatabaseService, tmp_path: Path
) -> None:
    with ScriptedModel(answer) as server:
        gates = services_on(db_service, judging_settings(server, tmp_path / "home")).gates
        gates.validate_gate(ticket, Phase.REQUIREMENTS)
        asked = len(server.requests)
        gates.validate_gate(ticket, Phase.REQUIREMENTS, terms=ReviewTerms(force=True))
        assert len(server.requests) == 2 * asked


def test_a_judge_is_told_what_the_ticket_says_now(
    ticket: str, db_service: DatabaseService, tmp_path: Path
) -> None:
    with ScriptedModel(answers("met")) as server:
        gates = services_on(db_service, judging_settings(server, tmp_path / "home")).gates
        gates.validate_gate(ticket, Phase.REQUIREMENTS)
        with db_service.get_session() as session:
            session.execute(update(Ticket).values(description="By telephone."))
        gates.validate_gate(ticket, Phase.REQUIREMENTS, terms=ReviewTerms(force=True))
        assert ["By telephone." in request.text() for request in server.requests] == [False, True]


def test_a_wrong_key_names_itself_and_is_not_shown(door: Open, ticket: str) -> None:
    said = door(always(fails(401))).validate(ticket)
    assert (said["gate_status"], said["code"]) == ("inconclusive", "misconfigured")
    assert KEY not in json.dumps(said)
    assert "OMOI_JUDGE" in json.dumps(said["blocking_reasons"])


def test_another_model_or_other_prompts_make_the_verdict_stale(
    door: Open, ticket: str, db_service: DatabaseService
) -> None:
    assert door(answers("met")).validate(ticket)["gate_status"] == "passed"
    settings = Settings(judge_model="openai/another", judge_base_url="http://127.0.0.1:9/v1")
    state = services_on(db_service, settings).gates.check_gate_requirements(ticket, Phase.REQUIREMENTS)
    assert state["stale_reasons"] == ["the judge is another model"]
    state = services_on(db_service, Settings()).gates.check_gate_requirements(ticket, Phase.REQUIREMENTS)
    assert state["stale_reasons"] == ["the judge's prompts changed", "the judge is another model"]


def test_a_judge_that_is_required_and_missing_holds_the_gate(
    ticket: str, db_service: DatabaseService, tmp_path: Path
) -> None:
    policy = tmp_path / "omoi.yaml"
    policy.write_text("version: 1\nphases:\n  requirements:\n    judge: required\n")
    services = services_on(db_service, Settings(policy=policy))
    result = services.gates.validate_gate(ticket, Phase.REQUIREMENTS)
    assert result.gate_status == "inconclusive"
    assert (result.validation_result or {})["code"] == "judge_missing"
    assert read_policy({"version": 1})  # without a word of a judge, rules decide alone
    alone = services_on(db_service, Settings()).gates.validate_gate(ticket, Phase.REQUIREMENTS)
    assert alone.gate_status == "passed"
    assert (alone.validation_result or {})["judge"]["asked"] is False


def test_a_folder_is_judged_from_the_command_line(
    tmp_path: Path, postgres: EmbeddedPostgres, db_service: DatabaseService
) -> None:
    work = tmp_path / "work"
    (work / "docs").mkdir(parents=True)
    (work / "docs/requirements.md").write_text(REQUIREMENTS)
    environment = {"OMOI_DATABASE_URL": postgres.ensure(), "OMOI_HOME": str(tmp_path / "home")}
    asked = ("review", work, "--phase", "requirements", "--judge", "--json")
    missing = omoi(*asked, cwd=tmp_path, **environment)
    assert (missing.returncode, json.loads(missing.stdout)["code"]) == (3, "judge_missing")
    with ScriptedModel(answers("met")) as server:
        environment |= {
            "OMOI_JUDGE_MODEL": "openai/scripted",
            "OMOI_JUDGE_API_KEY": KEY,
            "OMOI_JUDGE_BASE_URL": server.url,
        }
        judged = omoi(*asked, cwd=tmp_path, **environment)
        shown = omoi(
            *("gate", "show", json.loads(judged.stdout)["result_id"], "--transcript"),
            cwd=tmp_path,
            **environment,
        )
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert json.loads(judged.stdout)["judge"]["asked"] is True
    assert "model calls" in shown.stdout
    assert KEY not in judged.stdout + judged.stderr + shown.stdout


@pytest.mark.parametrize(
    ("mode", "status", "code"),
    [("auto", "passed", None), ("required", "inconclusive", "judge_not_calibrated")],
)
def test_a_judge_without_a_calibration_that_the_policy_asks_for_does_not_decide(
    mode: str, status: str, code: str | None, ticket: str, db_service: DatabaseService, tmp_path: Path
) -> None:
    policy = tmp_path / "omoi.yaml"
    policy.write_text(
        f"version: 1\nphases:\n  requirements:\n    judge:\n      mode: {mode}\n      max_wrong_passes: 10\n"
    )
    with ScriptedModel(answers("met", bounded="not_met")) as server:
        settings = Settings(
            policy=policy,
            home=tmp_path / "home",
            judge_model="openai/scripted",
            judge_api_key=SecretStr(KEY),
            judge_base_url=server.url,
        )
        result = services_on(db_service, settings).gates.validate_gate(ticket, Phase.REQUIREMENTS)
    details = result.validation_result or {}
    assert (result.gate_status, details["code"]) == (status, code)
    told = [item["severity"] for item in details["findings"] if item["code"] == "judge_not_met"]
    assert told == (["warn"] if mode == "auto" else [])
