"""The workflow of a task that an agent of ours does, and the slots through which this worker takes tasks.

Each slot is a registered agent that has at most one task. Then it is the workflow, wherever it runs, that
beats for the agent: so a task whose workflow is gone is seen by the next round, or by the sweep for silent
agents.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog
from dbos import DBOS

from omoi_os.services.agent_health import AgentHealthService
from omoi_os.services.engine import Engine
from omoi_os.services.task_execution import AGENT_TYPE, WORKFLOW, TaskExecution
from omoi_os.services.worker_agent import Assignment, Kept, State, kept
from omoi_os.worker.running import here

log = structlog.get_logger(__name__)

ROUNDS: Final = 3
"""Times that an agent which was cut off from the database goes on."""

_LAST_WORDS: Final = 5.0
"""Seconds for which a stopped agent is waited for."""

_WAITS: Final = ("ENQUEUED", "DELAYED")
_ALIVE: Final = (*_WAITS, "PENDING")


class _Tools:
    """What the workflows of this process work with, and what they are at."""

    execution: TaskExecution
    running: Final[dict[str, Assignment]] = {}


def use(execution: TaskExecution) -> None:
    """Say what tasks are done with, before the engine is launched."""
    _Tools.execution = execution


# How often it may be begun is counted by the task's own events, and the task can then be failed.
@DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)
async def execute_task(task_id: str, agent_id: str) -> str:
    """Do what an agent has; returns how it went."""
    with here():
        return await _execute(task_id, agent_id)


async def _execute(task_id: str, agent_id: str) -> str:
    found = kept(State.LOST)
    for _ in range(ROUNDS):
        # No step: each execution begins anew, and is counted.
        given = await asyncio.to_thread(_Tools.execution.take, task_id, agent_id)
        if given is None:
            return State.LOST
        found = await _attempt(given)
        if found["state"] != State.CUT_OFF:
            break
    return str((await hand_in(task_id, agent_id, found))["state"])


async def _attempt(given: Assignment) -> Kept:
    try:
        return await work(given)
    except Exception:  # whatever was met, the task must come to an end
        log.exception("task_failed", task_id=given.task.id)
        return kept(State.FAILED, reason="the worker met an error of its own", permanent=False)


# Asynchronous and preemptible: a step that is not would go on, and be paid for, after a cancellation.
@DBOS.step(name="work", preemptible=True)
async def work(given: Assignment) -> Kept:
    _Tools.running[given.task.id] = given
    doing = asyncio.ensure_future(asyncio.to_thread(_Tools.execution.work, given))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        _Tools.execution.stop(given)
        await asyncio.wait([doing], timeout=_LAST_WORDS)
        raise
    finally:
        _Tools.running.pop(given.task.id, None)


@DBOS.step(name="hand_in")
async def hand_in(task_id: str, agent_id: str, found: Kept) -> Kept:
    return await asyncio.to_thread(_Tools.execution.hand_in, task_id, agent_id, found)


@dataclass(slots=True)
class _Slot:
    agent_id: str
    workflow: str | None = None


@dataclass(slots=True)
class Slots:
    """Takes tasks while there is room for them.

    Attributes:
        number: Tasks that this worker does at a time, whoever took them.
    """

    execution: TaskExecution
    agents: AgentHealthService
    engine: Engine
    number: int
    capabilities: list[str]
    clock: Callable[[], float] = time.monotonic
    _slots: list[_Slot] = field(default_factory=list)
    _closed: bool = False
    _not_before: float = 0.0

    def round(self) -> None:
        """Look after what was taken, and take more where there is room."""
        waiting = sum(self._look_after(slot) for slot in self._slots if slot.workflow is not None)
        self.take(self.number - len(_Tools.running) - waiting)

    def take(self, room: int) -> None:
        """Claim up to so many tasks, and beat for slots that have none."""
        while len(self._slots) < self.number:
            made = self.agents.register(AGENT_TYPE, capabilities=self.capabilities)
            self._slots.append(_Slot(made.id))
        for slot in [slot for slot in self._slots if slot.workflow is None]:
            if room > 0 and not self._closed and not self._is_paused():
                slot.workflow = self.execution.claim(slot.agent_id, self.engine)
                room -= 1
            elif not self.agents.emit_heartbeat(slot.agent_id):
                self._slots.remove(slot)  # somebody deleted it; the next round makes another

    def close(self) -> None:
        """Take no more."""
        self._closed = True

    def give_back(self) -> None:
        """Stop what is still being done, and give back what the slots have, without a retry counted."""
        end = time.monotonic() + _LAST_WORDS
        while (left := list(_Tools.running.values())) and time.monotonic() < end:
            for given in left:
                self.execution.stop(given)
            time.sleep(0.1)
        for slot in self._slots:
            self.execution.give_back(slot.agent_id, "the worker ends")

    def _look_after(self, slot: _Slot) -> bool:
        """Free the slot of what is over; whether its workflow still waits to begin."""
        assert slot.workflow is not None  # noqa: S101 - asked by the caller
        found = DBOS.get_workflow_status(slot.workflow)
        if found is not None and found.status in _ALIVE:
            waits = found.status in _WAITS
            if waits:
                self.agents.emit_heartbeat(slot.agent_id)
            return waits
        # Nothing is left of what is done; of a workflow that is gone its task is.
        pause = self.execution.first_pause
        self.execution.give_back(slot.agent_id, "its workflow ended", pause=pause)
        slot.workflow = None
        return False

    def _is_paused(self) -> bool:
        """While the model is away, one attempt after each pause is enough."""
        if not (pause := self.execution.pause):
            self._not_before = 0.0
            return False
        now = self.clock()
        if not self._not_before:
            self._not_before = now + pause
        if now < self._not_before:
            return True
        self._not_before = now + pause
        return False
