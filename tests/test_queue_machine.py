"""The queue under arbitrary calls, against a model of it and what must always hold."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from omoi_os.errors import Conflict, DependencyFailed, NotYourTask, TaskMoveNotAllowed
from omoi_os.models.phases import Phase
from omoi_os.services.agent_health import AgentHealthService
from omoi_os.services.database import DatabaseService
from omoi_os.services.task_queue import TaskQueueService
from tests.queue_model import IN_FLIGHT, Item, Model
from tests.queue_tasks import PHASE, long_ago, new_task, new_ticket

RUNS = int(os.environ.get("OMOI_HYPOTHESIS_RUNS", "30"))
PRIORITIES = ["CRITICAL", "HIGH", "MEDIUM", "LOW"]
AGENTS = st.integers(0, 2)
PLACES = st.integers(0, 30)
ERRORS = st.sampled_from(["connection reset", "permission denied"])

STATE = """
SELECT tasks.*, (SELECT payload ->> 'status' FROM events WHERE entity_type = 'task' AND entity_id = tasks.id
                 AND payload ? 'status' ORDER BY seq DESC LIMIT 1) AS told
FROM tasks ORDER BY created_at
"""


class QueueMachine(RuleBasedStateMachine):
    """One ticket and three agents, of which the last is not registered."""

    db: DatabaseService

    def __init__(self) -> None:
        super().__init__()
        self._run("DELETE FROM events", "DELETE FROM tasks", "DELETE FROM agents")
        self.queue, self.health = TaskQueueService(self.db), AgentHealthService(self.db)
        self.ticket = new_ticket(self.db)
        self.agents = [self.health.register("worker").id for _ in range(2)] + ["a stranger"]
        self.given_up: set[str] = set()
        self.blocked = False
        self.model = Model()
        self.completed: dict[str, Any] = {}

    # What happens

    @rule(
        priority=st.sampled_from(PRIORITIES),
        needs=st.sets(PLACES, max_size=3),
        most=st.integers(0, 2),
    )
    def enqueue(self, priority: str, needs: set[int], most: int) -> None:
        needed = {item.id for place in needs if (item := self._item(place))}
        values = {"dependencies": sorted(needed), "priority": priority, "max_retries": most}
        enqueue = partial(new_task, self.queue, self.ticket, timeout_seconds=60, **values)
        if any(self.model.items[id_].lost for id_ in needed):
            with pytest.raises(DependencyFailed):
                enqueue()
        else:
            id_ = enqueue().id
            self.model.items[id_] = Item(id_, PRIORITIES.index(priority), frozenset(needed), most)

    @rule(agent=AGENTS)
    def claim(self, agent: int) -> None:
        name, expected = self.agents[agent], None if self.blocked else self.model.next()
        seen, task = self.queue.get_next_task(), self.queue.claim_next_task(name)
        assert (seen and seen.id) == (task and task.id) == (expected and expected.id)
        self.given_up.discard(name)
        if expected is not None:
            self.model.take(expected, name)

    @rule()
    def block_or_unblock(self) -> None:
        self.blocked = not self.blocked
        phase = Phase.BLOCKED if self.blocked else PHASE
        self._run(f"UPDATE tickets SET phase_id = '{phase}' WHERE id = '{self.ticket}'")

    @precondition(lambda self: self.model.items)
    @rule(agent=AGENTS, place=PLACES)
    def assign(self, agent: int, place: int) -> None:
        item = self._one(place)
        allowed = item.status == "pending" and not self.model.waits(item)
        self._ask(allowed, lambda: self.queue.assign_task(item.id, self.agents[agent]), TaskMoveNotAllowed)
        if allowed:
            self.model.take(item, self.agents[agent])

    @precondition(lambda self: self.model.items)
    @rule(agent=AGENTS, place=PLACES)
    def report(self, agent: int, place: int) -> None:
        item, name = self._one(place), self.agents[agent]
        if self._say(item, name, lambda: self.queue.report_progress(item.id, name)):
            item.status = "running"

    @precondition(lambda self: self.model.items)
    @rule(agent=AGENTS, place=PLACES)
    def complete(self, agent: int, place: int) -> None:
        item, name = self._one(place), self.agents[agent]
        if item.status == "completed" and item.agent == name:
            assert self.queue.complete_task(item.id, name, {"n": 1}).status == "completed"
            self.given_up.discard(name)
        elif self._say(item, name, lambda: self.queue.complete_task(item.id, name, {"n": 1})):
            item.status = "completed"

    @precondition(lambda self: self.model.items)
    @rule(agent=AGENTS, place=PLACES, error=ERRORS, permanent=st.booleans())
    def fail(self, agent: int, place: int, error: str, permanent: bool) -> None:
        item, name = self._one(place), self.agents[agent]
        if self._say(item, name, lambda: self.queue.fail_task(item.id, name, error, permanent=permanent)):
            self.model.fail(item, "Permanent error: " + error if permanent else error)
            self.model.retry(item)
        self._hold_retries()

    @precondition(lambda self: self.model.items)
    @rule(agent=AGENTS, place=PLACES)
    def release(self, agent: int, place: int) -> None:
        item, name = self._one(place), self.agents[agent]
        if self._say(item, name, lambda: self.queue.release_task(item.id, name)):
            item.status, item.agent = "pending", None

    @precondition(lambda self: self.model.items)
    @rule(place=PLACES)
    def cancel(self, place: int) -> None:
        item = self._one(place)
        allowed = item.status in IN_FLIGHT | {"pending"}
        assert self.queue.cancel_task(item.id) is allowed
        if allowed:
            self.model.fail(item, "Task cancelled: ")

    @precondition(lambda self: self.model.items)
    @rule(place=PLACES, error=ERRORS)
    def operator_fails(self, place: int, error: str) -> None:
        """As an operator may, a task that waits or rests as well; nobody tries it again by itself."""
        item = self._one(place)
        allowed = item.status in IN_FLIGHT | {"pending"}
        move = lambda: self.queue.update_task_status(item.id, "failed", error_message=error)  # noqa: E731
        self._ask(allowed, move, TaskMoveNotAllowed)
        if allowed:
            item.rests = False
            self.model.fail(item, error)

    @precondition(lambda self: self.model.items)
    @rule(place=PLACES)
    def retry(self, place: int) -> None:
        item = self._one(place)
        expected = item.status == "failed" and not item.lost
        assert self.queue.should_retry(item.id) is expected
        assert self.queue.increment_retry(item.id) is expected
        assert self.model.retry(item) is expected
        self._hold_retries()

    @precondition(lambda self: self.model.items)
    @rule(place=PLACES)
    def reset(self, place: int) -> None:
        item = self._one(place)
        expected = self.model.reset(item)
        if expected is None:
            with pytest.raises(TaskMoveNotAllowed):
                self.queue.reset_task(item.id)
        else:
            assert set(self.queue.reset_task(item.id).ids) == expected

    @rule()
    def rests_end(self) -> None:
        self._run("UPDATE tasks SET not_before = clock_timestamp() WHERE not_before IS NOT NULL")
        for item in self.model.items.values():
            item.rests = False

    @precondition(lambda self: self.model.items)
    @rule(place=PLACES)
    def run_late(self, place: int) -> None:
        item = self._one(place)
        late = item.status in IN_FLIGHT
        self._run(
            "UPDATE tasks SET assigned_at = assigned_at - interval '1 hour', "
            f"started_at = started_at - interval '1 hour' WHERE id = '{item.id}' AND status <> 'completed'"
        )
        assert [task.id for task in self.queue.get_timed_out_tasks()] == ([item.id] if late else [])
        assert self.queue.mark_task_timeout(item.id, only_if_late=True) is late
        if late:
            self.model.fail(item, "Task timed out")

    @rule(agent=st.integers(0, 1), clean_twice=st.booleans())
    def fall_silent(self, agent: int, clean_twice: bool) -> None:
        name = self.agents[agent]
        silent = self.given_up | {name}  # one that was given up may have been handed a task since
        held = [i for i in self.model.items.values() if i.agent in silent and i.status in IN_FLIGHT]
        long_ago(self.db, "agents", name, "last_heartbeat")
        expected = {name} - self.given_up | {item.agent for item in held}
        assert self.health.cleanup_stale_agents(600) == len(expected)
        assert not clean_twice or self.health.cleanup_stale_agents(600) == 0
        self.given_up.add(name)
        for item in held:
            if item.retries < item.most:
                self.model.again(item)
        over = [item for item in held if item.status in IN_FLIGHT]
        for item in over:
            item.status, item.error = "failed", "was silent"
        self.model.settle(over)
        self._hold_retries()

    # What must always hold

    @invariant()
    def rows_are_as_the_model_says(self) -> None:
        for task, item in zip(self._rows(), self.model.items.values(), strict=True):
            assert (task["id"], task["status"], task["retry_count"]) == (item.id, item.status, item.retries)
            if item.status in IN_FLIGHT | {"completed"}:
                assert task["assigned_agent_id"] == item.agent
            if (item.error or "").startswith("Blocked by"):
                assert task["error_message"].startswith(item.error)

    @invariant()
    def a_task_in_flight_has_one_agent_and_waits_for_nothing(self) -> None:
        rows = {task["id"]: task for task in self._rows()}
        held = [task.id for agent in self.agents for task in self.queue.get_assigned_tasks(agent)]
        assert len(held) == len(set(held))
        assert set(held) == {id_ for id_, task in rows.items() if task["status"] in IN_FLIGHT}
        for id_ in held:
            needed = (rows[id_]["dependencies"] or {}).get("depends_on", [])
            assert all(rows[other]["status"] == "completed" for other in needed)

    @invariant()
    def who_runs_has_a_task(self) -> None:
        for name in self.agents[:2]:
            if self.health.check_agent_health(name)["status"] == "running":
                assert self.queue.get_assigned_tasks(name)
        assert self.health.rest_agents() == 0

    @invariant()
    def nothing_waits_for_a_task_that_failed_for_good(self) -> None:
        for item in self.model.items.values():
            if item.status == "pending":
                assert not any(self.model.items[id_].lost for id_ in item.needs)
        assert self.queue.fail_blocked_tasks() == 0

    @invariant()
    def a_completed_task_never_changes(self) -> None:
        now = {task["id"]: task for task in self._rows() if task["status"] == "completed"}
        assert {id_: now.get(id_) for id_ in self.completed} == self.completed
        self.completed = now

    @invariant()
    def retries_are_bounded_and_the_record_tells_each_change(self) -> None:
        for task in self._rows():
            assert 0 <= task["retry_count"] <= task["max_retries"]
            assert task["told"] == task["status"]
            assert (task["status"] in {"completed", "failed"}) == (task["completed_at"] is not None)
            assert task["status"] != "pending" or task["assigned_agent_id"] is None

    # Means

    def _item(self, place: int) -> Item | None:
        items = list(self.model.items.values())
        return items[place % len(items)] if items else None

    def _one(self, place: int) -> Item:
        item = self._item(place)
        assert item is not None
        return item

    def _say(self, item: Item, agent: str, say: Callable[[], object]) -> bool:
        allowed = item.status in IN_FLIGHT and item.agent == agent
        self._ask(allowed, say, NotYourTask)
        if allowed:
            self.given_up.discard(agent)
        return allowed

    def _ask(self, allowed: bool, move: Callable[[], object], refused: type[Conflict]) -> None:
        if allowed:
            move()
        else:
            with pytest.raises(refused):
                move()

    def _hold_retries(self) -> None:
        """A backoff lasts until `rests_end` says so, however slow the machine is."""
        self._run(
            "UPDATE tasks SET not_before = clock_timestamp() + interval '1 hour' WHERE not_before > now()"
        )

    def _run(self, *statements: str) -> None:
        with self.db.get_session() as session:
            for statement in statements:
                session.execute(text(statement))

    def _rows(self) -> list[dict[str, Any]]:
        with self.db.get_session() as session:
            return [dict(found) for found in session.execute(text(STATE)).mappings()]


@pytest.mark.timeout(120 + RUNS)
def test_no_order_of_calls_breaks_the_queue(db_service: DatabaseService) -> None:
    machine = type("Machine", (QueueMachine,), {"db": db_service})
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=checks,
        ),
    )
