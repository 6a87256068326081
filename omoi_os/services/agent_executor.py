"""Runs agents for the other services: judges, and workers with tools that the caller chooses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from omoi_os.domain.work import TaskReport
from omoi_os.judge.executor import Executor
from omoi_os.judge.run import AgentRun, AgentTask, Host, Limits, Model, Stage, ToolSpec
from omoi_os.judge.tools import reading_tools
from omoi_os.judge.writing import writing_tools

__all__ = ["AgentExecutor", "TaskReport"]

_WORKER_PROMPT: Final = (
    "You are a software agent. Do the task with your tools. When it is done, or cannot be done, call `finish`"
    " once and say what you did. What you say is a claim: it is measured afterwards."
)


class AgentExecutor:
    """Runs bounded conversations on one workspace. OpenHands is loaded by the first run.

    Args:
        workspace_dir: What the reading tools show. It is never the agent's own working folder, where the
            library would run whatever plugins and hooks it finds.
        model: The language model.
        limits: For each run.
        host: An agent server to run on; None runs in this process.
    """

    def __init__(
        self,
        workspace_dir: str | Path,
        *,
        model: Model,
        limits: Limits | None = None,
        host: Host | None = None,
    ) -> None:
        self.workspace_dir = Path(workspace_dir)
        self._executor = Executor(model, limits or Limits(), host)

    @property
    def reading_tools(self) -> tuple[ToolSpec, ...]:
        """List, read and search the workspace; nothing else."""
        return reading_tools(self.workspace_dir)

    def writing_tools(self, closed: Sequence[Path] = ()) -> tuple[ToolSpec, ...]:
        """Make, change and delete text files of the workspace; nothing is ever executed.

        Args:
            closed: What the operator keeps, and no agent writes, wherever it lies.
        """
        return writing_tools(self.workspace_dir, closed)

    def run(self, task: AgentTask) -> AgentRun:
        """Run a task to its end. Never raises for what a model or its provider does: see `RunOutcome`."""
        return self._executor.run(task)

    async def arun(self, task: AgentTask) -> AgentRun:
        """`run` on the caller's loop.

        Raises:
            asyncio.CancelledError: The caller was cancelled; the run has ended by then.
        """
        return await self._executor.arun(task)

    def execute_task(
        self,
        description: str | Stage[Any],
        *,
        tools: Sequence[ToolSpec],
        system_prompt: str = _WORKER_PROMPT,
        persistence_dir: Path | None = None,
        conversation_id: UUID | None = None,
    ) -> AgentRun:
        """Let a worker agent do a task with the tools that are given, and no others.

        Args:
            description: What is to be done; a stage asks for a submission of its own.

        Returns:
            A run whose one value is a `TaskReport`, or what the stage asks for.
        """
        stage = Stage(description, TaskReport) if isinstance(description, str) else description
        return self.run(AgentTask(system_prompt, (stage,), tuple(tools), persistence_dir, conversation_id))
