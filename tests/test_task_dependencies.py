"""What waits for what: circles are refused, and nothing waits for ever for a task that failed for good."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from omoi_os.domain.tasks import NewTask, find_cycle, read_dependencies
from omoi_os.errors import (
    DependencyCycle,
    DependencyFailed,
    InvalidInput,
    TaskMoveNotAllowed,
    UnknownDependency,
)
from omoi_os.services.database import DatabaseService
from omoi_os.services.task_queue import TaskQueueService
from tests.queue_tasks import HOSTILE_IDS, PHASE, change, new_task, new_ticket, read, row, state, told


def circle(db: DatabaseService, length: int) -> list[str]:
    """Rows that wait for one another, each for the next."""
    ticket = new_ticket(db)
    ids = [row(db, ticket, status="pending") for _ in range(length)]
    for place, id_ in enumerate(ids):
        change(db, id_, dependencies={"depends_on": [ids[(place + 1) % length]]})
    return ids


# Enqueueing


@pytest.mark.parametrize("as_dict", [True, False])
def test_a_task_waits_for_all_that_it_depends_on(task_queue_service: TaskQueueService, as_dict: bool) -> None:
    queue = task_queue_service
    first, second = new_task(queue), new_task(queue)
    needed = [first.id, second.id, first.id]
    task = new_task(queue, dependencies={"depends_on": needed} if as_dict else needed, priority="CRITICAL")
    assert task.dependencies == {"depends_on": [first.id, second.id]}
    assert [waiting.id for waiting in queue.get_blocked_tasks(first.id)] == [task.id]
    for done in (first, second):
        assert not queue.check_dependencies_complete(task.id)
        claimed = queue.claim_next_task("worker")
        assert claimed is not None
        assert claimed.id == done.id
        assert task.id not in {late.id for late in [queue.get_next_task()] if late}
        queue.complete_task(done.id, "worker")
    assert queue.check_dependencies_complete(task.id)
    claimed = queue.claim_next_task("worker")
    assert claimed is not None
    assert claimed.id == task.id
    assert queue.get_blocked_tasks(first.id) == []


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (None, ()),
        ({}, ()),
        ({"depends_on": None}, ()),
        ({"depends_on": []}, ()),
        ([], ()),
        ((), ()),
        (["a", "b", "a"], ("a", "b")),
        (("a",), ("a",)),
        ({"depends_on": ["a"]}, ("a",)),
    ],
)
def test_dependencies_are_a_list_or_an_object(given: Any, read: tuple[str, ...]) -> None:
    assert read_dependencies(given) == read


@pytest.mark.parametrize(
    "given",
    [
        "abc",
        b"abc",
        5,
        {"depends_on": "abc"},
        {"depends_on": ""},
        {"depends_on": 0},
        {"depends_on": 5},
        {"depends_on": {"a": 1}},
        {"depends_on": [""]},
        {"depends_on": [None]},
        {"depends_on": [["a"]]},
        {"needs": ["a"]},
        {"depends_on": ["a"], "or": []},
        {"depends_on": ["a"], 5: [], "x": []},
        [1],
        [b"a"],
    ],
)
def test_dependencies_of_another_form_are_refused(given: Any) -> None:
    with pytest.raises(InvalidInput, match="depends_on"):
        read_dependencies(given)


@pytest.mark.parametrize("id_", [id_ for id_ in HOSTILE_IDS if id_])
def test_an_unknown_dependency_is_refused(task_queue_service: TaskQueueService, id_: str) -> None:
    known = new_task(task_queue_service)
    with pytest.raises(UnknownDependency):
        new_task(task_queue_service, dependencies=[known.id, id_])
    assert len(task_queue_service.list_tasks().tasks) == 1


def test_too_many_dependencies_are_refused(task_queue_service: TaskQueueService) -> None:
    with pytest.raises(InvalidInput, match="at most 1000"):
        new_task(task_queue_service, dependencies=[str(n) for n in range(1001)])


@pytest.mark.parametrize(
    "waits", [{"a": ["a"]}, {"a": ["b"], "b": ["a"]}, {"a": ["b"], "b": ["c"], "c": ["a"]}]
)
def test_tasks_of_one_call_cannot_wait_in_a_circle(
    task_queue_service: TaskQueueService, waits: dict[str, list[str]]
) -> None:
    ticket = new_ticket(task_queue_service.db)
    given = [
        NewTask(id_, ticket, PHASE, "work", None, depends_on=tuple(needed)) for id_, needed in waits.items()
    ]
    with pytest.raises(DependencyCycle) as caught:
        task_queue_service.enqueue_many(given)
    assert caught.value.facts["cycle"] == [*waits, "a"]
    assert task_queue_service.list_tasks().tasks == []


def test_two_tasks_of_one_call_need_two_ids(task_queue_service: TaskQueueService) -> None:
    task = NewTask("a", new_ticket(task_queue_service.db), PHASE, "work", None)
    with pytest.raises(InvalidInput, match="same"):
        task_queue_service.enqueue_many([task, task])
    for id_ in ("a\x00", "x" * 201):
        with pytest.raises(InvalidInput, match="id"):
            task_queue_service.enqueue_many([NewTask(id_, task.ticket_id, PHASE, "work", None)])


@pytest.mark.parametrize("length", [1, 2, 3, 50])
def test_nothing_is_added_behind_a_circle_of_rows(task_queue_service: TaskQueueService, length: int) -> None:
    queue = task_queue_service
    ids = circle(queue.db, length)
    with pytest.raises(DependencyCycle) as caught:
        new_task(queue, dependencies=[ids[0]])
    assert caught.value.facts["cycle"] == [*ids, ids[0]]
    assert queue.get_next_task() is None
    assert queue.cancel_task(ids[0])
    assert {state(queue.db, id_) for id_ in ids} == {"failed"}


@pytest.mark.parametrize("length", [1, 2, 3, 50])
def test_a_circle_that_would_arise_is_shown(task_queue_service: TaskQueueService, length: int) -> None:
    queue = task_queue_service
    ticket = new_ticket(queue.db)
    ids = [row(queue.db, ticket)]
    for _ in range(length - 1):
        ids.append(row(queue.db, ticket, needs=[ids[-1]]))
    assert queue.detect_circular_dependencies(ids[0], [ids[-1]]) == [ids[0], *ids[:0:-1], ids[0]]
    assert queue.detect_circular_dependencies("new", [ids[-1]]) is None
    assert queue.detect_circular_dependencies(ids[0], []) is None
    change(queue.db, ids[-1], status="completed")
    if length > 1:  # a completed task waits for nothing any more
        assert queue.detect_circular_dependencies(ids[0], [ids[-1]]) is None


def test_a_circle_is_found_among_many_ways() -> None:
    lattice = {f"{n}{side}": [f"{n + 1}a", f"{n + 1}b"] for n in range(200) for side in "ab"}
    assert find_cycle("0a", lattice) is None
    assert find_cycle("0a", lattice | {"200b": ["150a"]}) is not None
    chain = {str(n): [str(n + 1)] for n in range(20_000)}
    assert find_cycle("0", chain) is None


@pytest.mark.parametrize(
    "dependencies",
    [{}, {"depends_on": []}, {"depends_on": None}, {"depends_on": "x"}, {"else": 1}, [], ["x"], "x", 5],
)
def test_dependencies_that_name_nothing_keep_nothing_waiting(
    task_queue_service: TaskQueueService, dependencies: Any
) -> None:
    task = row(task_queue_service.db, dependencies=dependencies)
    assert task_queue_service.check_dependencies_complete(task)
    claimed = task_queue_service.claim_next_task("worker")
    assert claimed is not None
    assert claimed.id == task


def test_a_row_that_waits_for_an_unknown_task_waits(task_queue_service: TaskQueueService) -> None:
    task = row(task_queue_service.db, needs=["nobody"])
    assert task_queue_service.claim_next_task("worker") is None
    assert not task_queue_service.check_dependencies_complete(task)


def test_a_completion_by_another_program_counts(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    first = row(queue.db)
    second = new_task(queue, dependencies=[first])
    change(queue.db, first, status="completed")
    claimed = queue.claim_next_task("worker")
    assert claimed is not None
    assert claimed.id == second.id


# Failures


def test_nothing_is_added_behind_a_task_that_failed_for_good(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    lost = row(queue.db, status="failed", error_message="permission denied")
    with pytest.raises(DependencyFailed, match="permission denied"):
        new_task(queue, dependencies=[lost])
    hopeful = row(queue.db, status="failed", error_message="connection reset")
    assert new_task(queue, dependencies=[hopeful]).status == "pending"


def test_what_waits_for_a_failed_task_fails_with_its_name(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    ids = [new_task(queue).id]
    for _ in range(30):
        ids.append(new_task(queue, dependencies=[ids[-1]]).id)
    other = new_task(queue).id
    queue.cancel_task(ids[0], "not wanted")
    for id_ in ids[1:]:
        failed = read(queue.db, id_)
        expected = f"Blocked by task {ids[0]} (work), which failed: Task cancelled: not wanted"
        assert (failed.status, failed.error_message) == ("failed", expected)
        assert failed.completed_at is not None
        assert not queue.should_retry(id_)
        assert told(queue.db, id_) == ["task.created", "task.blocked"]
    assert state(queue.db, other) == "pending"


def test_a_failure_that_will_be_tried_again_blocks_nothing(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    first = new_task(queue, max_retries=1)
    second = new_task(queue, dependencies=[first.id])
    queue.update_task_status(first.id, "failed", error_message="connection reset")
    assert state(queue.db, second.id) == "pending"
    assert queue.increment_retry(first.id)
    queue.update_task_status(first.id, "failed", error_message="connection reset")
    assert state(queue.db, second.id) == "failed"


def lattice(queue: TaskQueueService, levels: int, wide: int) -> list[list[str]]:
    ticket = new_ticket(queue.db)
    rows = [[new_task(queue, ticket).id for _ in range(wide)]]
    for _ in range(levels - 1):
        rows.append([new_task(queue, ticket, dependencies=rows[-1]).id for _ in range(wide)])
    return rows


def test_a_lattice_fails_and_comes_back_as_a_whole(task_queue_service: TaskQueueService) -> None:
    """2^11 ways lead through it; each task is failed once."""
    queue = task_queue_service
    levels = lattice(queue, 12, 2)
    root, beside = levels[0]
    queue.cancel_task(root)
    below = [id_ for level in levels[1:] for id_ in level]
    assert {state(queue.db, id_) for id_ in below} == {"failed"}
    assert state(queue.db, beside) == "pending"
    assert all(told(queue.db, id_).count("task.blocked") == 1 for id_ in below)
    assert set(queue.reset_task(root).ids) == {root, *below}
    assert {state(queue.db, id_) for id_ in below} == {"pending"}
    assert read(queue.db, root).retry_count == 0


def test_resetting_one_of_two_causes_does_not_leave_a_task_waiting_for_ever(
    task_queue_service: TaskQueueService,
) -> None:
    queue = task_queue_service
    first, second = sorted([new_task(queue).id, new_task(queue).id])
    below = new_task(queue, dependencies=[first, second]).id
    last = new_task(queue, dependencies=[below]).id
    queue.cancel_task(first)
    queue.cancel_task(second)
    assert queue.reset_task(first).ids == (first,)
    for id_ in (below, last):
        assert (read(queue.db, id_).error_message or "").startswith(f"Blocked by task {second} ")
    with pytest.raises(TaskMoveNotAllowed, match="reset that one first"):
        queue.reset_task(below)
    assert state(queue.db, below) == "failed"
    assert set(queue.reset_task(second).ids) == {second, below, last}


def test_a_reset_revives_only_what_failed_because_of_it(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    ticket = new_ticket(queue.db)
    queue.enqueue_many(
        [NewTask("a_b", ticket, PHASE, "work", None), NewTask("axb", ticket, PHASE, "work", None)]
    )
    both = new_task(queue, ticket, dependencies=["axb", "a_b"]).id
    queue.cancel_task("axb")
    queue.cancel_task("a_b")
    with_own_error = row(queue.db, ticket, status="failed", needs=["a_b"], error_message="permission denied")
    assert queue.reset_task("a_b").ids == ("a_b",)
    assert {state(queue.db, id_) for id_ in (both, with_own_error)} == {"failed"}
    with pytest.raises(TaskMoveNotAllowed):
        queue.reset_task("a_b")


def test_a_retry_does_not_wait_for_a_task_that_failed_meanwhile(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    first = new_task(queue).id
    second, third = (new_task(queue, dependencies=[first], max_retries=2).id for _ in range(2))
    for id_ in (second, third):
        queue.update_task_status(id_, "failed", error_message="connection reset")
    queue.cancel_task(first)
    for retry, id_ in ((partial(queue.increment_retry, second), second), (queue.retry_failed_tasks, third)):
        assert retry() == 1
        assert (read(queue.db, id_).error_message or "").startswith(f"Blocked by task {first} ")


def test_rows_that_others_failed_block_nobody_for_ever(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    first = new_task(queue)
    chain = [first.id]
    for _ in range(3):
        chain.append(new_task(queue, dependencies=[chain[-1]]).id)
    free = new_task(queue, dependencies=[row(queue.db, status="failed", error_message="connection reset")]).id
    change(queue.db, first.id, status="failed", error_message="access denied")
    assert queue.fail_blocked_tasks() == 3
    assert {state(queue.db, id_) for id_ in chain} == {"failed"}
    assert state(queue.db, free) == "pending"
    assert queue.fail_blocked_tasks() == 0


def test_entries_of_the_index_of_dependencies_are_sorted_in_at_once(
    task_queue_service: TaskQueueService,
) -> None:
    asked = "SELECT reloptions FROM pg_class WHERE relname = 'idx_tasks_waiting'"
    with task_queue_service.db.get_session() as session:
        assert session.scalar(text(asked)) == ["fastupdate=off"]
