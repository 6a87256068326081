"""Several at once: no task twice, none lost, nothing waits for ever, and nobody waits for each other."""

from __future__ import annotations

import multiprocessing
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection as Pipe

import pytest
from sqlalchemy import text

from omoi_os.errors import DependencyFailed, NotYourTask, OmoiError, TaskMoveNotAllowed
from omoi_os.models.task import Task
from omoi_os.services.agent_health import AgentHealthService
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.task_queue import TaskQueueService
from omoi_os.store.queue import hold_failing
from tests.queue_tasks import agent_status, long_ago, new_agent, new_task, new_ticket, read, row, state, told

ROUNDS = int(os.environ.get("OMOI_ROUNDS", "12"))
CLAIMERS = 16


def together(*works: Callable[[], object]) -> list[object]:
    """What each returned, or the refusal that it met; anything else that is raised fails the test."""
    start = threading.Barrier(len(works), timeout=30)

    def run(work: Callable[[], object]) -> object:
        start.wait()
        try:
            return work()
        except OmoiError as refusal:
            return refusal

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(60) for future in [pool.submit(run, work) for work in works]]


def silent_agent_with_task(queue: TaskQueueService) -> tuple[str, str]:
    agent, task = new_agent(queue.db), new_task(queue).id
    queue.assign_task(task, agent)
    long_ago(queue.db, "agents", agent, "last_heartbeat")
    return agent, task


# Claims


def claim_all(queue: TaskQueueService, agent: str) -> list[str]:
    taken = []
    while (task := queue.claim_next_task(agent)) is not None:
        taken.append(task.id)
    return taken


def fill(queue: TaskQueueService, count: int) -> list[str]:
    """Ready tasks of all priorities, and as many that wait for one of them."""
    ticket = new_ticket(queue.db)
    priorities = ("CRITICAL", "HIGH", "MEDIUM", "LOW")
    ready = [row(queue.db, ticket, priority=priorities[n % 4]) for n in range(count)]
    for id_ in ready:
        row(queue.db, ticket, priority="CRITICAL", needs=[id_])
    return ready


def check_claims(queue: TaskQueueService, ready: list[str], taken: list[list[str]]) -> None:
    assert Counter(id_ for part in taken for id_ in part) == Counter(ready)
    with queue.db.get_session() as session:
        held = {task.id: task.assigned_agent_id for task in session.query(Task) if task.status == "assigned"}
        assert held == {id_: f"agent-{place}" for place, part in enumerate(taken) for id_ in part}
        session.execute(text("DELETE FROM tasks"))


def test_no_task_is_claimed_twice_and_none_is_lost(task_queue_service: TaskQueueService) -> None:
    for _ in range(ROUNDS):
        ready = fill(task_queue_service, 20)
        taken = together(*(partial(claim_all, task_queue_service, f"agent-{n}") for n in range(CLAIMERS)))
        check_claims(task_queue_service, ready, taken)  # type: ignore[arg-type]


def _claimer(address: str, agent: str, pipe: Pipe) -> None:
    db = DatabaseService(address, pool_size=1)
    queue = TaskQueueService(db)
    pipe.send(None)
    while pipe.recv():
        pipe.send(claim_all(queue, agent))
    db.close()


@contextmanager
def claimers(db: DatabaseService) -> Iterator[list[Pipe]]:
    """Processes that claim all there is, each time they are told to."""
    address = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    context = multiprocessing.get_context("spawn")
    started = []
    for place in range(CLAIMERS):
        here, there = context.Pipe()
        process = context.Process(target=_claimer, args=(address, f"agent-{place}", there), daemon=True)
        process.start()
        started.append((process, here))
    try:
        for _, pipe in started:
            pipe.recv()
        yield [pipe for _, pipe in started]
    finally:
        for process, pipe in started:
            pipe.send(False)
            process.join(10)
            pipe.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_sixteen_processes_claim_each_task_once(task_queue_service: TaskQueueService) -> None:
    with claimers(task_queue_service.db) as pipes:
        for _ in range(ROUNDS):
            ready = fill(task_queue_service, 40)
            for pipe in pipes:
                pipe.send(True)
            check_claims(task_queue_service, ready, [pipe.recv() for pipe in pipes])


# Failures


def test_nothing_is_added_behind_a_task_that_fails_at_that_moment(
    task_queue_service: TaskQueueService,
) -> None:
    queue, met = task_queue_service, Counter[str]()
    for number in range(ROUNDS * 3):
        needed, also = new_task(queue).id, new_task(queue).id
        enqueue = partial(new_task, queue, dependencies=[also, needed])
        cancel = partial(queue.cancel_task, needed)
        works = (enqueue, cancel) if number % 2 else (cancel, enqueue)
        results = together(*works)
        added = next(result for result in results if not isinstance(result, bool))
        if isinstance(added, Task):
            assert state(queue.db, added.id) == "failed"
        else:
            assert isinstance(added, DependencyFailed)
        met[type(added).__name__] += 1
    assert sum(met.values()) == ROUNDS * 3


def test_failures_that_cross_do_not_wait_for_each_other(task_queue_service: TaskQueueService) -> None:
    """Every task of a lattice is cancelled at once, while others are added behind it."""
    queue = task_queue_service
    for number in range(ROUNDS):
        ticket, levels = new_ticket(queue.db), [[row(queue.db) for _ in range(2)]]
        for _ in range(5):
            levels.append([row(queue.db, ticket, needs=levels[-1]) for _ in range(2)])
        tasks = [id_ for level in levels for id_ in level]
        order = random.Random(number).sample(tasks, len(tasks))
        works: list[Callable[[], object]] = [partial(queue.cancel_task, id_) for id_ in order[:6]]
        works += [partial(new_task, queue, ticket, dependencies=order) for _ in range(3)]
        results = together(*works, queue.fail_blocked_tasks)
        assert True in results
        below = {id_ for level in levels[1:] for id_ in level}
        if set(order[:6]) & set(levels[0]):
            assert {state(queue.db, id_) for id_ in below} == {"failed"}
        late = [result for result in results if isinstance(result, Task)]
        assert {state(queue.db, task.id) for task in late} <= {"failed"}
        assert all(told(queue.db, id_).count("task.blocked") <= 1 for id_ in tasks)


def test_resets_retries_and_failures_that_cross_leave_nothing_waiting_for_ever(
    task_queue_service: TaskQueueService,
) -> None:
    queue = task_queue_service
    for _ in range(ROUNDS):
        ticket = new_ticket(queue.db)
        first, second = row(queue.db, ticket), row(queue.db, ticket)
        below = row(queue.db, ticket, needs=[first, second])
        last = row(queue.db, ticket, needs=[below])
        queue.cancel_task(first)
        together(
            partial(queue.reset_task, first),
            partial(queue.cancel_task, second),
            partial(queue.cancel_task, below),
            partial(queue.reset_task, last),
            queue.retry_failed_tasks,
            partial(queue.reset_task, second),
        )
        lost = [id_ for id_ in (first, second) if state(queue.db, id_) == "failed"]
        if lost:
            assert {state(queue.db, id_) for id_ in (below, last)} == {"failed"}
        if state(queue.db, below) == "failed":
            assert state(queue.db, last) == "failed"
        assert queue.fail_blocked_tasks() == 0


# Agents


def test_several_sweeps_take_each_task_back_once(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    agents = AgentHealthService(queue.db)
    for _ in range(ROUNDS):
        held = [silent_agent_with_task(queue) for _ in range(4)]
        swept = together(*[agents.cleanup_stale_agents] * 4)
        assert sum(swept) == len(held)  # type: ignore[arg-type]
        for agent, task in held:
            assert agent_status(queue.db, agent) == "timeout"
            assert (state(queue.db, task), read(queue.db, task).retry_count) == ("pending", 1)
            assert told(queue.db, task).count("task.requeued") == 1


def test_a_heartbeat_in_time_saves_the_task_and_a_late_one_does_not(
    task_queue_service: TaskQueueService,
) -> None:
    queue = task_queue_service
    agents = AgentHealthService(queue.db)
    for _ in range(ROUNDS * 2):
        agent, task = silent_agent_with_task(queue)
        beat, swept = together(partial(agents.emit_heartbeat, agent), agents.cleanup_stale_agents)
        assert beat is True
        assert state(queue.db, task) == ("pending" if swept else "assigned")
        assert read(queue.db, task).retry_count == swept
        assert agent_status(queue.db, agent) in {"idle", "timeout"} if swept else {"idle"}


def test_an_agent_that_claims_while_it_is_given_up_keeps_what_it_took(
    task_queue_service: TaskQueueService,
) -> None:
    queue = task_queue_service
    agents = AgentHealthService(queue.db)
    for mark in ("timeout", "failed") * ROUNDS:
        agent, old = silent_agent_with_task(queue)
        fresh = new_task(queue, priority="CRITICAL").id
        claimed, swept = together(
            partial(queue.claim_next_task, agent),
            partial(agents.cleanup_stale_agents, mark_as=mark),
        )
        assert state(queue.db, old) == ("pending" if swept else "assigned")
        if claimed is not None:
            taken = read(queue.db, fresh)
            assert (taken.status, taken.assigned_agent_id) == ("assigned", agent)
            assert agent_status(queue.db, agent) in {"running", "failed"}
        else:
            assert agent_status(queue.db, agent) == "failed"
            assert state(queue.db, fresh) == "pending"
        with queue.db.get_session() as session:
            session.execute(text("DELETE FROM tasks"))


@pytest.mark.parametrize("word", ["completed", "running"])
def test_a_result_counts_or_the_task_comes_back_but_not_both(
    task_queue_service: TaskQueueService, word: str
) -> None:
    queue = task_queue_service
    agents = AgentHealthService(queue.db)
    for _ in range(ROUNDS * 2):
        agent, task = silent_agent_with_task(queue)
        say = queue.complete_task if word == "completed" else queue.report_progress
        done, swept = together(
            partial(say, task, agent),
            agents.cleanup_stale_agents,
        )
        assert isinstance(done, NotYourTask) is bool(swept)
        assert state(queue.db, task) == ("pending" if swept else word)


def test_a_task_is_completed_or_cancelled_and_never_both(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    for _ in range(ROUNDS * 2):
        task = new_task(queue).id
        after = new_task(queue, dependencies=[task]).id
        queue.assign_task(task, "worker")
        done, cancelled = together(
            partial(queue.complete_task, task, "worker"),
            partial(queue.cancel_task, task),
        )
        assert isinstance(done, NotYourTask) is cancelled
        assert state(queue.db, task) == ("failed" if cancelled else "completed")
        assert state(queue.db, after) == ("failed" if cancelled else "pending")


def test_completing_twice_at_once_is_answered_like_once(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    for _ in range(ROUNDS):
        task = new_task(queue).id
        queue.assign_task(task, "worker")
        both = together(*[partial(queue.complete_task, task, "worker", {"n": 1})] * 3)
        assert all(isinstance(answer, Task) for answer in both)
        assert told(queue.db, task).count("task.moved") == 1


def test_one_of_many_retries_is_counted(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    for _ in range(ROUNDS):
        task = row(queue.db, status="failed")
        answers = together(*[partial(queue.increment_retry, task)] * 4, queue.retry_failed_tasks)
        assert sum(answers) == 1  # type: ignore[arg-type]
        assert read(queue.db, task).retry_count == 1


def test_one_of_many_assignments_wins(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    for _ in range(ROUNDS):
        task = new_task(queue).id
        answers = together(
            *[partial(queue.assign_task, task, f"agent-{n}") for n in range(4)],
            partial(queue.claim_next_task, "agent-4"),
        )
        winners = [answer for answer in answers if isinstance(answer, Task)]
        assert len(winners) == 1
        assert read(queue.db, task).assigned_agent_id == winners[0].assigned_agent_id
        losers = [answer for answer in answers if answer is not None and answer is not winners[0]]
        assert all(isinstance(loser, TaskMoveNotAllowed) for loser in losers)


# Looking


def test_a_look_for_blocked_tasks_makes_nobody_wait(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    new_task(queue, dependencies=[new_task(queue).id])
    with ThreadPoolExecutor(1) as pool, queue.db.get_session() as session:
        hold_failing(driver_connection(session))
        assert pool.submit(queue.fail_blocked_tasks).result(20) == 0
