"""Which task is next, who gets it, and what an agent may do with one that it has, or had."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from omoi_os.domain.tasks import NewTask
from omoi_os.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    NotYourTask,
    OmoiError,
    TaskMoveNotAllowed,
    TextTooLong,
)
from omoi_os.models.phases import Phase
from omoi_os.models.task import Task
from omoi_os.models.ticket import Ticket
from omoi_os.services.agent_health import AgentHealthService
from omoi_os.services.database import DatabaseService
from omoi_os.services.task_queue import TaskFilter, TaskQueueService
from tests.queue_tasks import (
    HOSTILE_IDS,
    PHASE,
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


def drain(queue: TaskQueueService, **how: Any) -> list[str]:
    """The ids of everything that can be claimed, in order."""
    taken = []
    while (task := queue.claim_next_task("worker", **how)) is not None:
        taken.append(task.id)
    return taken


# What is next


def test_the_most_urgent_is_next_and_then_the_oldest(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    ids = [
        new_task(queue, priority=priority).id
        for priority in ("LOW", "HIGH", "MEDIUM", "CRITICAL", "HIGH", "low", "Critical")
    ]
    expected = [ids[place] for place in (3, 6, 1, 4, 2, 0, 5)]
    first = queue.get_next_task(PHASE)
    assert first is not None
    assert first.id == expected[0]
    assert drain(queue) == expected


def test_looking_at_the_next_task_takes_nothing(task_queue_service: TaskQueueService) -> None:
    task = new_task(task_queue_service)
    for _ in range(2):
        seen = task_queue_service.get_next_task(PHASE)
        assert seen is not None
        assert (seen.id, seen.status) == (task.id, "pending")
    assert told(task_queue_service.db, task.id) == ["task.created"]


def test_an_empty_queue_has_no_next_task(task_queue_service: TaskQueueService) -> None:
    assert task_queue_service.get_next_task(PHASE) is None
    assert task_queue_service.get_next_task() is None
    assert task_queue_service.claim_next_task("worker") is None


def test_a_phase_is_asked_alone_or_all_together(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    testing = new_task(queue, phase_id=Phase.TESTING, priority="LOW").id
    design = new_task(queue, phase_id=Phase.DESIGN).id
    assert queue.get_next_task(Phase.REQUIREMENTS) is None
    assert queue.claim_next_task("worker", Phase.REQUIREMENTS) is None
    assert drain(queue, phase_id="PHASE_TESTING") == [testing]
    assert drain(queue) == [design]


def test_tasks_of_one_call_are_taken_in_their_order(db_service: DatabaseService) -> None:
    queue = TaskQueueService(db_service)
    from_one_call = _batch(queue, 200)
    assert drain(queue) == from_one_call


def _batch(queue: TaskQueueService, count: int) -> list[str]:
    ticket = new_ticket(queue.db)
    given = [NewTask(f"{count - n:04}", ticket, PHASE, "work", None) for n in range(count)]
    made = queue.enqueue_many(given)
    assert [task.id for task in made] == [task.id for task in given]
    return [task.id for task in made]


def test_a_row_of_another_program_is_taken_like_any_other(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    odd = row(queue.db, priority="urgent")
    high = row(queue.db, priority="HIGH")
    assert drain(queue) == [high, odd]
    assert read(queue.db, high).assigned_at is not None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority", "URGENT"),
        ("priority", ""),
        ("priority", "HIGH\x00"),
        ("phase_id", "PHASE_NOWHERE"),
        ("task_type", " "),
        ("task_type", "x" * 101),
        ("task_type", "a\x00"),
        ("description", "\ud800"),
        ("description", "x" * 200_001),
        ("max_retries", -1),
        ("max_retries", 101),
        ("max_retries", True),
        ("timeout_seconds", 0),
        ("timeout_seconds", 30 * 24 * 3600 + 1),
        ("timeout_seconds", 1.5),
        ("capabilities", "python"),
        ("capabilities", [""]),
        ("capabilities", ["x" * 101]),
        ("capabilities", ["a\x00"]),
        ("capabilities", [3]),
        ("capabilities", [str(n) for n in range(101)]),
    ],
)
def test_a_field_that_cannot_be_used_is_named(
    task_queue_service: TaskQueueService, field: str, value: Any
) -> None:
    with pytest.raises(InvalidInput, match=r"\w"):
        new_task(task_queue_service, **{field: value})
    assert task_queue_service.list_tasks().tasks == []


@pytest.mark.parametrize("ticket", [id_ for id_ in HOSTILE_IDS if id_])
def test_a_task_needs_a_ticket_that_exists(task_queue_service: TaskQueueService, ticket: str) -> None:
    with pytest.raises(NotFound):
        new_task(task_queue_service, ticket)


# Who gets it


@pytest.mark.parametrize(
    ("needed", "registered", "given", "takes"),
    [
        (["python"], ["python", "sql"], None, True),
        (["python", "sql"], ["python"], None, False),
        (["python"], {"python": {"version": 3}}, None, True),
        (["python"], {"sql": True}, None, False),
        (["python"], {}, None, False),
        (["python"], [], None, False),
        (["python"], "python", None, False),  # not a list of names: offers nothing
        (["python"], 7, None, False),
        (["python"], None, None, True),  # named none: takes any
        (["python"], None, ["sql"], False),
        (["python"], ["sql"], ["python"], True),
        (["python"], ["python"], [], False),
        ([], [], None, True),
        ([], None, [], True),
        (["Python"], ["python"], None, False),
    ],
)
def test_an_agent_gets_only_what_it_offers(
    task_queue_service: TaskQueueService, needed: list[str], registered: Any, given: Any, takes: bool
) -> None:
    queue = task_queue_service
    task = new_task(queue, capabilities=needed)
    agent = new_agent(queue.db, capabilities=registered)
    claimed = queue.claim_next_task(agent, capabilities=given)
    assert (claimed is not None) is takes
    assert state(queue.db, task.id) == ("assigned" if takes else "pending")


def test_a_task_that_nobody_here_can_do_hides_no_other(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    new_task(queue, capabilities=["cobol"], priority="CRITICAL")
    easy = new_task(queue, priority="LOW")
    assert drain(queue, capabilities=["python"]) == [easy.id]


def test_an_unregistered_agent_may_claim(task_queue_service: TaskQueueService) -> None:
    task = new_task(task_queue_service)
    claimed = task_queue_service.claim_next_task("somebody")
    assert claimed is not None
    assert (claimed.id, claimed.status, claimed.assigned_agent_id) == (task.id, "assigned", "somebody")
    assert told(task_queue_service.db, task.id) == ["task.created", "task.assigned"]


def test_a_failed_agent_gets_nothing(task_queue_service: TaskQueueService) -> None:
    new_task(task_queue_service)
    agent = new_agent(task_queue_service.db, status="failed")
    assert task_queue_service.claim_next_task(agent) is None
    assert agent_status(task_queue_service.db, agent) == "failed"


@pytest.mark.parametrize("before", ["idle", "stale", "timeout", "running"])
def test_claiming_is_a_sign_of_life(task_queue_service: TaskQueueService, before: str) -> None:
    db = task_queue_service.db
    agent = new_agent(db, status=before)
    long_ago(db, "agents", agent, "last_heartbeat")
    assert task_queue_service.claim_next_task(agent) is None
    assert agent_status(db, agent) == ("running" if before == "running" else "idle")
    new_task(task_queue_service)
    assert task_queue_service.claim_next_task(agent) is not None
    assert agent_status(db, agent) == "running"
    assert AgentHealthService(db).detect_stale_agents() == []


def test_assigning_takes_a_ready_task_only(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    first = new_task(queue)
    second = new_task(queue, dependencies=[first.id])
    with pytest.raises(TaskMoveNotAllowed, match=f"waits for {first.id}"):
        queue.assign_task(second.id, "worker")
    assert queue.assign_task(first.id, "worker").assigned_agent_id == "worker"
    with pytest.raises(TaskMoveNotAllowed):
        queue.assign_task(first.id, "another")
    assert [task.id for task in queue.get_assigned_tasks("worker")] == [first.id]
    assert queue.get_assigned_tasks("another") == []
    queue.update_task_status(first.id, "completed")
    assert queue.get_assigned_tasks("worker") == []
    with pytest.raises(TaskMoveNotAllowed):
        queue.assign_task(first.id, "worker")


# Moves

STATES = ("pending", "assigned", "running", "completed", "failed")
ALLOWED = {
    "pending": {"assigned", "running", "completed", "failed"},
    "assigned": {"pending", "running", "completed", "failed"},
    "running": {"pending", "running", "completed", "failed"},
    "completed": set(),
    "failed": set(),
}


@pytest.mark.parametrize("start", STATES)
@pytest.mark.parametrize("target", STATES)
def test_only_allowed_moves_are_made(task_queue_service: TaskQueueService, start: str, target: str) -> None:
    queue = task_queue_service
    task = row(queue.db, status=start)
    if target in ALLOWED[start]:
        moved = queue.update_task_status(task, target)
        assert moved.status == state(queue.db, task) == target
        assert (moved.completed_at is not None) is (target in {"completed", "failed"})
        assert (moved.started_at is not None) is (target == "running")
        assert told(queue.db, task) == ["task.moved"]
    else:
        why = "already" if start == target else f"a task that is {start} cannot become {target}"
        with pytest.raises(TaskMoveNotAllowed, match=why):
            queue.update_task_status(task, target)
        assert told(queue.db, task) == []


def test_a_move_stores_what_came_with_it(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    task = new_task(queue)
    queue.update_task_status(task.id, "running", conversation_id="talk")
    started = read(queue.db, task.id).started_at
    queue.update_task_status(task.id, "running")
    done = queue.update_task_status(task.id, "completed", result={"files": ["a.py"]})
    assert (done.conversation_id, done.result, done.started_at) == ("talk", {"files": ["a.py"]}, started)


def test_work_does_not_start_before_what_it_waits_for(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    task = row(queue.db, needs=[row(queue.db)])
    for target in ("assigned", "running", "completed"):
        with pytest.raises(TaskMoveNotAllowed, match="waits for"):
            queue.update_task_status(task, target)


@pytest.mark.parametrize(
    "values",
    [
        {"status": "done"},
        {"status": "completed", "result": {"a": float("nan")}},
        {"status": "completed", "result": {"a": "\x00"}},
        {"status": "failed", "error_message": "\ud800"},
        {"status": "failed", "error_message": "x" * 200_001},
        {"status": "running", "conversation_id": "a\x00"},
    ],
)
def test_a_value_that_cannot_be_stored_moves_nothing(
    task_queue_service: TaskQueueService, values: dict[str, Any]
) -> None:
    task = new_task(task_queue_service)
    with pytest.raises(InvalidInput):
        task_queue_service.update_task_status(task.id, **values)
    assert state(task_queue_service.db, task.id) == "pending"


# What an agent says about its task

Say = Callable[[TaskQueueService, str, str], object]
SAYINGS: dict[str, Say] = {
    "report": lambda queue, task, agent: queue.report_progress(task, agent),
    "complete": lambda queue, task, agent: queue.complete_task(task, agent, {}),
    "fail": lambda queue, task, agent: queue.fail_task(task, agent, "it broke"),
    "release": lambda queue, task, agent: queue.release_task(task, agent),
}


@pytest.mark.parametrize("say", SAYINGS.values(), ids=SAYINGS)
@pytest.mark.parametrize("fate", ["pending", "another", "completed", "failed"])
def test_an_agent_that_lost_its_task_changes_nothing(
    task_queue_service: TaskQueueService, say: Say, fate: str
) -> None:
    queue, db = task_queue_service, task_queue_service.db
    task = new_task(queue).id
    queue.assign_task(task, "worker")
    match fate:
        case "pending" | "another":
            change(db, task, status="pending", assigned_agent_id=None)
            if fate == "another":
                queue.assign_task(task, "other")
        case _:
            change(db, task, status=fate, assigned_agent_id="other")
    before = read(db, task), told(db, task)
    with pytest.raises(NotYourTask):
        say(queue, task, "worker")
    after = read(db, task)
    columns = Task.__table__.columns.keys()
    assert [getattr(after, name) for name in columns] == [getattr(before[0], name) for name in columns]
    assert told(db, task) == before[1]


@pytest.mark.parametrize("say", SAYINGS.values(), ids=SAYINGS)
@pytest.mark.parametrize("task", HOSTILE_IDS)
def test_a_task_that_cannot_exist_is_not_found(
    task_queue_service: TaskQueueService, say: Say, task: str
) -> None:
    with pytest.raises(NotFound):
        say(task_queue_service, task, "worker")


@pytest.mark.parametrize("say", SAYINGS.values(), ids=SAYINGS)
@pytest.mark.parametrize("agent", ["", " ", "a\x00", "x" * 10_000, "\ud800"])
def test_an_agent_that_cannot_exist_is_refused(
    task_queue_service: TaskQueueService, say: Say, agent: str
) -> None:
    task = new_task(task_queue_service)
    with pytest.raises(InvalidInput):
        say(task_queue_service, task.id, agent)


def test_progress_starts_a_task_once(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    task = new_task(queue).id
    queue.assign_task(task, "worker")
    first = queue.report_progress(task, "worker", "half", percent=50)
    second = queue.report_progress(task, "worker", percent=100.0)
    assert first.status == second.status == "running"
    assert first.started_at == second.started_at is not None
    assert told(queue.db, task).count("task.progress") == 2
    for percent in (-1, 101, float("nan")):
        with pytest.raises(InvalidInput):
            queue.report_progress(task, "worker", percent=percent)
    with pytest.raises(TextTooLong):
        queue.report_progress(task, "worker", "x" * 2001)


@pytest.mark.parametrize(
    "result", [None, {}, {"n": 1, "x": 0.1, "big": 1e22}, {"pair": (1, 2), "deep": [{}]}]
)
def test_completing_twice_is_answered_like_once(task_queue_service: TaskQueueService, result: Any) -> None:
    queue = task_queue_service
    task = new_task(queue).id
    queue.assign_task(task, "worker")
    first = queue.complete_task(task, "worker", result)
    again = queue.complete_task(task, "worker", result)
    assert first.completed_at == again.completed_at is not None
    assert told(queue.db, task) == ["task.created", "task.assigned", "task.moved"]
    with pytest.raises(NotYourTask, match="another result"):
        queue.complete_task(task, "worker", {"other": True})
    with pytest.raises(NotYourTask):
        queue.complete_task(task, "another", result)


def test_a_released_task_is_ready_at_once_and_costs_no_retry(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    agent = new_agent(queue.db)
    task = new_task(queue).id
    queue.claim_next_task(agent)
    released = queue.release_task(task, agent, "wrong tools")
    assert (released.status, released.retry_count, released.assigned_agent_id) == ("pending", 0, None)
    assert agent_status(queue.db, agent) == "idle"
    claimed = queue.claim_next_task(agent)
    assert claimed is not None
    assert claimed.id == task


def test_an_agent_rests_when_its_last_task_ends(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    agent = new_agent(queue.db)
    tasks = [new_task(queue).id for _ in range(2)]
    for _ in tasks:
        queue.claim_next_task(agent)
    queue.complete_task(tasks[0], agent)
    assert agent_status(queue.db, agent) == "running"
    queue.complete_task(tasks[1], agent)
    assert agent_status(queue.db, agent) == "idle"


# Ids that nobody has


@pytest.mark.parametrize("id_", HOSTILE_IDS)
def test_an_id_that_nobody_has_meets_no_driver_error(task_queue_service: TaskQueueService, id_: str) -> None:
    queue = task_queue_service
    for ask in (
        queue.check_dependencies_complete,
        queue.should_retry,
        queue.increment_retry,
        queue.check_task_timeout,
        queue.mark_task_timeout,
        queue.cancel_task,
    ):
        assert ask(id_) is False, ask
    assert queue.get_blocked_tasks(id_) == []
    assert queue.get_task_elapsed_time(id_) is None
    assert queue.get_task_timeout_status(id_)["exists"] is False
    assert queue.detect_circular_dependencies(id_, []) is None
    assert queue.detect_circular_dependencies("new", [id_]) is None
    for move in (
        lambda: queue.get_task(id_),
        lambda: queue.assign_task(id_, "worker"),
        lambda: queue.update_task_status(id_, "running"),
        lambda: queue.reset_task(id_),
    ):
        with pytest.raises(NotFound):
            move()


@pytest.mark.parametrize("id_", HOSTILE_IDS)
def test_filters_and_agents_of_any_text_meet_no_driver_error(
    task_queue_service: TaskQueueService, id_: str
) -> None:
    queue = task_queue_service
    asks: list[Callable[[], Any]] = [
        lambda: queue.claim_next_task(id_),
        lambda: queue.claim_next_task("worker", capabilities=[id_]),
        lambda: queue.claim_next_task("worker", id_),
        lambda: queue.get_next_task(id_),
        lambda: queue.get_assigned_tasks(id_),
        lambda: queue.get_cancellable_tasks(id_),
        lambda: queue.get_retryable_tasks(id_),
        lambda: queue.list_tasks(TaskFilter(ticket_id=id_)).tasks or None,
        lambda: queue.list_tasks(TaskFilter(agent_id=id_)).tasks or None,
        lambda: queue.list_tasks(TaskFilter(status=id_)),
        lambda: queue.list_tasks(TaskFilter(phase_id=id_)),
        lambda: queue.list_tasks(cursor=id_),
    ]
    for ask in asks:
        try:
            found = ask()
        except OmoiError as error:
            assert isinstance(error, InvalidInput)  # noqa: PT017
        else:
            assert not found


def test_lists_go_on_where_they_ended(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    ticket = new_ticket(queue.db)
    ids = [new_task(queue, ticket).id for _ in range(5)]
    row(queue.db)
    seen: list[str] = []
    cursor = None
    while True:
        page = queue.list_tasks(TaskFilter(ticket_id=ticket, status="pending"), limit=2, cursor=cursor)
        seen += [task.id for task in page.tasks]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == ids[::-1]
    for limit in (0, 1001):
        with pytest.raises(InvalidInput):
            queue.list_tasks(limit=limit)


# What may not be handed out, or added


def test_tasks_of_a_blocked_ticket_wait_until_a_person_has_looked(
    task_queue_service: TaskQueueService,
) -> None:
    queue = task_queue_service
    ticket = new_ticket(queue.db)
    blocked, other = new_task(queue, ticket, priority="CRITICAL").id, new_task(queue, priority="LOW").id
    move_ticket(queue.db, ticket, Phase.BLOCKED)
    for phase in (None, PHASE):
        next_ = queue.get_next_task(phase)
        assert next_ is not None
        assert next_.id == other
    claimed = queue.claim_next_task("ada")
    assert claimed is not None
    assert claimed.id == other
    assert queue.claim_next_task("ada", PHASE) is None
    move_ticket(queue.db, ticket, PHASE)
    again = queue.claim_next_task("ada")
    assert again is not None
    assert again.id == blocked


def move_ticket(db: DatabaseService, ticket_id: str, phase: Phase) -> None:
    with db.get_session() as session:
        session.get_one(Ticket, ticket_id).phase_id = phase


@pytest.mark.parametrize("phase", list(Phase))
def test_tasks_are_added_where_somebody_may_work(task_queue_service: TaskQueueService, phase: Phase) -> None:
    if phase in (Phase.DONE, Phase.BLOCKED):
        with pytest.raises(InvalidInput, match="nothing is worked on"):
            new_task(task_queue_service, phase_id=phase)
    else:
        assert new_task(task_queue_service, phase_id=phase).phase_id == phase


def test_an_id_that_is_taken_is_a_conflict_and_nothing_is_added(
    task_queue_service: TaskQueueService,
) -> None:
    queue = task_queue_service
    taken = new_task(queue)
    tasks = [NewTask(id_, taken.ticket_id, PHASE, "work", None) for id_ in ("fresh", taken.id)]
    with pytest.raises(Conflict, match="already"):
        queue.enqueue_many(tasks)
    with pytest.raises(NotFound):
        queue.get_task("fresh")


@pytest.mark.parametrize("number", [1e30, 0.1, -0.0, 1e-7, 2**60])
def test_a_result_with_any_number_can_be_handed_in_twice(
    task_queue_service: TaskQueueService, number: float
) -> None:
    queue = task_queue_service
    task = new_task(queue).id
    queue.assign_task(task, "ada")
    for _ in range(2):
        assert queue.complete_task(task, "ada", {"x": [number]}).status == "completed"
    with pytest.raises(NotYourTask, match="another result"):
        queue.complete_task(task, "ada", {"x": [number + 1 or 2]} if number < 1e9 else {"x": 0})


def test_an_operator_says_no_longer_error_than_an_agent(task_queue_service: TaskQueueService) -> None:
    task = new_task(task_queue_service).id
    with pytest.raises(TextTooLong):
        task_queue_service.update_task_status(task, "failed", error_message="x" * 20_001)
    assert state(task_queue_service.db, task) == "pending"
