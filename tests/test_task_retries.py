"""What is tried again, when, and what never is; Python and PostgreSQL must agree on it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from omoi_os.domain.tasks import is_permanent
from omoi_os.errors import InvalidInput, TaskMoveNotAllowed
from omoi_os.models.phases import Phase
from omoi_os.models.task import RETRYABLE
from omoi_os.services.database import DatabaseService
from omoi_os.services.task_queue import TaskQueueService
from tests.queue_tasks import change, new_agent, new_task, read, row, state, told

PERMANENT = (
    """
Permission denied|PERMISSION DENIED: /etc|access denied for user|Operation not permitted|Unauthorized
unauthorised|HTTP 401 Unauthorized|Forbidden|403 forbidden|Authentication failed|authentication required
Invalid argument: x|invalid input|Invalid Request|invalid parameter 'a'|invalid configuration
Invalid credentials|Invalid API key|invalid token|SyntaxError: invalid syntax|syntax error at line 3
file not found|ModuleNotFoundError: not found|No such file or directory|no such module|no such command
no such table: tasks|no such column|relation does not exist|not implemented|NotImplemented: not implemented
unsupported operand|status 400|status=404|http: 403|code 422|error 405|Error: 410|HTTP 401|code:401 x
error===404|Task cancelled: by request|task cancelled: x|Permanent error: broken|BLOCKED BY TASK 1 (a)
error 404|error 404é
""".strip()
    .replace("\n", "|")
    .split("|")
)
PASSING = (
    """
connection reset by peer|timeout|Connection refused|503 Service Unavailable|HTTP 500|error 4041|status 4000
code 401234|rate limit exceeded|429 too many requests|temporary failure in name resolution|killed
out of memory|deadlock detected|the task was cancelled: no|see: permanent error: x|not  found|notfound
forbid|deny|state 404|http 200|exit code 1|segmentation fault|broken pipe|Task timed out after 5s: slow
\u0130nvalid input|\u0130NVALID TOKEN|invalid to\u212aen|unauthori\u017fed|acce\u017fs denied|\U0001f512
\uff50ermission denied|perm\u0131ssion denied|forb\u0130dden|error 4\u0660\u0664|error \u0664
\u0391UTHENTICATIO\u039d|permission\u00a0denied|no\u2028such file|\u00df|\ufb01le not fo\u0075\u0308nd
inval\u0131d input
""".strip()
    .replace("\n", "|")
    .split("|")
)
BROKEN = {
    "error 404\n": True,
    "one\nforbidden\ntwo": True,
    "error\n404": False,
    " task cancelled: x": False,
    "\ntask cancelled: x": False,
    "x\nblocked by task 1": False,
    "status 404\u0664": True,
    "": False,
}


def test_both_languages_call_the_same_errors_permanent(db_service: DatabaseService) -> None:
    table = {**dict.fromkeys(PERMANENT, True), **dict.fromkeys(PASSING, False), **BROKEN}
    assert len(table) >= 60
    with db_service.single_statements() as connection:
        for message, permanent in table.items():
            assert is_permanent(message) is permanent, message
            found = connection.execute(
                f"SELECT NOT ({RETRYABLE}) FROM (SELECT 'failed' AS status, 0 AS retry_count, "
                "1 AS max_retries, %s::text AS error_message) AS one",
                (message,),
            ).fetchone()
            assert found == (permanent,), message


def test_no_letter_is_read_differently_by_the_two(db_service: DatabaseService) -> None:
    """Every character that case folding turns into an ASCII letter, in every place of a word."""
    odd = [chr(n) for n in range(128, 0x1FFFF) if not 0xD800 <= n < 0xE000]
    odd = [c for c in odd if any(part.isascii() for part in c.lower() + c.upper() + c.casefold())]
    assert "\u212a" in odd
    words = [
        word[:n] + c + word[n + 1 :]
        for word in ("forbidden", "invalid token", "syntax error", "not supported unsupported")
        for c in odd
        for n in range(len(word))
    ]
    with db_service.single_statements() as connection:
        rows = connection.execute(
            f"SELECT error_message, NOT ({RETRYABLE}) FROM (SELECT 'failed' AS status, 0 AS retry_count, "
            "1 AS max_retries, error_message FROM unnest(%s::text[]) AS error_message) AS given",
            (words,),
        ).fetchall()
    assert len(rows) == len(words)
    assert [message for message, permanent in rows if is_permanent(message) is not permanent] == []


def test_no_message_is_no_reason_to_give_up(task_queue_service: TaskQueueService) -> None:
    assert task_queue_service.is_retryable_error(None)
    assert task_queue_service.is_retryable_error("")
    assert not task_queue_service.is_retryable_error("Permission denied")
    task = row(task_queue_service.db, status="failed")
    assert task_queue_service.should_retry(task)
    assert task_queue_service.increment_retry(task)


@pytest.mark.parametrize(
    ("fields", "again"),
    [
        ({"status": "failed", "error_message": "timeout"}, True),
        ({"status": "failed", "error_message": "timeout", "retry_count": 2}, True),
        ({"status": "failed", "error_message": "timeout", "retry_count": 3}, False),
        ({"status": "failed", "error_message": "timeout", "retry_count": 4}, False),
        ({"status": "failed", "error_message": "timeout", "max_retries": 0}, False),
        ({"status": "failed", "error_message": "timeout", "max_retries": -1}, False),
        ({"status": "failed", "error_message": "Permission denied"}, False),
        ({"status": "pending"}, False),
        ({"status": "running"}, False),
        ({"status": "completed"}, False),
    ],
)
def test_all_ways_to_ask_for_a_retry_agree(
    task_queue_service: TaskQueueService, fields: dict[str, Any], again: bool
) -> None:
    queue = task_queue_service
    task = row(queue.db, **fields)
    assert queue.should_retry(task) is again
    assert [found.id for found in queue.get_retryable_tasks()] == ([task] if again else [])
    before = read(queue.db, task).retry_count
    assert queue.increment_retry(task) is again
    assert read(queue.db, task).retry_count == before + again
    assert queue.retry_failed_tasks() == 0


def test_retryable_tasks_of_a_phase(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    task = row(queue.db, status="failed")
    testing = row(queue.db, status="failed")
    change(queue.db, testing, phase_id=Phase.TESTING)
    assert [found.id for found in queue.get_retryable_tasks(Phase.TESTING)] == [testing]
    assert {found.id for found in queue.get_retryable_tasks()} == {task, testing}


def delay(db: DatabaseService, task_id: str) -> float:
    """Seconds until the task may be taken, by the database's clock."""
    with db.get_session() as session:
        asked = "SELECT extract(epoch FROM not_before - clock_timestamp())::float FROM tasks WHERE id = :id"
        seconds: float = session.execute(text(asked), {"id": task_id}).scalar_one()
    return seconds


@pytest.mark.parametrize(
    ("tried", "longest"), [(0, 2), (1, 4), (2, 8), (3, 16), (8, 512), (9, 600), (29, 600), (99, 600)]
)
def test_a_retry_waits_twice_as_long_each_time(
    task_queue_service: TaskQueueService, tried: int, longest: float
) -> None:
    queue = task_queue_service
    tasks = [row(queue.db, status="failed", retry_count=tried, max_retries=100) for _ in range(8)]
    delays = []
    for task in tasks:
        assert queue.increment_retry(task)
        delays.append(delay(queue.db, task))
    assert all(longest / 2 - 0.7 < seconds <= longest for seconds in delays)
    assert len(set(delays)) == len(delays)
    assert max(delays) - min(delays) > longest * 0.02  # drawn, not fixed


def test_a_retry_is_not_taken_before_its_time(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    task = row(
        queue.db, status="failed", error_message="timeout", assigned_agent_id="worker", conversation_id="talk"
    )
    assert queue.increment_retry(task)
    again = read(queue.db, task)
    cleared = (again.error_message, again.assigned_agent_id, again.started_at, again.completed_at)
    assert cleared == (None, None, None, None)
    assert queue.get_next_task() is None
    assert queue.claim_next_task("worker") is None
    with queue.db.get_session() as session:
        session.execute(text("UPDATE tasks SET not_before = clock_timestamp()"))
    claimed = queue.claim_next_task("worker")
    assert claimed is not None
    assert claimed.not_before is None
    assert told(queue.db, task) == ["task.retried", "task.assigned"]


def test_a_failed_attempt_is_tried_again_until_none_is_left(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    agent = new_agent(queue.db)
    task = new_task(queue, max_retries=2).id
    for attempt in range(3):
        queue.assign_task(task, agent)
        failed = queue.fail_task(task, agent, "connection reset")
        last = attempt == 2
        assert (failed.status, failed.retry_count) == ("failed" if last else "pending", min(attempt + 1, 2))
    assert failed.error_message == "connection reset"
    assert not queue.increment_retry(task)


@pytest.mark.parametrize(
    ("error", "permanent"), [("Permission denied", False), ("it broke", True), ("not found", True)]
)
def test_a_permanent_failure_is_final(
    task_queue_service: TaskQueueService, error: str, permanent: bool
) -> None:
    queue = task_queue_service
    task = new_task(queue).id
    after = new_task(queue, dependencies=[task]).id
    queue.assign_task(task, "worker")
    failed = queue.fail_task(task, "worker", error, permanent=permanent)
    assert (failed.status, failed.retry_count) == ("failed", 0)
    assert failed.error_message == (f"Permanent error: {error}" if permanent else error)
    assert state(queue.db, after) == "failed"


@pytest.mark.parametrize("error", ["", " \n", "a\x00", "x" * 20_001])
def test_a_failure_says_what_went_wrong(task_queue_service: TaskQueueService, error: str) -> None:
    task = new_task(task_queue_service).id
    task_queue_service.assign_task(task, "worker")
    with pytest.raises(InvalidInput):
        task_queue_service.fail_task(task, "worker", error)
    assert state(task_queue_service.db, task) == "assigned"


def test_a_reset_gives_all_retries_back(task_queue_service: TaskQueueService) -> None:
    queue = task_queue_service
    task = row(queue.db, status="failed", retry_count=3, error_message="Permission denied")
    revived = queue.reset_task(task)
    again = revived.task
    assert revived.ids == (task,)
    assert (again.status, again.retry_count, again.error_message) == ("pending", 0, None)
    claimed = queue.claim_next_task("worker")
    assert claimed is not None
    with pytest.raises(TaskMoveNotAllowed, match="assigned"):
        queue.reset_task(task)
