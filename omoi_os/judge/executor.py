"""Runs tasks: the door to everything that needs OpenHands, which is loaded by the first run."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from omoi_os.judge.environment import learn, prepare
from omoi_os.judge.halt import Halt
from omoi_os.judge.loop import agent_loop
from omoi_os.judge.run import AgentRun, AgentTask, Host, Limits, Model, RunOutcome

# How long a run that was stopped may take to say so.
_LAST_WORDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Executor:
    """Runs tasks with one model and one set of limits, locally or on an agent server."""

    model: Model
    limits: Limits
    host: Host | None = None

    def run(self, task: AgentTask) -> AgentRun:
        """Run a task to its end; one call per thread, as many threads as there are runs."""
        load()
        halt, future = self._start(task)
        try:
            return future.result()
        except BaseException:
            # The caller was interrupted: the run would go on, and cost, without anybody to read it.
            halt.stop(RunOutcome.CANCELLED, "the caller went away")
            concurrent.futures.wait([future], timeout=_LAST_WORDS)
            raise

    async def arun(self, task: AgentTask) -> AgentRun:
        """`run` for a caller with a loop of its own.

        Raises:
            asyncio.CancelledError: The caller was cancelled; the run has ended by then.
        """
        await asyncio.to_thread(load)
        halt, future = self._start(task)
        try:
            return await asyncio.shield(asyncio.wrap_future(future))
        except asyncio.CancelledError:
            halt.stop(RunOutcome.CANCELLED, "the caller was cancelled")
            await asyncio.to_thread(concurrent.futures.wait, [future], timeout=_LAST_WORDS)
            raise

    def _start(self, task: AgentTask) -> tuple[Halt, concurrent.futures.Future[AgentRun]]:
        from omoi_os.judge.drive import drive  # noqa: PLC0415 loads OpenHands

        learn(self.model.api_key.get_secret_value())
        loop = agent_loop()
        halt = Halt(loop)
        run = drive(task, self.model, self.limits, self.host, halt)
        future = asyncio.run_coroutine_threadsafe(run, loop)
        if (id_ := task.conversation_id) is not None:
            _running[id_] = halt
            future.add_done_callback(lambda _: _running.pop(id_, None))
        return halt, future


_running: Final[dict[UUID, Halt]] = {}


def stop_run(conversation_id: UUID) -> None:
    """End the run of that conversation, if this process has one; whoever waits for it is told so."""
    if (halt := _running.get(conversation_id)) is not None:
        halt.stop(RunOutcome.CANCELLED, "the review was cancelled, or its worker is shutting down")


def load() -> None:
    """Load what takes seconds before any clock runs."""
    prepare()
    importlib.import_module("omoi_os.judge.drive")
