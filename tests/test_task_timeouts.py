"""Tasks that take too long or are not wanted any more; only the database's clock counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from omoi_os.errors import TextNotStorable, TextTooLong
from omoi_os.services.task_queue import TaskQueueService
from tests.queue_tasks import change, long_ago, new_agent, new_task, read, row, state, told


def taken(
    queue: TaskQueueService,
    *,
    timeout: int | None = 60,
    ago: float = 0,
    started: bool = True,
    by: str = "worker",
) -> str:
    """A task in flight for `ago` seconds."""
    task = new_task(queue, timeout_seconds=timeout).id
    queue.assign_task(task, by)
    if started:
        queue.report_progress(task, by)
    if ago:
        long_ago(queue.db, "tasks", task, "started_at" if started else "assigned_at", ago)
    return task


@pytest.mark.parametrize(
    ("timeout", "ago", "started", "late"),
    [
        (60, 0, True, False),
        (60, 59, True, False),
        (60, 61, True, True),
        (60, 61, False, True),  # taken and never started counts as well
        (60, 59, False, False),
        (1, 1.01, True, True),
        (30 * 24 * 3600, 30 * 24 * 3600 - 60, True, False),
    ],
)
def test_a_task_is_late_when_its_time_is_used_up(
    task_queue_service: TaskQueueService, timeout: int | None, ago: float, started: bool, late: bool
) -> None:
    queue = task_queue_service
    task = taken(queue, timeout=timeout, ago=ago, started=started)
    assert queue.check_task_timeout(task) is late
    assert queue.get_task_timeout_status(task)["is_timed_out"] is late
    assert [found.id for found in queue.get_timed_out_tasks()] == ([task] if late else [])
    assert queue.mark_task_timeout(task, only_if_late=True) is late
    assert state(queue.db, task) == ("failed" if late else "running" if started else "assigned")


DAY = 24 * 3600


@pytest.mark.parametrize(
    ("registered", "ago", "late"), [(True, 10**8, False), (False, DAY - 60, False), (False, DAY + 60, True)]
)
def test_a_task_without_a_limit_comes_back_from_a_name_that_nobody_watches(
    task_queue_service: TaskQueueService, registered: bool, ago: float, late: bool
) -> None:
    queue = task_queue_service
    by = new_agent(queue.db) if registered else "a stranger"
    task = taken(queue, timeout=None, ago=ago, by=by)
    assert queue.check_task_timeout(task) is late
    assert [found.id for found in queue.get_timed_out_tasks()] == ([task] if late else [])
    assert queue.time_out_late_tasks() == late
    assert state(queue.db, task) == ("failed" if late else "running")


def test_all_late_tasks_end_at_once_and_what_waits_for_them_fails(
    task_queue_service: TaskQueueService,
) -> None:
    queue = task_queue_service
    late, other = [taken(queue, ago=100) for _ in range(2)], taken(queue)
    change(queue.db, late[1], retry_count=3)
    after = new_task(queue, dependencies=[late[1]]).id
    assert queue.time_out_late_tasks() == 2
    assert queue.time_out_late_tasks() == 0
    assert [state(queue.db, task) for task in (*late, other, after)] == [
        *("failed", "failed", "running", "failed")
    ]
    assert read(queue.db, late[0]).error_message == "Task timed out after 60s: timeout_exceeded"
    assert told(queue.db, late[0])[-1] == "task.timed_out"


def test_the_longest_late_comes_first(task_queue_service: TaskQueueService) -> None:
    tasks = [taken(task_queue_service, ago=ago) for ago in (100, 300, 200)]
    found = [task.id for task in task_queue_service.get_timed_out_tasks()]
    assert found == [tasks[1], tasks[2], tasks[0]]


@pytest.mark.parametrize("status", ["pending", "completed", "failed"])
def test_only_a_task_in_flight_can_be_late(task_queue_service: TaskQueueService, status: str) -> None:
    queue = task_queue_service
    task = taken(queue, ago=100)
    change(queue.db, task, status=status)
    assert not queue.check_task_timeout(task)
    assert queue.get_timed_out_tasks() == []
    assert not queue.mark_task_timeout(task)
    assert state(queue.db, task) == status


def test_a_timeout_says_after_how_long_and_why(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    task = taken(queue, ago=100)
    assert queue.mark_task_timeout(task)
    failed = read(queue.db, task)
    assert failed.error_message == "Task timed out after 60s: timeout_exceeded"
    assert failed.completed_at is not None
    assert told(queue.db, task)[-1] == "task.timed_out"
    assert queue.should_retry(task)
    assert not queue.mark_task_timeout(task)


@pytest.mark.parametrize("reason", ["50 % {slow} %s %(id)s", "é\U0001f600", "", "'; --"])
def test_reasons_are_literal_text(task_queue_service: TaskQueueService, reason: str) -> None:
    queue = task_queue_service
    late, unwanted = taken(queue), taken(queue)
    assert queue.mark_task_timeout(late, reason)
    assert queue.cancel_task(unwanted, reason)
    assert read(queue.db, late).error_message == f"Task timed out after 60s: {reason}"
    assert read(queue.db, unwanted).error_message == f"Task cancelled: {reason}"


def test_reasons_that_cannot_be_stored_are_refused(task_queue_service: TaskQueueService) -> None:
    task = taken(task_queue_service)
    for end in (task_queue_service.cancel_task, task_queue_service.mark_task_timeout):
        with pytest.raises(TextNotStorable):
            end(task, "a\x00")
        with pytest.raises(TextTooLong):
            end(task, "x" * 2001)
    assert state(task_queue_service.db, task) == "running"


@pytest.mark.parametrize("known", [True, False])
def test_a_timeout_without_limit_names_the_time_that_passed(
    task_queue_service: TaskQueueService, known: bool
) -> None:
    queue = task_queue_service
    task = row(queue.db, status="running")
    if known:
        long_ago(queue.db, "tasks", task, "started_at", 90.3)
    assert not queue.mark_task_timeout(task, only_if_late=True)
    assert queue.mark_task_timeout(task, "stuck")
    assert read(queue.db, task).error_message == f"Task timed out after {90 if known else 0}s: stuck"


def test_the_clock_of_the_program_decides_nothing(task_queue_service: TaskQueueService) -> None:
    """Rows that a program with a clock far off wrote count from what the database says now."""
    queue = task_queue_service
    task = row(
        queue.db, status="running", timeout_seconds=60, started_at=datetime.now(UTC) + timedelta(days=1)
    )
    assert not queue.check_task_timeout(task)
    elapsed = queue.get_task_elapsed_time(task)
    assert elapsed is not None
    assert elapsed < 0
    status = queue.get_task_timeout_status(task)
    assert status["time_remaining"] > 60
    late = row(
        queue.db, status="running", timeout_seconds=60, started_at=datetime.now(UTC) - timedelta(days=1)
    )
    assert [found.id for found in queue.get_timed_out_tasks()] == [late]


def test_the_status_of_a_timeout_knows_what_is_left(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    task = taken(queue, ago=20)
    status = queue.get_task_timeout_status(task)
    assert set(status) == {
        *("exists", "task_id", "status", "timeout_seconds", "elapsed_time", "time_remaining"),
        *("is_timed_out", "can_cancel"),
    }
    assert 20 <= status["elapsed_time"] < 40
    assert status["elapsed_time"] + status["time_remaining"] == pytest.approx(60)
    assert (status["exists"], status["can_cancel"]) == (True, True)
    queue.complete_task(task, "worker")
    done = queue.get_task_timeout_status(task)
    assert queue.get_task_elapsed_time(task) == done["elapsed_time"]
    assert (done["is_timed_out"], done["can_cancel"]) == (False, False)
    waiting = queue.get_task_timeout_status(new_task(queue, timeout_seconds=60).id)
    assert (waiting["elapsed_time"], waiting["time_remaining"]) == (None, None)


@pytest.mark.parametrize("status", ["pending", "assigned", "running", "completed", "failed"])
def test_what_is_not_over_can_be_cancelled(task_queue_service: TaskQueueService, status: str) -> None:
    queue = task_queue_service
    task = row(queue.db, status=status, error_message="as it was")
    can = status in {"pending", "assigned", "running"}
    assert queue.get_task_timeout_status(task)["can_cancel"] is can
    assert queue.cancel_task(task) is can
    failed = read(queue.db, task)
    assert failed.status == ("failed" if can else status)
    assert failed.error_message == ("Task cancelled: cancelled_by_request" if can else "as it was")
    assert not queue.cancel_task(task)
    assert not can or not queue.should_retry(task)


def test_cancellable_tasks_are_those_in_flight(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    first, second, waiting = (new_task(queue).id for _ in range(3))
    queue.assign_task(first, "one")
    queue.assign_task(second, "two")
    assert [task.id for task in queue.get_cancellable_tasks()] == [first, second]
    assert [task.id for task in queue.get_cancellable_tasks("two")] == [second]
    assert waiting not in [task.id for task in queue.get_cancellable_tasks()]
