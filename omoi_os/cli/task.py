"""`omoi task`: list, take and end tasks."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any

from cyclopts import App, Parameter

from omoi_os.api.schemas.tasks import Claimed, RetriedOut, TaskOut, TaskPageOut
from omoi_os.cli.exits import Exit
from omoi_os.cli.lists import (
    AsJson,
    Limit,
    blocked,
    print_fields,
    print_json,
    print_more,
    print_rows,
    short_phase,
)
from omoi_os.cli.opening import opened, read_settings
from omoi_os.cli.show import console
from omoi_os.domain.statuses import TaskStatus
from omoi_os.domain.strict_json import read_json
from omoi_os.domain.tasks import PERMANENT, read_dependencies
from omoi_os.errors import InvalidInput
from omoi_os.models.task import Task
from omoi_os.services.task_queue import TaskFilter

app = App(name="task", help="List, take and end tasks.")

LONGEST_WHAT = 120
LARGEST_RESULT = 16 * 1024 * 1024

type ResultFile = Annotated[
    Path | None,
    Parameter(allow_leading_hyphen=True, help="A JSON file with the result; - reads standard input."),
]

type AgentName = Annotated[
    str | None, Parameter(name="--agent", help="The agent that has the task; refused if it has lost it.")
]


@app.command(name="list")
def list_(
    *,
    ticket: str | None = None,
    phase: str | None = None,
    status: str | None = None,
    agent: str | None = None,
    limit: Limit = 50,
    cursor: str | None = None,
    as_json: AsJson = False,
) -> int:
    """List tasks, the newest first.

    Parameters
    ----------
    ticket
        Only those of this ticket.
    phase
        Only those of this phase.
    status
        Only those that are pending, assigned, running, completed or failed.
    agent
        Only those that this agent has or had last.
    cursor
        Continue where an earlier list ended.
    """
    with opened(read_settings()) as services:
        asked = TaskFilter(ticket, phase, status, agent)
        page = services.queue.list_tasks(asked, limit=limit, cursor=cursor)
    if as_json:
        tasks = [TaskOut.model_validate(task) for task in page.tasks]
        print_json(TaskPageOut(tasks=tasks, next_cursor=page.next_cursor))
        return Exit.PASSED
    out = console()
    if not page.tasks:
        out.print("There is no such task.")
        return Exit.PASSED
    rows = (
        (task.id, short_phase(task.phase_id), task.status, task.priority, _what(task)) for task in page.tasks
    )
    print_rows(out, ("task", "phase", "status", "priority", "what"), rows)
    print_more(out, page.next_cursor)
    return Exit.PASSED


@app.command
def show(task_id: str, /, *, as_json: AsJson = False) -> int:
    """Show a task and what it waits for."""
    with opened(read_settings()) as services:
        task = services.queue.get_task(task_id)
        waits_for = services.queue.get_open_dependencies(task_id)
        how = blocked(services.tickets.get(task.ticket_id))
    held = f"its ticket is {how}" if how and task.status == TaskStatus.PENDING else None
    _print(task, as_json=as_json, waits_for=waits_for, held=held)
    return Exit.PASSED


@app.command
def claim(
    *,
    agent: str,
    phase: str | None = None,
    capability: Annotated[list[str] | None, Parameter(negative="")] = None,
    as_json: AsJson = False,
) -> int:
    """Take the most urgent task that is ready; exit code 8 says that there is none.

    Parameters
    ----------
    agent
        Who takes it: a registered agent's id, or any name. From a registered one that falls silent the task
        returns to the queue soon; from any other name after its time limit, 24 hours where it has none.
    phase
        Only of this phase. Left out: the one that the agent was registered for, if any.
    capability
        What the agent offers; can be repeated. Left out: what it was registered with.
    """
    with opened(read_settings()) as services:
        asked = services.agents.check_agent_health(agent)["phase_id"] if phase is None else phase
        task = services.queue.claim_next_task(agent, asked, capability)
    if as_json:
        print_json(Claimed(task=None if task is None else TaskOut.model_validate(task)))
    elif task is None:
        console().print("No task is ready.")
    else:
        _print(task, as_json=False)
    return Exit.PENDING if task is None else Exit.PASSED


@app.command
def complete(
    task_id: str,
    /,
    *,
    agent: AgentName = None,
    result: ResultFile = None,
    as_json: AsJson = False,
) -> int:
    """Complete a task; the artifacts in its result are collected by the gate."""
    value = _read_result(result)
    with opened(read_settings()) as services:
        if agent is not None:
            task = services.queue.complete_task(task_id, agent, value)
        else:
            task = services.queue.update_task_status(task_id, TaskStatus.COMPLETED, value)
    _print(task, as_json=as_json)
    return Exit.PASSED


@app.command
def fail(
    task_id: str,
    /,
    *,
    error: str,
    agent: AgentName = None,
    permanent: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
) -> int:
    """Say that a task could not be done; it is tried again where that may help.

    Parameters
    ----------
    error
        What went wrong.
    permanent
        Another attempt would fail in the same way.
    """
    if not error.strip():
        raise InvalidInput("--error: say what went wrong")
    with opened(read_settings()) as services:
        if agent is not None:
            task = services.queue.fail_task(task_id, agent, error, permanent=permanent)
        else:
            message = f"{PERMANENT}{error}" if permanent else error
            services.queue.update_task_status(task_id, TaskStatus.FAILED, error_message=message)
            services.queue.increment_retry(task_id)
            task = services.queue.get_task(task_id)
    _print(task, as_json=as_json)
    return Exit.PASSED


@app.command
def release(task_id: str, /, *, agent: str, reason: str = "", as_json: AsJson = False) -> int:
    """Give a task back to the queue unfinished; no retry is counted.

    Parameters
    ----------
    agent
        Who has it; refused if somebody else has.
    reason
        Why; kept in the record.
    """
    with opened(read_settings()) as services:
        task = services.queue.release_task(task_id, agent, reason)
    _print(task, as_json=as_json)
    return Exit.PASSED


@app.command
def cancel(task_id: str, /, *, reason: str = "cancelled_by_request", as_json: AsJson = False) -> int:
    """End a task that is not over; it counts as failed, and what waits for it fails as well.

    Parameters
    ----------
    reason
        Why; kept with the task.
    """
    with opened(read_settings()) as services:
        task = services.queue.cancel(task_id, reason)
    _print(task, as_json=as_json)
    return Exit.PASSED


@app.command
def retry(task_id: str, /, *, as_json: AsJson = False) -> int:
    """Begin a failed task anew with all its retries, and those that failed only because it did."""
    with opened(read_settings()) as services:
        revived = services.queue.reset_task(task_id)
    if as_json:
        print_json(RetriedOut.of(revived))
        return Exit.PASSED
    _print(revived.task, as_json=False)
    if revived.others:
        console().print(f"Tasks that begin anew with it: {len(revived.others):,}")
    return Exit.PASSED


def _what(task: Task) -> str:
    """Its type alone does not tell the tasks of two tickets apart."""
    first = (task.description or "").strip().partition("\n")[0]
    return shorten(f"{task.task_type}: {first}" if first else task.task_type, LONGEST_WHAT, placeholder="…")


def _read_result(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        stream = sys.stdin.buffer if str(path) == "-" else path.open("rb")
        with stream:
            text = stream.read(LARGEST_RESULT + 1)
    except OSError as error:
        raise InvalidInput(f"--result {path}: {error.strerror}") from None
    if len(text) > LARGEST_RESULT:
        raise InvalidInput(f"--result {path}: it is larger than {LARGEST_RESULT // 2**20} MiB")
    try:
        value = read_json(text)
    except InvalidInput as error:
        raise InvalidInput(f"--result {path}: it {error.message.removeprefix('the body ')}") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"--result {path}: write a JSON object")
    return value


def _print(task: Task, *, as_json: bool, waits_for: list[str] | None = None, held: str | None = None) -> None:
    if as_json:
        print_json(TaskOut.model_validate(task))
        return
    fields = (
        ("task", task.id),
        ("ticket", task.ticket_id),
        ("type", task.task_type),
        ("phase", short_phase(task.phase_id)),
        ("status", task.status),
        ("priority", task.priority),
        ("description", task.description),
        ("agent", task.assigned_agent_id),
        ("needs", task.required_capabilities),
        ("depends on", read_dependencies(task.dependencies)),
        ("waits for", waits_for),
        ("nobody takes it", held),
        ("retries", f"{task.retry_count} of {task.max_retries}"),
        ("not before", task.not_before),
        ("error", task.error_message),
        ("created", task.created_at),
        ("started", task.started_at),
        ("time limit", None if task.timeout_seconds is None else f"{task.timeout_seconds} s"),
        ("completed", task.completed_at),
    )
    print_fields(console(), fields)
