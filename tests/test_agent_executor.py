"""Whatever a model does, a run ends in time, with its code, and is accepted for one reason only."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import respx

from omoi_os.judge.run import AgentTask, RunOutcome, Stage
from omoi_os.judge.scripted import Answer, Call, Request, ScriptedModel, finishes, in_turn, says
from tests.agent_behaviours import BEHAVIOURS, Behaviour
from tests.agent_runs import FINDING, GOOD, KEY, ClaimCheck, Review, Setting, always, good, load_library

# What the library says of every model without a known price; our usage says it in its own way.
pytestmark = pytest.mark.filterwarnings("ignore:Cost calculation failed:UserWarning")


@pytest.fixture(autouse=True, scope="module")
def _library() -> None:
    load_library()


@pytest.fixture
def setting(workspace: Path) -> Setting:
    (workspace / "plan.md").write_text("# Plan\n\nScope: everything.\n" * 20)
    return Setting(workspace)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs of this test put what they need for a while."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def is_left_in(folder: Path) -> list[Path]:
    """What a run left, which closes in a thread of its own if that takes long."""
    end = time.monotonic() + 5
    while (left := list(folder.iterdir())) and time.monotonic() < end:
        time.sleep(0.02)
    return left


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.name)
def test_a_run_ends_in_time_with_its_code(setting: Setting, behaviour: Behaviour) -> None:
    setting = behaviour.setting(setting)
    started = time.monotonic()
    run, _ = setting.run(behaviour.script)
    assert run.outcome is behaviour.ends, run.detail
    assert time.monotonic() - started < setting.limits.wall_clock_seconds + 1
    assert bool(run.values) == (run.outcome is RunOutcome.ACCEPTED)
    assert bool(run.detail) == (run.outcome is not RunOutcome.ACCEPTED)


def test_a_long_reply_is_not_read_to_its_end(setting: Setting) -> None:
    sent = 0

    def endless(_: Request) -> Answer:
        def chunks() -> Iterator[bytes]:
            nonlocal sent
            for _ in range(1_600):
                sent += 65_536
                yield b"x" * 65_536

        return Answer(chunks())

    run, requests = setting.run(endless)
    assert run.outcome is RunOutcome.TOO_LARGE
    assert len(requests) == 1
    assert sent < 20_000_000  # what the kernel's buffers took; the whole would be 105 million


def test_two_stages_are_two_submissions_in_one_conversation(setting: Setting) -> None:
    stages = (Stage("Review it.", Review), Stage("The worker claims: all tested.", ClaimCheck))
    script = in_turn(finishes(stage_1=GOOD), finishes(stage_2={"false_claims": ["all tested"]}))
    with ScriptedModel(script) as model:
        run = setting.executor(model.url).run(AgentTask("You review.", stages))
        assert "all tested" not in model.requests[0].text()
        assert "all tested" in model.requests[1].text()
        assert "Review it." in model.requests[1].text()
    assert run.accepted
    assert run.value(0, stages[0]).findings[0].met
    assert run.value(1, stages[1]).false_claims == ["all tested"]


WRONG_PARTS: list[dict[str, object]] = [
    {"stage_2": {"false_claims": []}},
    {"stage_1": GOOD, "stage_2": {"false_claims": []}},
    {},
    GOOD,
]


@pytest.mark.parametrize("submission", WRONG_PARTS)
def test_a_stage_takes_its_own_part_and_no_other(setting: Setting, submission: dict[str, object]) -> None:
    stages = (Stage("Review it.", Review), Stage("Check the claims.", ClaimCheck))
    with ScriptedModel(always(finishes(**submission))) as model:
        run = setting.executor(model.url).run(AgentTask("You review.", stages))
    assert run.outcome is RunOutcome.REJECTED_SUBMISSION
    assert run.values == ()


def test_a_run_that_fails_in_its_second_stage_shows_the_first(setting: Setting) -> None:
    stages = (Stage("Review it.", Review), Stage("Check the claims.", ClaimCheck))
    with ScriptedModel(in_turn(finishes(stage_1=GOOD), says("Fine."))) as model:
        run = setting.executor(model.url).run(AgentTask("You review.", stages))
    assert run.outcome is RunOutcome.NO_SUBMISSION
    assert len(run.values) == 1
    with pytest.raises(LookupError):
        run.value(1, stages[1])


def test_the_agent_is_told_what_was_wrong_and_its_repairs_are_counted(setting: Setting) -> None:
    problems = iter([["the quote of `scope` is not in plan.md"], []])
    setting = replace(setting, accept=lambda _: next(problems))
    run, requests = setting.run(always(good()))
    assert run.accepted
    assert run.usage.repairs == 1
    assert "the quote of `scope` is not in plan.md" in requests[1].text()


def test_repairs_and_iterations_are_counted_over_the_whole_run(setting: Setting) -> None:
    run, requests = replace(setting, accept=lambda _: ["no"]).run(always(good()))
    assert (run.usage.repairs, len(requests)) == (2, 3)
    run, requests = replace(setting.with_limits(max_iterations=2), accept=lambda _: ["no"]).run(
        always(good())
    )
    assert run.outcome is RunOutcome.ITERATION_LIMIT
    assert len(requests) == 2


def test_a_repair_does_not_start_the_iterations_afresh(setting: Setting) -> None:
    answers = [
        good(),
        *(says(None, Call("read_file", {"path": "plan.md", "start_line": n})) for n in range(1, 9)),
    ]
    setting = replace(setting.with_limits(max_iterations=4), accept=lambda _: ["no"])
    run, requests = setting.run(in_turn(*answers))
    assert run.outcome is RunOutcome.ITERATION_LIMIT
    assert len(requests) == 4


def test_usage_is_what_the_provider_counted(setting: Setting) -> None:
    run, _ = setting.run(in_turn(says(None, Call("list_files", {}), tokens=(100, 10)), good()))
    usage = run.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.llm_calls) == (1_300, 90, 2)
    assert len(usage.latencies) == 2
    assert sum(usage.latencies) <= usage.wall_seconds


def test_nobody_at_the_address_is_unavailable(setting: Setting) -> None:
    assert setting.run_at("http://127.0.0.1:9/v1").outcome is RunOutcome.UNAVAILABLE


def test_a_fault_in_our_own_check_is_not_an_outcome(setting: Setting, scratch: Path) -> None:
    def broken(_: Review) -> list[str]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        replace(setting, accept=broken).run(always(good()))
    assert not is_left_in(scratch)


def test_many_runs_at_once_do_not_mix(setting: Setting) -> None:
    def echo(request: Request) -> Answer:
        number = request.text().split("number ")[1].split(".")[0]
        return finishes(findings=[{**FINDING, "criterion": number}])

    def review(url: str, number: int) -> str:
        stage = Stage(f"You are number {number}.", Review)
        return (
            setting.executor(url)
            .run(AgentTask("You review.", (stage,)))
            .value(0, stage)
            .findings[0]
            .criterion
        )

    with ScriptedModel(echo, seconds=0.05) as model, ThreadPoolExecutor(12) as pool:
        numbers = list(pool.map(lambda number: review(model.url, number), range(24)))
    assert numbers == [str(number) for number in range(24)]


FIRST_TOGETHER = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from omoi_os.judge.loop import agent_loop
sys.setswitchinterval(1e-6)
start = threading.Barrier(32)
with ThreadPoolExecutor(32) as pool:
    print(len(set(pool.map(lambda _: (start.wait(), id(agent_loop()))[1], range(32)))))
"""


def test_runs_that_are_the_first_ones_together_share_one_loop() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_TOGETHER], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_a_long_reply_ends_its_own_run_and_no_other(setting: Setting) -> None:
    def either(request: Request) -> Answer:
        return Answer([b"x" * 300_000]) if "number 1." in request.text() else good()

    def review(url: str, number: int) -> RunOutcome:
        stage = Stage(f"You are number {number}.", Review)
        return setting.executor(url).run(AgentTask("You review.", (stage,))).outcome

    with ScriptedModel(either, seconds=0.1) as model, ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(lambda number: review(model.url, number), range(3)))
    assert outcomes == [RunOutcome.ACCEPTED, RunOutcome.TOO_LARGE, RunOutcome.ACCEPTED]


@respx.mock
def test_the_model_is_asked_over_http_once_per_call(setting: Setting) -> None:
    route = respx.post("http://model.test/v1/chat/completions")
    chunks = good().chunks
    assert isinstance(chunks, list)
    route.mock(return_value=httpx.Response(200, content=chunks[0]))
    run = setting.run_at("http://model.test/v1")
    assert run.accepted
    assert route.call_count == 1
    sent = route.calls[0].request
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.headers["accept-encoding"] == "identity"
    assert KEY not in sent.content.decode()


def test_every_outcome_says_whether_to_try_again() -> None:
    final = {outcome for outcome in RunOutcome if not outcome.can_retry}
    assert final == {
        RunOutcome.ACCEPTED,
        RunOutcome.BUDGET,
        RunOutcome.TOO_LARGE,
        RunOutcome.REFUSED,
        RunOutcome.MISCONFIGURED,
        RunOutcome.QUOTA,
        RunOutcome.INTERNAL,
    }


def test_a_run_leaves_nothing_behind(setting: Setting, scratch: Path) -> None:
    used: list[Path] = []

    def look(_: Review) -> list[str]:
        used.extend(scratch.iterdir())
        return []

    setting = replace(setting, accept=look)
    assert setting.run(always(good()))[0].accepted
    assert len(used) == 1
    assert not is_left_in(scratch)
