"""Tasks that our own agents do: taken, worked on and handed in, in steps that a worker may die between.

What an agent is stopped by is not charged to its task: where the model is away, its key is wrong or the
worker ends, the task goes back without a retry counted, and whoever takes it goes on with the same
conversation. What the agent could not do is a failure.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid4, uuid5

import psycopg
import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from omoi_os.domain.statuses import Priority
from omoi_os.errors import NotFound, NotYourTask
from omoi_os.judge.executor import stop_run
from omoi_os.judge.run import AgentRun, RunOutcome
from omoi_os.models.task import Task
from omoi_os.services.engine import TASKS, Engine, Job
from omoi_os.services.task_queue import TaskQueueService
from omoi_os.services.tickets import TicketService
from omoi_os.services.worker_agent import AWAY, Assignment, Kept, State, WorkerAgent, kept
from omoi_os.services.workplaces import Busy, Shift, Why, Workplaces
from omoi_os.store import workplaces

log = structlog.get_logger(__name__)

AGENT_TYPE: Final = "worker"
WORKFLOW: Final = "execute_task"

MOST_BEGINNINGS: Final = 5
"""Times that an attempt at a task is begun: one that goes beyond kills the workers that it runs on."""

_NAMESPACE: Final = UUID("5b2d4a5e-8f57-4a0c-9f0e-2c6a3f1f7c11")
_URGENCY: Final = {priority.value: place for place, priority in enumerate(Priority, start=1)}


class TaskExecution:
    """The bodies of the steps.

    Args:
        first_pause: Seconds for which a task is given back when the model is away; later ones double, up to
            twenty times as long.
    """

    def __init__(
        self,
        queue: TaskQueueService,
        tickets: TicketService,
        agent: WorkerAgent,
        places: Workplaces,
        *,
        first_pause: float = 15.0,
    ) -> None:
        self.queue = queue
        self.tickets = tickets
        self.agent = agent
        self.places = places
        self.first_pause = first_pause
        self._outages = 0

    @property
    def pause(self) -> float:
        """Seconds for which nothing is begun because the model was away the last time; 0 for none."""
        return min(self.first_pause * 2.0 ** min(self._outages - 1, 5), 20 * self.first_pause) * bool(
            self._outages
        )

    def claim(self, agent_id: str, engine: Engine) -> str | None:
        """Take the next task for an agent and have it done, both or neither.

        Returns:
            The workflow's id; None where nothing is ready.
        """
        with self.queue.db.get_session() as session:
            task = self.queue.claim_alone(agent_id, session=session)
            return None if task is None else _enqueue(session, task, agent_id, engine)

    def take(self, task_id: str, agent_id: str) -> Assignment | None:
        """Begin, or begin again, what an agent has; None where it has lost it."""
        try:
            task = self.queue.get_task(task_id)
            conversation = self._conversation_of(task)
            told = f"conversation {conversation}"
            task = self.queue.report_progress(task_id, agent_id, told, conversation_id=str(conversation))
            if self._begun(task_id) > MOST_BEGINNINGS:
                reason = f"whatever worked on it ended, {MOST_BEGINNINGS} times"
                self.queue.fail_task(task_id, agent_id, reason)
                return None
            return Assignment(task, self.tickets.get(task.ticket_id), agent_id, conversation)
        except (NotYourTask, NotFound):
            return None

    def work(self, given: Assignment) -> Kept:
        """Let the agent do it; takes minutes."""
        if given.root is not None and (why := self.agent.refusal(given.root)) is not None:
            return kept(State.AWAY, reason=why)
        try:
            with self.places.shift(
                given.workplace, given.task.id, given.agent_id, lambda: self.stop(given)
            ) as shift:
                run = self.agent.do(given)
        except Busy:
            return kept(State.BUSY, reason="another agent is at work in the workspace")
        except (psycopg.OperationalError, OperationalError):
            return kept(State.CUT_OFF, reason="the database went away")
        return self._told(run, shift)

    def stop(self, given: Assignment) -> None:
        """End what `work` waits for, so that it costs no more."""
        stop_run(given.conversation_id)

    def hand_in(self, task_id: str, agent_id: str, found: Kept) -> Kept:
        """Complete, fail or give back the task; nothing where the agent has lost it."""
        state = State(found["state"])
        try:
            if state is State.REPORTED:
                self.queue.complete_task(task_id, agent_id, found["result"])
                return kept(State.COMPLETED)
            if state is State.FAILED:
                self.queue.fail_task(task_id, agent_id, found["reason"], permanent=found["permanent"])
            elif state is not State.LOST:
                log.warning("task_given_back", task_id=task_id, reason=found["reason"])
                pause = max(self.pause, self.first_pause)
                self.queue.release_task(task_id, agent_id, found["reason"], pause=pause)
        except (NotYourTask, NotFound):
            return kept(State.LOST)
        return kept(state)

    def execute(self, task_id: str, agent_id: str) -> State:
        """All steps, one after the other, in this process."""
        given = self.take(task_id, agent_id)
        if given is None:
            return State.LOST
        return State(self.hand_in(task_id, agent_id, self.work(given))["state"])

    def give_back(self, agent_id: str, reason: str, *, pause: float | None = None) -> int:
        """Give back what an agent still has, to be taken after `pause` seconds; returns how many tasks."""
        tasks = self.queue.get_assigned_tasks(agent_id)
        for task in tasks:
            try:
                self.queue.release_task(task.id, agent_id, reason, pause=pause)
            except (NotYourTask, NotFound):
                continue
        return len(tasks)

    def _told(self, run: AgentRun, shift: Shift) -> Kept:
        if shift.stopped is Why.LOST:
            return kept(State.LOST)
        self._outages = self._outages + 1 if run.outcome in AWAY else 0
        if run.outcome is RunOutcome.CANCELLED:
            return kept(State.CUT_OFF, reason="the worker was stopped or cut off")
        return self.agent.said(run)

    def _conversation_of(self, task: Task) -> UUID:
        """The same for whoever goes on with an attempt, and another one for each attempt."""
        with self.queue.db.single_statements() as connection:
            resets = workplaces.resets(connection, task.id)
        return uuid5(_NAMESPACE, f"{task.id}:{task.retry_count}:{resets}")

    def _begun(self, task_id: str) -> int:
        with self.queue.db.single_statements() as connection:
            return workplaces.begun(connection, task_id)


def _enqueue(session: Session, task: Task, agent_id: str, engine: Engine) -> str:
    workflow = f"{task.id}:{uuid4().hex[:8]}"
    urgency = _URGENCY.get(task.priority, 3)
    engine.enqueue(session, Job(WORKFLOW, TASKS, workflow, (task.id, agent_id), urgency))
    return workflow
