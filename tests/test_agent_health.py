"""Agents that are alive keep their tasks; those that fall silent lose them, each exactly once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from omoi_os.errors import InvalidInput, NotFound, NotYourTask
from omoi_os.models.phases import Phase
from omoi_os.services.agent_health import AgentHealthService
from omoi_os.services.database import DatabaseService
from omoi_os.services.housekeeping import Housekeeping, Swept
from omoi_os.services.task_queue import TaskQueueService
from tests.queue_tasks import (
    HOSTILE_IDS,
    agent_status,
    change,
    long_ago,
    new_agent,
    new_task,
    new_ticket,
    read,
    row,
    state,
    told,
)


@pytest.fixture
def agents(db_service: DatabaseService) -> AgentHealthService:
    return AgentHealthService(db_service)


def silent_agent(db: DatabaseService, **fields: Any) -> str:
    agent = new_agent(db, **fields)
    long_ago(db, "agents", agent, "last_heartbeat")
    return agent


# Signs of life


def test_an_agent_registers_and_is_healthy(agents: AgentHealthService) -> None:
    agent = agents.register("worker", phase_id="PHASE_DESIGN", capabilities=["python", "python", "sql"])
    assert (agent.status, agent.phase_id, agent.capabilities) == ("idle", Phase.DESIGN, ["python", "sql"])
    assert agents.get(agent.id).last_heartbeat == agent.created_at
    health = agents.check_agent_health(agent.id)
    assert health["healthy"] is True
    assert health["seconds_since_heartbeat"] < 60
    assert told(agents.db, agent.id) == ["agent.registered"]


@pytest.mark.parametrize(
    "values",
    [
        {"agent_type": " "},
        {"agent_type": "x" * 51},
        {"agent_type": "a\x00"},
        {"agent_type": "worker", "phase_id": "nowhere"},
        {"agent_type": "worker", "capabilities": "python"},
        {"agent_type": "worker", "capabilities": [""]},
    ],
)
def test_an_agent_that_cannot_be_stored_is_refused(
    agents: AgentHealthService, values: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput):
        agents.register(**values)


@pytest.mark.parametrize("id_", HOSTILE_IDS)
def test_an_agent_that_nobody_knows(agents: AgentHealthService, id_: str) -> None:
    assert agents.emit_heartbeat(id_) is False
    health = agents.check_agent_health(id_)
    assert (health["status"], health["healthy"]) == ("not_found", False)
    with pytest.raises(NotFound):
        agents.get(id_)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("idle", "idle"),
        ("running", "running"),
        ("stale", "idle"),
        ("timeout", "idle"),
        ("failed", "failed"),
    ],
)
def test_a_heartbeat_brings_back_all_but_the_failed(
    agents: AgentHealthService, before: str, after: str
) -> None:
    agent = silent_agent(agents.db, status=before)
    assert agents.check_agent_health(agent)["healthy"] is False
    assert agents.emit_heartbeat(agent)
    assert agent_status(agents.db, agent) == after
    health = agents.check_agent_health(agent)
    assert health["healthy"] is (after != "failed")
    assert health["seconds_since_heartbeat"] < 60


def test_each_word_about_a_task_is_a_sign_of_life(
    agents: AgentHealthService, task_queue_service: TaskQueueService
) -> None:
    queue, agent = task_queue_service, new_agent(agents.db)
    sayings: list[Callable[[str], object]] = [
        lambda task: queue.report_progress(task, agent),
        lambda task: queue.complete_task(task, agent),
        lambda task: queue.fail_task(task, agent, "it broke"),
        lambda task: queue.release_task(task, agent),
    ]
    for say in sayings:
        task = new_task(queue).id
        queue.assign_task(task, agent)
        long_ago(agents.db, "agents", agent, "last_heartbeat")
        say(task)
        assert agents.detect_stale_agents() == []


def test_the_clock_of_the_program_does_not_keep_an_agent_alive(agents: AgentHealthService) -> None:
    old = new_agent(agents.db, last_heartbeat=datetime.now(UTC) - timedelta(days=1))
    ahead = new_agent(agents.db, last_heartbeat=datetime.now(UTC) + timedelta(days=1))
    assert [agent.id for agent in agents.detect_stale_agents()] == [old]
    assert agents.check_agent_health(ahead)["seconds_since_heartbeat"] < 0
    agents.emit_heartbeat(ahead)
    assert 0 <= agents.check_agent_health(ahead)["seconds_since_heartbeat"] < 60


# Silence


@pytest.mark.parametrize(
    ("ago", "timeout", "stale"),
    [(89, None, False), (91, None, True), (5, 3, True), (5, 60, False), (1, 0, True)],
)
def test_an_agent_is_stale_after_its_time(
    agents: AgentHealthService, ago: float, timeout: float | None, stale: bool
) -> None:
    agent = new_agent(agents.db)
    long_ago(agents.db, "agents", agent, "last_heartbeat", ago)
    assert [found.id for found in agents.detect_stale_agents(timeout)] == ([agent] if stale else [])
    assert agents.check_agent_health(agent, timeout)["healthy"] is not stale
    assert [health["healthy"] for health in agents.get_all_agents_health(timeout)] == [not stale]
    assert agents.cleanup_stale_agents(timeout) == stale


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), 1e12])
def test_a_timeout_is_a_number_of_seconds(agents: AgentHealthService, timeout: float) -> None:
    for ask in (agents.detect_stale_agents, agents.cleanup_stale_agents, agents.get_all_agents_health):
        with pytest.raises(InvalidInput):
            ask(timeout)


def test_an_agent_that_never_beat_counts_from_its_birth(agents: AgentHealthService) -> None:
    agent = new_agent(agents.db)
    assert agents.detect_stale_agents() == []
    long_ago(agents.db, "agents", agent, "created_at")
    assert [found.id for found in agents.detect_stale_agents()] == [agent]


@pytest.mark.parametrize("mark", ["timeout", "stale", "failed"])
def test_a_silent_agent_loses_its_tasks(
    agents: AgentHealthService, task_queue_service: TaskQueueService, mark: str
) -> None:
    queue, db = task_queue_service, agents.db
    agent, alive = silent_agent(db), new_agent(db)
    taken, started, last, done, other = (new_task(queue, max_retries=3).id for _ in range(5))
    after = new_task(queue, dependencies=[last]).id
    for task in (taken, started, last, done):
        queue.assign_task(task, agent)
    queue.assign_task(other, alive)
    change(db, started, status="running", retry_count=1)
    change(db, last, retry_count=3)
    change(db, done, status="completed")
    agents.emit_heartbeat(alive)
    assert agents.cleanup_stale_agents(mark_as=mark) == 1
    assert agents.cleanup_stale_agents(mark_as=mark) == 0
    assert agent_status(db, agent) == mark
    again = [read(db, task) for task in (taken, started)]
    assert [(task.status, task.retry_count, task.assigned_agent_id) for task in again] == [
        ("pending", 1, None),
        ("pending", 2, None),
    ]
    assert all(task.not_before is not None for task in again)
    assert read(db, last).error_message == f"Agent {agent} was silent, and the task has no retry left"
    assert [state(db, task) for task in (last, after, done, other)] == [
        *("failed", "failed", "completed", "assigned")
    ]
    assert told(db, agent) == ["agent.silent"]
    assert told(db, taken)[-1] == "task.requeued"
    with pytest.raises(NotYourTask):
        queue.complete_task(taken, agent)


@pytest.mark.parametrize("status", ["stale", "timeout", "failed"])
def test_a_task_given_to_an_agent_that_was_given_up_comes_back(
    agents: AgentHealthService, task_queue_service: TaskQueueService, status: str
) -> None:
    agent = silent_agent(agents.db, status=status)
    task = new_task(task_queue_service).id
    task_queue_service.assign_task(task, agent)
    assert agents.cleanup_stale_agents() == 1
    assert state(agents.db, task) == "pending"
    assert agent_status(agents.db, agent) == ("failed" if status == "failed" else "timeout")
    assert agents.cleanup_stale_agents() == 0


@pytest.mark.parametrize("mark", ["idle", "running", "", "dead", "\x00"])
def test_an_agent_can_be_given_up_in_three_ways(agents: AgentHealthService, mark: str) -> None:
    with pytest.raises(InvalidInput, match="mark_as"):
        agents.cleanup_stale_agents(mark_as=mark)


def test_statistics_count_each_agent_once(agents: AgentHealthService) -> None:
    assert agents.get_agent_statistics()["total_agents"] == 0
    for status in ("idle", "idle", "failed", "stale"):
        new_agent(agents.db, status=status)
    silent_agent(agents.db, status="running")
    assert agents.get_agent_statistics() == {
        "total_agents": 5,
        "by_status": {"idle": 2, "failed": 1, "stale": 1, "running": 1},
        "by_type": {"worker": 5},
        "healthy": 2,
        "stale": 1,
    }


@pytest.mark.parametrize(
    "end",
    [
        lambda queue, task: queue.cancel_task(task),
        lambda queue, task: queue.mark_task_timeout(task),
        lambda queue, task: queue.update_task_status(task, "completed"),
        lambda queue, task: queue.update_task_status(task, "failed", error_message="no disk"),
        lambda queue, task: queue.update_task_status(task, "pending"),
    ],
    ids=["cancelled", "timed out", "completed", "failed", "taken back"],
)
def test_an_agent_rests_when_others_end_its_last_task(
    agents: AgentHealthService,
    task_queue_service: TaskQueueService,
    end: Callable[[TaskQueueService, str], object],
) -> None:
    queue, agent = task_queue_service, agents.register("worker").id
    for _ in range(2):
        new_task(queue)
    first, last = queue.claim_next_task(agent), queue.claim_next_task(agent)
    assert first is not None
    assert last is not None
    end(queue, first.id)
    assert agent_status(agents.db, agent) == "running"
    end(queue, last.id)
    assert agent_status(agents.db, agent) == "idle"


def test_a_sweep_lets_agents_rest_whose_tasks_others_ended(
    agents: AgentHealthService, task_queue_service: TaskQueueService
) -> None:
    queue, (idle, busy) = task_queue_service, [agents.register("worker").id for _ in range(2)]
    for agent in (idle, busy):
        new_task(queue)
        task = queue.claim_next_task(agent)
        assert task is not None
        if agent == idle:
            change(agents.db, task.id, status="failed", error_message="permission denied")
    assert agents.rest_agents() == 1
    assert agents.rest_agents() == 0
    assert [agent_status(agents.db, agent) for agent in (idle, busy)] == ["idle", "running"]


DAYS = 24 * 3600.0


@pytest.mark.parametrize(
    ("status", "days", "holds", "gone"),
    [
        ("timeout", 8, False, True),
        ("failed", 8, False, True),
        ("stale", 8, False, True),
        ("timeout", 6, False, False),
        ("timeout", 8, True, False),
        ("idle", 8, False, False),
        ("running", 8, False, False),
    ],
)
def test_an_ended_registration_is_forgotten_after_a_week(
    agents: AgentHealthService,
    task_queue_service: TaskQueueService,
    status: str,
    days: float,
    holds: bool,
    gone: bool,
) -> None:
    agent = new_agent(agents.db, status=status)
    long_ago(agents.db, "agents", agent, "last_heartbeat", days * DAYS)
    if holds:
        task_queue_service.assign_task(new_task(task_queue_service).id, agent)
    assert agents.forget_agents() == gone
    assert agents.check_agent_health(agent)["status"] == ("not_found" if gone else status)
    assert told(agents.db, agent) == (["agent.forgotten"] if gone else [])


def test_one_that_never_beat_is_forgotten_as_well(agents: AgentHealthService) -> None:
    agent = new_agent(agents.db)
    long_ago(agents.db, "agents", agent, "created_at", 8 * DAYS)
    assert agents.cleanup_stale_agents() == 1
    assert agents.forget_agents() == 1


def test_agents_are_listed_in_pages_the_newest_first(agents: AgentHealthService) -> None:
    made = [agents.register("worker").id for _ in range(5)]
    seen: list[str] = []
    cursor = None
    for _ in range(3):
        page = agents.list_agents(limit=2, cursor=cursor)
        seen += [health["agent_id"] for health in page.agents]
        cursor = page.next_cursor
    assert seen == made[::-1]
    assert cursor is None
    for limit in (0, 1001):
        with pytest.raises(InvalidInput, match="limit"):
            agents.list_agents(limit=limit)


# Housekeeping


def test_a_sweep_does_all_that_nobody_asks_for(
    agents: AgentHealthService, task_queue_service: TaskQueueService
) -> None:
    queue, db = task_queue_service, agents.db
    late, held = (new_task(queue, timeout_seconds=60).id for _ in range(2))
    queue.assign_task(late, new_agent(db))
    queue.assign_task(held, silent_agent(db))
    long_ago(db, "tasks", late, "assigned_at")
    blocked = row(db, needs=[row(db, status="failed", error_message="Permission denied")])
    house = Housekeeping(queue, agents)
    assert house.sweep() == Swept(timed_out=1, retried=1, silent_agents=1, blocked=1)
    assert [state(db, task) for task in (late, held, blocked)] == ["pending", "pending", "failed"]
    assert not house.sweep()


MANY = """
INSERT INTO {table} (id, status, created_at, {columns})
SELECT 'many-' || n, '{status}', clock_timestamp() - interval '1 day', {values}
FROM generate_series(1, 2100) n
"""


def test_a_sweep_goes_on_until_nothing_is_left(
    agents: AgentHealthService, task_queue_service: TaskQueueService
) -> None:
    ticket = new_ticket(agents.db)
    tasks = "ticket_id, phase_id, task_type, priority, retry_count, timeout_seconds, assigned_at"
    values = f"'{ticket}', 'PHASE_DESIGN', 'work', 'LOW', 3, 60, clock_timestamp() - interval '1 day'"
    with agents.db.get_session() as session:
        session.execute(text(MANY.format(table="tasks", status="assigned", columns=tasks, values=values)))
        session.execute(
            text(MANY.format(table="agents", status="idle", columns="agent_type", values="'worker'"))
        )
    assert len(task_queue_service.get_timed_out_tasks()) == 1000
    assert len(agents.detect_stale_agents()) == 1000
    assert len(agents.get_all_agents_health()) == 1000
    assert agents.get_agent_statistics()["total_agents"] == 2100
    swept = Housekeeping(task_queue_service, agents).sweep()
    assert (swept.timed_out, swept.silent_agents) == (2100, 2100)


def test_housekeeping_stops_when_it_is_told(
    agents: AgentHealthService, task_queue_service: TaskQueueService
) -> None:
    task = row(agents.db, status="failed")
    stop = threading.Event()
    house = Housekeeping(task_queue_service, agents)
    thread = threading.Thread(target=house.run, args=(stop, 0.01))
    thread.start()
    for _ in range(500):
        if state(agents.db, task) == "pending":
            break
        stop.wait(0.01)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert state(agents.db, task) == "pending"
