"""Reviews by an agent beside bare OpenHands conversations that make the same calls. Run it as a program.

The scripted model answers after 0.2 s and runs in a process of its own, so that its work is not counted.
"""

from __future__ import annotations

import asyncio
import importlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from benchmarks._bench import Row, table
from omoi_os.judge.environment import prepare
from omoi_os.judge.executor import Executor
from omoi_os.judge.loop import agent_loop
from omoi_os.judge.run import AgentTask, Limits, Model, Stage
from omoi_os.judge.tools import reading_tools

CONCURRENT = (1, 8, 32)
ROUNDS = 5
MODEL = """
import sys
from omoi_os.judge.scripted import Call, ScriptedModel, finishes, in_turn, says
script = in_turn(
    says(None, Call("list_files", {})),
    says(None, Call("read_file", {"path": "plan.md"})),
    finishes(fine=True),
)
with ScriptedModel(script, seconds=0.2) as model:
    print(model.url, flush=True)
    sys.stdin.read()
"""


class Review(BaseModel):
    fine: bool


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians of one contender's rounds, per review but for `seconds`, which is a whole round."""

    seconds: float
    cpu_ms: float
    peak_kb: float


def main() -> int:
    prepare()
    importlib.import_module("omoi_os.judge.drive")
    server = subprocess.Popen(
        [sys.executable, "-c", MODEL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as folder:
            workspace = Path(folder).resolve()
            (workspace / "plan.md").write_text("# Plan\n" * 100)
            rows = [row for number in CONCURRENT for row in _compared(url, workspace, number)]
    finally:
        server.terminate()
        server.wait()
    table(rows, "Agent reviews, three model calls of 0.2 s each")
    return 0


def _compared(url: str, workspace: Path, number: int) -> list[Row]:
    contenders = {
        "ours": lambda: _ours(url, workspace, number),
        "bare": lambda: _bare(url, workspace, number),
    }
    costs = _interleaved(contenders)
    ours, bare = _per_review(costs["ours"], number), _per_review(costs["bare"], number)
    rate = f"{number / ours.seconds:.1f} / {number / bare.seconds:.1f} reviews per second"
    cpu = f"{ours.cpu_ms:.0f} / {bare.cpu_ms:.0f} ms per review"
    memory = f"{ours.peak_kb:.0f} / {bare.peak_kb:.0f} kB per review"
    return [
        Row(f"{number} at once: seconds, ours / bare", ours.seconds / bare.seconds, 1.25, note=rate),
        Row(f"{number} at once: CPU, ours / bare", ours.cpu_ms / bare.cpu_ms, 1.25, note=cpu),
        Row(f"{number} at once: growth of memory", ours.peak_kb, note=memory),
    ]


def _interleaved(contenders: dict[str, Callable[[], None]]) -> dict[str, list[tuple[float, float, float]]]:
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in contenders}
    for work in contenders.values():
        work()
    for number in range(ROUNDS):
        for name in list(contenders)[:: 1 if number % 2 else -1]:
            found[name].append(_measured(contenders[name]))
    return found


def _measured(work: Callable[[], None]) -> tuple[float, float, float]:
    memory, cpu, started = _resident_kb(), time.process_time(), time.perf_counter()
    work()
    return time.perf_counter() - started, time.process_time() - cpu, max(0.0, _resident_kb() - memory)


def _per_review(rounds: list[tuple[float, float, float]], number: int) -> Cost:
    seconds, cpu, memory = (statistics.median(values) for values in zip(*rounds, strict=True))
    return Cost(seconds, cpu / number * 1_000, memory / number)


def _resident_kb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4.0


def _ours(url: str, workspace: Path, number: int) -> None:
    executor = Executor(Model("openai/scripted", SecretStr("key-of-ours"), url), Limits(llm_attempts=1))
    task = AgentTask("You review.", (Stage("Review it.", Review),), reading_tools(workspace))

    async def together() -> None:
        runs = await asyncio.gather(*(executor.arun(task) for _ in range(number)))
        assert all(run.accepted for run in runs)

    asyncio.run(together())


def _bare(url: str, workspace: Path, number: int) -> None:
    litellm: Any = importlib.import_module("litellm")
    ours = litellm.aclient_session

    async def together() -> None:
        # litellm keeps a client for each key, so that neither contender takes the other's.
        litellm.aclient_session = None
        try:
            await asyncio.gather(*(_conversation(url, workspace) for _ in range(number)))
        finally:
            litellm.aclient_session = ours

    asyncio.run_coroutine_threadsafe(together(), agent_loop()).result()


async def _conversation(url: str, workspace: Path) -> None:
    """What the library's own documentation shows, with the same tools."""
    sdk: Any = importlib.import_module("openhands.sdk")
    llm = sdk.LLM(
        usage_id="bare",
        model="openai/scripted",
        api_key=SecretStr("key-of-bare"),
        base_url=url,
        num_retries=1,
    )
    tools = [sdk.Tool(name=spec.name, params=dict(spec.params)) for spec in reading_tools(workspace)]
    finish = sdk.Tool(name="FinishTool", params={"response_schema": Review})
    agent = sdk.Agent(llm=llm, system_prompt="You review.", include_default_tools=[], tools=[*tools, finish])
    with tempfile.TemporaryDirectory() as empty:
        conversation = await asyncio.to_thread(
            lambda: sdk.Conversation(agent=agent, workspace=empty, visualizer=None)
        )
        await asyncio.to_thread(conversation.send_message, "Review it.")
        await conversation.arun()
        await asyncio.to_thread(conversation.close)


if __name__ == "__main__":
    sys.exit(main())
