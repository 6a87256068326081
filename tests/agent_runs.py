"""Runs of the real agent against a scripted model, for tests."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from omoi_os.judge.environment import prepare
from omoi_os.judge.run import AgentRun, AgentTask, Limits, Model, Stage, ToolSpec
from omoi_os.judge.scripted import Answer, Request, Script, ScriptedModel, finishes
from omoi_os.services.agent_executor import AgentExecutor

KEY = "sk-live-0123456789abcdef"
QUICK = Limits(
    max_iterations=8,
    wall_clock_seconds=10,
    llm_timeout_seconds=5,
    llm_attempts=1,
    max_reply_bytes=200_000,
    max_cost_usd=None,
)


def load_library() -> None:
    """What the first run of a process waits for; done once, so that no test is slow by accident."""
    prepare()
    importlib.import_module("omoi_os.judge.drive")


class Finding(BaseModel):
    model_config = ConfigDict(extra="forbid")

    criterion: str
    met: bool
    confidence: float = Field(ge=0, le=1)


class Review(BaseModel):
    model_config = ConfigDict(extra="forbid")

    findings: list[Finding] = Field(min_length=1)


class ClaimCheck(BaseModel):
    model_config = ConfigDict(extra="forbid")

    false_claims: list[str]


FINDING: dict[str, object] = {"criterion": "scope", "met": True, "confidence": 0.9}
GOOD: dict[str, object] = {"findings": [FINDING]}


@dataclass(slots=True)
class Setting:
    """What a run is started with; tests change a copy."""

    workspace: Path
    limits: Limits = QUICK
    accept: Callable[[Review], list[str]] = field(default=lambda _: [])
    prices: tuple[float, float] | None = None
    key: str = KEY
    persistence_dir: Path | None = None
    conversation_id: UUID | None = None

    def with_limits(self, **changes: object) -> Setting:
        return replace(self, limits=replace(self.limits, **changes))  # type: ignore[arg-type]

    def executor(self, url: str) -> AgentExecutor:
        read, written = self.prices or (None, None)
        model = Model("openai/scripted", SecretStr(self.key), url, read, written)
        return AgentExecutor(self.workspace, model=model, limits=self.limits)

    def task(self, tools: tuple[ToolSpec, ...]) -> AgentTask:
        stage = Stage("Review the work.", Review, self.accept)
        return AgentTask(
            "You review.", (stage,), tools, self.persistence_dir, conversation_id=self.conversation_id
        )

    def run_at(self, url: str) -> AgentRun:
        executor = self.executor(url)
        return executor.run(self.task(executor.reading_tools))

    def run(self, script: Script) -> tuple[AgentRun, list[Request]]:
        with ScriptedModel(script) as model:
            return self.run_at(model.url), model.requests


def always(answer: Answer) -> Script:
    return lambda _: answer


def good() -> Answer:
    return finishes(**GOOD)
