"""Budgets where they are enforced: before each request to a model, and before a judge's conversation."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from omoi_os.bootstrap import Services, services_on
from omoi_os.domain.judging import JudgeQuestion
from omoi_os.domain.phases import Phase
from omoi_os.domain.policy import JudgePolicy
from omoi_os.domain.policy.phase import JudgeCriterion, JudgeLimits
from omoi_os.embedded import EmbeddedPostgres
from omoi_os.errors import DatabaseUnavailable
from omoi_os.judge.run import AgentRun, AgentTask, Host, Model, Pace, RunOutcome, Stage, Usage
from omoi_os.judge.scripted import Answer, Request, ScriptedModel, fails, says
from omoi_os.services.agent_executor import AgentExecutor
from omoi_os.services.budgeted_judge import BudgetedJudge
from omoi_os.services.budgets import BudgetLimits, BudgetService
from omoi_os.services.database import DatabaseService
from omoi_os.services.judging import AgentJudge
from omoi_os.settings import Settings
from omoi_os.utils.tokens import Tokens
from tests.agent_runs import KEY, QUICK, Review, always, good, load_library
from tests.command import omoi
from tests.test_gate_judged import answers, ticket

pytestmark = [
    pytest.mark.filterwarnings("ignore:Cost calculation failed:UserWarning"),
    pytest.mark.filterwarnings("ignore:Item .* on TypedDict class"),
]
__all__ = ["ticket"]


@pytest.fixture(autouse=True, scope="module")
def _library() -> None:
    load_library()


def task() -> AgentTask:
    return AgentTask("You review.", (Stage("Review the work.", Review),))


def executor(
    folder: Path, url: str, pace: Pace, name: str = "openai/scripted", **limits: Any
) -> AgentExecutor:
    model = Model(name, SecretStr(KEY), url, pace=pace)
    return AgentExecutor(folder, model=model, limits=replace(QUICK, **limits))


@dataclass
class Gatekeeper:
    """A pace that a test opens and shuts."""

    open: bool = True
    asked: int = 0
    fault: Exception | None = None
    seconds: float = 0.0

    async def pace(self) -> None:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        await asyncio.sleep(self.seconds)
        while not self.open:
            await asyncio.sleep(0.01)


# Calls per minute


@dataclass
class Times:
    """When a scripted model was asked."""

    moments: list[float] = field(default_factory=list)

    def script(self, _: Request) -> Answer:
        self.moments.append(time.monotonic())
        return fails(503) if len(self.moments) <= 4 else good()


def test_no_window_at_the_server_sees_more_requests_than_the_cap(
    db_service: DatabaseService, workspace: Path
) -> None:
    """Tries again after outages included: each is a request."""
    most, rest, slack = 4, 1.5, 0.7
    services = [BudgetService(db_service, BudgetLimits(calls_per_minute=most), rest=rest) for _ in range(3)]
    times = Times()

    def one(number: int) -> AgentRun:
        pace = services[number % 3].pace
        return executor(workspace, model.url, pace, wall_clock_seconds=60, llm_attempts=3).run(task())

    with ScriptedModel(times.script) as model, ThreadPoolExecutor(16) as pool:
        runs = list(pool.map(one, range(16)))
    assert {run.outcome for run in runs} == {RunOutcome.ACCEPTED}
    moments = sorted(times.moments)
    assert len(moments) == 20
    assert all(late - early > rest - slack for early, late in zip(moments, moments[most:], strict=False))


def test_waiting_is_no_silence_of_the_model(workspace: Path) -> None:
    keeper = Gatekeeper(seconds=1.5)
    with ScriptedModel(always(good())) as model:
        run = executor(workspace, model.url, keeper.pace, llm_timeout_seconds=1).run(task())
    assert run.accepted, run.detail


def test_the_silence_of_a_model_is_bounded_with_a_pace_as_well(workspace: Path) -> None:
    with ScriptedModel(always(good()), seconds=5) as model:
        run = executor(workspace, model.url, Gatekeeper().pace, llm_timeout_seconds=1).run(task())
    assert run.outcome is RunOutcome.UNAVAILABLE
    assert run.usage.wall_seconds < 4


def test_the_time_for_a_run_can_end_while_it_waits_and_it_says_so(workspace: Path) -> None:
    with ScriptedModel(always(good())) as model:
        run = executor(workspace, model.url, Gatekeeper(open=False).pace, wall_clock_seconds=4).run(task())
        assert model.requests == []
    assert run.outcome is RunOutcome.RATE_LIMITED
    assert run.outcome.can_retry
    assert "model calls per minute" in run.detail
    assert run.usage.wall_seconds < 5


def test_a_slow_model_with_an_open_pace_is_the_clock_and_not_the_budget(workspace: Path) -> None:
    with ScriptedModel(always(good()), seconds=5) as model:
        run = executor(workspace, model.url, Gatekeeper().pace, wall_clock_seconds=1).run(task())
    assert run.outcome is RunOutcome.WALL_CLOCK


def test_a_run_that_waits_can_be_cancelled_at_once(workspace: Path) -> None:
    keeper = Gatekeeper(open=False)

    async def cancel() -> float:
        running = asyncio.create_task(executor(workspace, model.url, keeper.pace).arun(task()))
        while not keeper.asked:
            await asyncio.sleep(0.01)
        started = time.monotonic()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return time.monotonic() - started

    with ScriptedModel(always(good())) as model:
        assert asyncio.run(cancel()) < 1
        keeper.open = True
        time.sleep(0.1)
        assert model.requests == []


def test_where_nobody_can_say_whether_a_call_may_go_none_goes(workspace: Path) -> None:
    keeper = Gatekeeper(fault=DatabaseUnavailable("the database does not answer"))
    with ScriptedModel(always(good())) as model:
        for name in ("openai/scripted", "hosted_vllm/scripted"):
            run = executor(workspace, model.url, keeper.pace, name, llm_attempts=3).run(task())
            assert (run.outcome, run.detail) == (RunOutcome.UNAVAILABLE, "the database does not answer")
        assert model.requests == []


@pytest.mark.parametrize(
    ("name", "asked"), [("openai/scripted", 2), ("openai/gpt-5", 2), ("hosted_vllm/scripted", 1)]
)
def test_each_request_on_our_wire_is_paced_and_elsewhere_each_conversation(
    workspace: Path, name: str, asked: int
) -> None:
    keeper = Gatekeeper()
    first_fails = iter([fails(503)])
    with ScriptedModel(lambda _: next(first_fails, None) or good()) as model:
        run = executor(workspace, model.url, keeper.pace, name, llm_attempts=2).run(task())
        assert run.accepted, run.detail
        assert (keeper.asked, len(model.requests)) == (asked, 2)


# Money


PRICE = 1e-4
CALL = 1_280 * PRICE
POLICY = JudgePolicy(
    criteria=(JudgeCriterion("bounded", "It is bounded."),), limits=JudgeLimits(max_cost_usd=1.0)
)


def judged(services: Services, ticket: str) -> Any:
    return services.gates.validate_gate(ticket, Phase.REQUIREMENTS)


def settings(folder: Path, url: str, **changes: Any) -> Settings:
    return Settings(
        home=folder / "home",
        judge_model="openai/scripted",
        judge_api_key=SecretStr(KEY),
        judge_base_url=url,
        **changes,
    )


def test_a_review_without_money_is_inconclusive_and_asks_no_model(
    db_service: DatabaseService, tmp_path: Path, ticket: str
) -> None:
    with ScriptedModel(answers("met")) as model:
        services = services_on(db_service, settings(tmp_path, model.url, judge_usd_per_day=1.5))
        other = services.budgets.reserve(1.0)
        assert other
        result = judged(services, ticket)
        assert model.requests == []
        details = result.validation_result or {}
        assert (result.gate_status, details["code"]) == ("inconclusive", "budget_spent")
        assert "the budget begins anew at 2" in json.dumps(details["findings"])
        assert details["judge"]["can_retry"] is True
        services.budgets.settle(other, 0.5)
        assert judged(services, ticket).gate_status == "passed"
        assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("prices", "reserved", "spent"),
    [({"judge_input_price": 1e-6, "judge_output_price": 1e-6}, 0.0, 0.00128), ({}, 0.0, 1.0)],
    ids=["known", "unknown"],
)
def test_an_opinion_is_settled_with_what_it_cost_or_with_all_that_was_reserved(
    prices: dict[str, float],
    reserved: float,
    spent: float,
    db_service: DatabaseService,
    tmp_path: Path,
    ticket: str,
) -> None:
    with ScriptedModel(answers("met")) as model:
        services = services_on(db_service, settings(tmp_path, model.url, judge_usd_per_day=5, **prices))
        assert judged(services, ticket).gate_status == "passed"
    state = services.budgets.state()
    assert (state.reserved_usd, state.spent_usd) == (reserved, spent)


def test_an_outage_uses_up_no_money(db_service: DatabaseService, tmp_path: Path, ticket: str) -> None:
    with ScriptedModel(always(fails(401))) as model:
        services = services_on(db_service, settings(tmp_path, model.url, judge_usd_per_day=1))
        for _ in range(3):
            assert (judged(services, ticket).validation_result or {})["code"] == "misconfigured"
    assert services.budgets.state().left_usd == 1.0


def paid(db_service: DatabaseService, folder: Path, url: str) -> tuple[BudgetedJudge, BudgetService]:
    budgets = BudgetService(db_service, BudgetLimits(usd_per_day=10.0))
    model = Model("openai/scripted", SecretStr(KEY), url, PRICE, PRICE)
    return BudgetedJudge(AgentJudge(model, transcripts=folder / "runs"), budgets), budgets


def test_an_opinion_that_is_read_again_is_paid_once(db_service: DatabaseService, tmp_path: Path) -> None:
    with ScriptedModel(always(says("Well."))) as model:
        judge, budgets = paid(db_service, tmp_path, model.url)
        opinions = [judge.opinion(question(), None, POLICY, conversation_id=UUID(int=7)) for _ in range(3)]
        assert len(model.requests) == 3
    state = budgets.state()
    assert state.reserved_usd == 0
    assert state.spent_usd == pytest.approx(3 * CALL)
    # The verdict tells what its conversation cost, whoever paid.
    assert [opinion.usage.cost_usd for opinion in opinions] == [pytest.approx(3 * CALL)] * 3


def test_each_call_of_a_conversation_that_an_outage_ended_is_paid_once(
    db_service: DatabaseService, tmp_path: Path
) -> None:
    back = threading.Event()

    def script(request: Request) -> Answer:
        return fails(401) if request.turn == 1 and not back.is_set() else says("Well.")

    with ScriptedModel(script) as model:
        judge, budgets = paid(db_service, tmp_path, model.url)
        spent = []
        for _ in range(3):
            judge.opinion(question(), None, POLICY, conversation_id=UUID(int=7))
            spent.append(budgets.state().spent_usd)
        back.set()
        judge.opinion(question(), None, POLICY, conversation_id=UUID(int=7))
    assert spent == [pytest.approx(CALL)] * 3
    assert budgets.state().spent_usd == pytest.approx(3 * CALL)


@pytest.mark.parametrize(
    ("now", "before", "added"),
    [
        (Usage(cost_usd=0.3, llm_calls=3), Usage(), Usage(cost_usd=0.3, llm_calls=3)),
        (
            Usage(cost_usd=0.75, llm_calls=3),
            Usage(cost_usd=0.5, llm_calls=2),
            Usage(cost_usd=0.25, llm_calls=1),
        ),
        (Usage(cost_usd=0.5, llm_calls=2), Usage(cost_usd=0.5, llm_calls=2), Usage(cost_usd=0.0)),
        (Usage(cost_usd=0.5, llm_calls=3), Usage(cost_usd=0.5, llm_calls=2), Usage(llm_calls=1)),
        (Usage(cost_usd=0.5, llm_calls=3), Usage(llm_calls=2), Usage(cost_usd=0.5, llm_calls=1)),
        (Usage(llm_calls=3), Usage(llm_calls=2), Usage(llm_calls=1)),
        (Usage(llm_calls=2), Usage(llm_calls=2), Usage()),
    ],
    ids=["first", "more", "nothing", "no price any more", "a price since", "no price", "nothing, no price"],
)
def test_what_a_run_added_is_told_apart_from_what_was_there(now: Usage, before: Usage, added: Usage) -> None:
    assert now.since(before) == added


def question() -> JudgeQuestion:
    return JudgeQuestion(
        phase=Phase.REQUIREMENTS, title="t", description="d", criteria=POLICY.criteria, artifacts=()
    )


def test_a_process_that_dies_while_it_judges_leaves_the_money_reserved(db_service: DatabaseService) -> None:
    budgets = BudgetService(db_service, BudgetLimits(usd_per_day=1.0))

    class Dying(Tokens):
        def count(self, *_: object) -> int:
            raise KeyboardInterrupt

    judge = AgentJudge(Model("openai/scripted", SecretStr(KEY)), tokens=Dying())
    with pytest.raises(KeyboardInterrupt):
        BudgetedJudge(judge, budgets).opinion(question(), None, POLICY)
    assert budgets.state().reserved_usd == 1.0


def test_what_an_agent_server_used_is_not_guessed(db_service: DatabaseService) -> None:
    budgets = BudgetService(db_service, BudgetLimits(usd_per_day=1.0))
    model = Model("openai/scripted", SecretStr(KEY), "http://127.0.0.1:9/v1")
    judge = AgentJudge(model, limits=replace(QUICK, max_cost_usd=0.4), host=Host("http://127.0.0.1:9"))
    opinion = BudgetedJudge(judge, budgets).opinion(question(), None, POLICY)
    assert opinion.passed is None
    assert budgets.state().spent_usd == 0.4


def test_two_judges_need_twice_the_money_and_one_that_no_day_can_pay_is_told(
    db_service: DatabaseService,
) -> None:
    budgets = BudgetService(db_service, BudgetLimits(usd_per_day=1.5))
    judge = BudgetedJudge(AgentJudge(Model("openai/scripted", SecretStr(KEY))), budgets)
    opinion = judge.opinion(question(), None, replace(POLICY, judges=2, second_model="openai/other"))
    assert (opinion.code, opinion.can_retry, opinion.passed) == ("budget_spent", False, None)
    assert "one review may cost $2.00" in opinion.feedback


def test_a_conversation_without_a_limit_of_cost_is_not_begun(db_service: DatabaseService) -> None:
    budgets = BudgetService(db_service, BudgetLimits(usd_per_day=1.5))
    agent = AgentJudge(Model("openai/scripted", SecretStr(KEY)), limits=QUICK)
    opinion = BudgetedJudge(agent, budgets).opinion(question(), None, POLICY)
    assert (opinion.code, opinion.passed) == ("misconfigured", None)


def test_the_command_shows_what_is_left(
    postgres: EmbeddedPostgres, db_service: DatabaseService, tmp_path: Path
) -> None:
    BudgetService(db_service, BudgetLimits(usd_per_day=5)).reserve(1.25)
    BudgetService(db_service, BudgetLimits(calls_per_minute=9)).reserve_call()
    environment = {
        "OMOI_DATABASE_URL": postgres.ensure(),
        "OMOI_JUDGE_USD_PER_DAY": "5",
        "OMOI_MODEL_CALLS_PER_MINUTE": "9",
    }
    told = json.loads(omoi("judge", "budget", "--json", cwd=tmp_path, **environment).stdout)
    begins = told.pop("begins_anew")
    assert begins.endswith("T00:00:00+00:00")
    assert told == {
        "calls_per_minute": 9,
        "calls_last_minute": 1,
        "usd_per_day": 5.0,
        "reserved_usd": 1.25,
        "spent_usd": 0.0,
        "left_usd": 3.75,
    }
    shown = omoi("judge", "budget", cwd=tmp_path, **environment).stdout
    assert "$3.7500" in shown
    assert "begins anew" in shown
