"""One test for each way in which the agent's library is known to surprise; beside the behaviours' table."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import BaseModel, SecretStr

from omoi_os.judge.run import AgentTask, Host, Limits, Model, RunOutcome, Stage
from omoi_os.judge.scripted import Answer, Call, Request, ScriptedModel, fails, finish, in_turn, says
from omoi_os.services.agent_executor import AgentExecutor
from tests.agent_runs import FINDING, GOOD, KEY, QUICK, Setting, always, good, load_library

pytestmark = pytest.mark.filterwarnings("ignore:Cost calculation failed:UserWarning")
CANARY = "canary-5f0c7d1e9a"


@pytest.fixture(autouse=True, scope="module")
def _library() -> None:
    load_library()


@pytest.fixture
def setting(workspace: Path) -> Setting:
    (workspace / "plan.md").write_text("# Plan\n")
    return Setting(workspace)


def plant(folder: Path, proof: Path) -> None:
    """A plugin whose hooks leave a proof, as an attacker would put it into the work."""
    for home in (".openhands", ".agents"):
        plugin = folder / home / "plugins" / "evil"
        (plugin / ".plugin").mkdir(parents=True)
        (plugin / "hooks").mkdir()
        (plugin / "skills" / "evil").mkdir(parents=True)
        (plugin / ".plugin" / "plugin.json").write_text(json.dumps({"name": "evil", "version": "1"}))
        hook = [{"matcher": "*", "hooks": [{"command": f"touch {proof}"}]}]
        (plugin / "hooks" / "hooks.json").write_text(
            json.dumps({"session_start": hook, "pre_tool_use": hook})
        )
        text = f"---\nname: evil\ndescription: {CANARY}\n---\n{CANARY}\n"
        (plugin / "skills" / "evil" / "SKILL.md").write_text(text)
        (folder / home / "skills").mkdir(exist_ok=True)
        (folder / home / "skills" / "evil.md").write_text(text)
        (folder / home / "hooks.json").write_text(json.dumps({"session_start": hook}))
    (folder / "AGENTS.md").write_text(CANARY)


def test_1_nothing_planted_in_the_work_or_around_it_is_loaded(setting: Setting, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    (tmp_path / ".git").mkdir()
    for folder in (setting.workspace, tmp_path):
        plant(folder, proof)
    run, requests = setting.run(in_turn(says(None, Call("list_files", {})), good()))
    assert run.outcome is RunOutcome.ACCEPTED
    assert not proof.exists()
    assert CANARY not in requests[-1].text()
    plugins = importlib.import_module("openhands.sdk.plugin")
    assert plugins.load_project_plugins(setting.workspace)  # else what was planted would not be a plugin


def test_1_a_temporary_folder_in_a_repository_is_refused(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run, requests = setting.run(always(good()))
    assert run.outcome is RunOutcome.MISCONFIGURED
    assert "TMPDIR" in run.detail
    assert not requests


def test_2_of_two_submissions_neither_counts(setting: Setting) -> None:
    bad = finish(findings=[{**FINDING, "met": False}])
    run, requests = setting.run(in_turn(says(None, bad, finish(**GOOD)), says("Well."), says("Well.")))
    assert run.outcome is RunOutcome.NO_SUBMISSION
    assert not run.values
    assert "more than once" in requests[1].text()
    # The second one was told to be superseded and not executed in the next turn.
    assert len(requests) == 3


def test_3_a_run_takes_nothing_over_from_the_one_before(setting: Setting, tmp_path: Path) -> None:
    script = in_turn(says(None, Call("read_file", {"path": "plan.md"})), good())
    first, _ = setting.run(script)
    other = tmp_path / "other"
    other.mkdir()
    (other / "plan.md").write_text("the other plan")
    second, requests = replace(setting, workspace=other).run(script)
    assert "the other plan" in requests[-1].text()
    assert (first.usage.llm_calls, second.usage.llm_calls) == (2, 2)
    assert second.usage.prompt_tokens == 2_400


def test_4_a_cancelled_run_says_so_and_asks_nothing_more(setting: Setting) -> None:
    asked = threading.Event()

    def slow(_: Request) -> Answer:
        asked.set()
        time.sleep(0.5)
        return says(None, Call("list_files", {}))

    async def cancel(url: str) -> None:
        executor = setting.executor(url)
        run = asyncio.create_task(executor.arun(setting.task(executor.reading_tools)))
        await asyncio.to_thread(asked.wait, 10)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    with ScriptedModel(slow) as model:
        started = time.monotonic()
        asyncio.run(cancel(model.url))
        assert time.monotonic() - started < 1.5
        time.sleep(1)
        assert len(model.requests) == 1


def in_a_new_process(statements: str, **environment: str) -> str:
    checkout = str(Path(__file__).resolve().parent.parent)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", statements],
        env={**kept, "PYTHONPATH": checkout, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_5_and_9_the_environment_is_made_ready_before_the_library() -> None:
    seen = json.loads(
        in_a_new_process(
            "import json, os\nfrom omoi_os.judge.environment import prepare\n"
            "prepare()\nprint(json.dumps(dict(os.environ)))",
            OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
            LMNR_PROJECT_API_KEY=CANARY,
            OMOI_DATABASE_URL=f"postgresql://u:{CANARY}@db/x",
            OMOI_JUDGE_API_KEY=CANARY,
            OPENAI_API_KEY=CANARY,
            GITHUB_TOKEN=CANARY,
            PGPASSWORD=CANARY,
            PROXY_FOR_X=f"http://u:{CANARY}@proxy",
            DEBUG_LLM="true",
            OMOI_HOME="/somewhere",
        )
    )
    assert seen["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
    assert seen["DISABLE_AIOHTTP_TRANSPORT"] == "True"
    assert seen["DEBUG_LLM"] == "false"
    assert seen["OMOI_HOME"] == "/somewhere"
    assert not Path(seen["OH_PERSISTENCE_DIR"]).exists()  # gone with its process
    assert not [name for name in seen if name.startswith(("OTEL_", "LMNR_"))]
    assert CANARY not in json.dumps(seen)


def test_5_a_library_that_was_loaded_too_early_is_refused() -> None:
    said = in_a_new_process(
        "import sys, types\nsys.modules['openhands.sdk'] = types.ModuleType('openhands.sdk')\n"
        "from omoi_os.judge.environment import prepare\n"
        "try:\n    prepare()\nexcept RuntimeError as error:\n    print(error)"
    )
    assert "before its environment" in said


def test_6_the_agent_has_our_three_tools_and_no_others(setting: Setting) -> None:
    _, requests = setting.run(always(good()))
    names = [tool["function"]["name"] for tool in requests[0].body["tools"]]
    assert names == ["list_files", "read_file", "search_files", "finish"]
    assert importlib.util.find_spec("openhands.tools") is None


@pytest.mark.parametrize("path", ["/proc/self/environ", "../../../../proc/self/environ", "/etc/passwd"])
def test_6_no_tool_reads_the_process_or_the_machine(setting: Setting, path: str) -> None:
    script = in_turn(
        says(
            None, Call("read_file", {"path": path}), Call("search_files", {"text": KEY, "containing": path})
        ),
        good(),
    )
    run, requests = setting.run(script)
    assert run.outcome is RunOutcome.ACCEPTED
    said = requests[-1].text()
    assert "root:" not in said
    assert KEY not in said.replace("search_files", "")


def test_7_a_cost_that_is_not_known_is_not_zero(setting: Setting) -> None:
    unknown, _ = setting.run(always(good()))
    known, _ = replace(setting, prices=(1e-6, 1e-5)).run(always(good()))
    assert unknown.usage.cost_usd is None
    assert known.usage.cost_usd == pytest.approx(1_200e-6 + 80e-5)


def test_10_a_shape_with_a_reserved_field_is_not_run(setting: Setting) -> None:
    class Verdict(BaseModel):
        summary: str

    with ScriptedModel(always(good())) as model:
        run = setting.executor(model.url).run(AgentTask("You review.", (Stage("Go.", Verdict),)))
        assert run.outcome is RunOutcome.INTERNAL
        assert "reserved" in run.detail
        assert not model.requests


def test_11_attempts_are_counted_as_they_are_named(setting: Setting) -> None:
    run, requests = setting.with_limits(llm_attempts=2).run(always(fails(503)))
    assert run.outcome is RunOutcome.UNAVAILABLE
    assert len(requests) == 2


def test_12_the_key_is_in_no_detail_no_log_and_no_transcript(
    setting: Setting, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    echo = fails(401, f"Incorrect API key provided: {KEY}")
    setting = replace(setting, persistence_dir=tmp_path / "runs")
    (setting.workspace / "leak.md").write_text(f"somebody wrote {KEY} here\n")
    with caplog.at_level(logging.DEBUG):
        refused, requests = setting.run(always(echo))
        setting.run(in_turn(says(f"I know {KEY}."), good()))
    assert KEY in str(requests[0].headers)  # else nothing was at stake
    assert refused.outcome is RunOutcome.MISCONFIGURED
    assert KEY not in refused.detail
    assert refused.transcript is not None
    written = [path for path in (tmp_path / "runs").rglob("*") if path.is_file() and path.stat().st_size]
    assert written
    assert not [path for path in written if KEY in path.read_text()]
    assert {path.stat().st_mode & 0o077 for path in written} == {0}
    assert KEY not in caplog.text
    assert KEY not in "".join(capfd.readouterr())


def test_13_an_agent_server_that_does_not_answer_is_unavailable(setting: Setting) -> None:
    model = Model("openai/scripted", SecretStr(KEY), "http://127.0.0.1:9/v1")
    limits = replace(QUICK, wall_clock_seconds=5.0)
    executor = AgentExecutor(setting.workspace, model=model, limits=limits, host=Host("http://127.0.0.1:9"))
    started = time.monotonic()
    run = executor.run(setting.task(()))
    assert run.outcome in {RunOutcome.UNAVAILABLE, RunOutcome.WALL_CLOCK}
    assert time.monotonic() - started < 6


REVIEWER = """
import sys
from pathlib import Path
from uuid import UUID
from tests.agent_runs import Setting
url, workspace, folder, number = sys.argv[1:]
Setting(Path(workspace), persistence_dir=Path(folder), conversation_id=UUID(number)).run_at(url)
"""


def test_a_run_that_was_killed_repeats_at_most_one_call(setting: Setting, tmp_path: Path) -> None:
    number = UUID(int=7)
    stalled = threading.Event()
    script = in_turn(
        says(None, Call("list_files", {})), says(None, Call("read_file", {"path": "plan.md"})), good()
    )

    def stalls_at_the_third(request: Request) -> Answer:
        if request.turn == 2 and not stalled.is_set():
            stalled.set()
            time.sleep(2)
        return script(request)

    with ScriptedModel(stalls_at_the_third) as model:
        arguments = [model.url, str(setting.workspace), str(tmp_path / "runs"), str(number)]
        reviewer = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", REVIEWER, *arguments],
            cwd=Path(__file__).resolve().parent.parent,
            env={**os.environ, "TMPDIR": str(tmp_path)},  # it has no time to clean up
        )
        try:
            assert stalled.wait(60)
        finally:
            reviewer.send_signal(signal.SIGKILL)
            reviewer.wait()
        again = replace(setting, persistence_dir=tmp_path / "runs", conversation_id=number)
        run = again.run_at(model.url)
        assert run.outcome is RunOutcome.ACCEPTED
        assert len(model.requests) == 4  # three were needed
        assert again.run_at(model.url).values == run.values
        assert len(model.requests) == 4  # a finished run asks nothing


def test_a_worker_has_the_tools_that_it_is_given(setting: Setting) -> None:
    script = in_turn(
        says(None, Call("read_file", {"path": "plan.md"})), says(None, finish(done=True, report="Did it."))
    )
    with ScriptedModel(script) as model:
        executor = AgentExecutor(
            setting.workspace,
            model=Model("openai/scripted", SecretStr(KEY), model.url),
            limits=Limits(llm_attempts=1),
        )
        run = executor.execute_task("Write the plan.", tools=executor.reading_tools[1:2])
        names = [tool["function"]["name"] for tool in model.requests[0].body["tools"]]
    assert names == ["read_file", "finish"]
    assert run.outcome is RunOutcome.ACCEPTED
    assert run.values[0].model_dump() == {"done": True, "report": "Did it."}


def test_the_shape_of_a_submission_reaches_the_model(setting: Setting) -> None:
    _, requests = setting.run(always(good()))
    shape = requests[0].body["tools"][-1]["function"]["parameters"]
    assert shape["properties"]["findings"]["minItems"] == 1
    assert shape["properties"]["findings"]["items"]["additionalProperties"] is False
