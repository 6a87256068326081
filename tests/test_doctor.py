"""What `omoi doctor` says of a machine, and that it says no key."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from pydantic import SecretStr

from omoi_os.errors import DatabaseUnavailable
from omoi_os.judge.scripted import Answer, Script, ScriptedModel, fails, finishes, hangs_up, says
from omoi_os.services.budgets import BudgetLimits, BudgetService
from omoi_os.services.database import DatabaseService
from omoi_os.services.doctor import Check, State, examine
from omoi_os.services.fleet import Fleet, FleetService
from omoi_os.settings import Settings
from tests.agent_runs import always, load_library
from tests.command import omoi

pytestmark = pytest.mark.filterwarnings("ignore:Cost calculation failed:UserWarning")
KEY = "sk-live-0123456789abcdef"


@pytest.fixture(scope="module")
def _library() -> None:
    load_library()


@dataclass(frozen=True)
class Reached:
    """A database that was opened, as far as the doctor looks into it."""

    seen: Fleet

    @property
    def fleet(self) -> Self:
        return self

    def look(self) -> Fleet:
        return self.seen


NOBODY = Fleet(workers=0, reviews=0, oldest_seconds=None)


@contextmanager
def reached(seen: Fleet = NOBODY) -> Iterator[Reached]:
    yield Reached(seen)


def unreachable() -> AbstractContextManager[None]:
    raise DatabaseUnavailable("nobody answers at db:5432")


def settings(folder: Path, **changes: Any) -> Settings:
    return Settings(**{"home": folder / "home", "workspace_roots": str(folder), **changes})


def checks(given: Settings, database: Any = reached) -> dict[str, Check]:
    return {check.name: check for check in examine(given, database)}


@pytest.mark.parametrize(
    ("seen", "state", "found"),
    [
        (NOBODY, State.SKIPPED, "none lives"),
        (Fleet(0, 2, 61.4), State.FAIL, "no worker lives, and 2 reviews are pending, the oldest for 61 s"),
        (Fleet(3, 0, None), State.OK, "3 alive; 0 reviews are pending"),
    ],
)
def test_reviews_that_wait_for_a_worker_that_is_not_there_are_told(
    tmp_path: Path, seen: Fleet, state: State, found: str
) -> None:
    check = checks(settings(tmp_path), lambda: reached(seen))["workers"]
    assert (check.state, check.found.startswith(found)) == (state, True)
    assert ("omoi worker" in check.fix) is (state is State.FAIL)
    assert checks(settings(tmp_path), unreachable)["workers"].state is State.SKIPPED


def test_a_machine_without_a_model_is_fine_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = checks(settings(tmp_path))
    assert list(found) == [
        "python",
        "git",
        "database",
        "workers",
        "budgets",
        "policy",
        "workspaces",
        "snapshots",
        "prompts",
        "vocabulary",
        "judge",
    ]
    assert {name for name, check in found.items() if check.state is not State.OK} == {
        "budgets",
        "workers",
        "judge",
    }
    assert found["judge"].state is State.SKIPPED
    assert "OMOI_JUDGE_MODEL" in found["judge"].found


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "omoi.yaml").write_text("version: 1\nphases: 3\n")
    (tmp_path / "prompts").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PATH", str(tmp_path))
    given = settings(
        tmp_path,
        policy=tmp_path / "omoi.yaml",
        workspace_roots=f"{tmp_path}:{tmp_path / 'nowhere'}",
        workspaces=tmp_path / "file" / "snapshots",
        prompts=tmp_path / "prompts",
        database_url="postgresql://db:5432/omoi",
    )
    found = checks(given, unreachable)
    wrong = {name: check for name, check in found.items() if check.state is State.FAIL}
    assert set(wrong) == {"git", "database", "policy", "workspaces", "snapshots", "prompts"}
    assert all(check.fix for check in wrong.values())
    assert "omoi.yaml:2:" in wrong["policy"].found
    assert "nowhere" in wrong["workspaces"].found
    assert "db:5432" in wrong["database"].found


def test_a_policy_that_cannot_be_read_hides_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "omoi.yaml").write_text("versoin: 1\n")
    done = omoi("doctor", "--json", cwd=tmp_path, OMOI_HOME=str(tmp_path / "home"))
    found = {check["name"]: check for check in json.loads(done.stdout)}
    assert done.returncode == 1
    assert found["policy"]["state"] == "fail"
    assert "versoin" in found["policy"]["found"]
    assert found["database"]["state"] == "skipped"
    assert found["git"]["state"] == "ok"


def test_a_git_that_does_not_run_is_not_a_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert checks(settings(tmp_path))["git"].state is State.FAIL


ANSWERS: list[tuple[str, Answer, State, str]] = [
    ("answers", finishes(ready=True), State.OK, "answers in"),
    ("prose", says("I am ready."), State.FAIL, "can call tools"),
    ("empty", says(""), State.FAIL, "can call tools"),
    ("wrong shape", finishes(ready="yes"), State.FAIL, "can call tools"),
    ("401", fails(401, f"Incorrect API key provided: {KEY}"), State.FAIL, "OMOI_JUDGE_API_KEY"),
    ("404", fails(404, "The model does not exist", code="model_not_found"), State.FAIL, "OMOI_JUDGE_MODEL"),
    ("429", fails(429, "slow down"), State.FAIL, "Wait"),
    ("quota", fails(429, "You exceeded your quota", code="insufficient_quota"), State.FAIL, "quota"),
    ("500", fails(500), State.FAIL, "OMOI_JUDGE_BASE_URL"),
    ("hangs up", hangs_up(), State.FAIL, "OMOI_JUDGE_BASE_URL"),
    ("refuses", says(None, refusal="no"), State.FAIL, "refuses"),
]


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize(
    ("answer", "state", "said"), [one[1:] for one in ANSWERS], ids=[one[0] for one in ANSWERS]
)
def test_the_model_is_asked_once_and_the_answer_explained(
    tmp_path: Path, answer: Answer, state: State, said: str
) -> None:
    script: Script = always(answer)
    with ScriptedModel(script) as model:
        given = settings(
            tmp_path,
            judge_model="openai/scripted",
            judge_api_key=SecretStr(KEY),
            judge_base_url=model.url,
        )
        check = checks(given)["judge"]
    assert len(model.requests) == 1
    assert check.state is state, check
    assert said in f"{check.found} {check.fix}"
    assert KEY not in f"{check}"


class WithBudgets:
    def __init__(self, budgets: BudgetService) -> None:
        self.budgets = budgets
        self.fleet = FleetService(budgets.db, 12.0)


def test_the_budgets_in_force_and_what_is_left_of_them(tmp_path: Path, db_service: DatabaseService) -> None:
    given = settings(tmp_path, judge_usd_per_day=5, model_calls_per_minute=30)
    service = BudgetService(db_service, BudgetLimits.of(given))
    service.reserve(1.25)

    @contextmanager
    def database() -> Iterator[WithBudgets]:
        yield WithBudgets(service)

    check = checks(given, database)["budgets"]
    assert check.state is State.OK
    assert "30 model calls per minute" in check.found
    assert "$5.00 per day, of which $3.75 are left" in check.found
    assert checks(given, unreachable)["budgets"].state is State.FAIL


@pytest.mark.usefixtures("_library")
def test_the_question_to_the_model_counts_as_a_call(tmp_path: Path, db_service: DatabaseService) -> None:
    with ScriptedModel(always(finishes(ready=True))) as model:
        given = settings(
            tmp_path,
            judge_model="openai/scripted",
            judge_api_key=SecretStr(KEY),
            judge_base_url=model.url,
            model_calls_per_minute=3,
        )
        service = BudgetService(db_service, BudgetLimits.of(given))

        @contextmanager
        def database() -> Iterator[WithBudgets]:
            yield WithBudgets(service)

        assert checks(given, database)["judge"].state is State.OK
        assert service.state().calls_last_minute == len(model.requests) == 1
        assert checks(given, unreachable)["judge"].state is State.FAIL
        assert len(model.requests) == 1


def test_the_command_says_it_in_lines_and_as_json(tmp_path: Path) -> None:
    database = "postgresql://u:canary-5f0c7d1e9a@127.0.0.1:9/x"
    lines = omoi("doctor", cwd=tmp_path, OMOI_DATABASE_URL=database, OMOI_WORKSPACE_ROOTS=str(tmp_path))
    assert lines.returncode == 1, lines.stderr
    assert "FAIL" in lines.stdout
    assert "canary" not in lines.stdout + lines.stderr
    told = omoi(
        "doctor", "--json", cwd=tmp_path, OMOI_DATABASE_URL=database, OMOI_WORKSPACE_ROOTS=str(tmp_path)
    )
    states = {check["name"]: check["state"] for check in json.loads(told.stdout)}
    assert (states["database"], states["git"], states["judge"]) == ("fail", "ok", "skipped")
