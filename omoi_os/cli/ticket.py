"""`omoi ticket`: make, list and move tickets."""

from __future__ import annotations

import json
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Final

from cyclopts import App
from rich.console import Console
from rich.text import Text

from omoi_os.api.schemas.gates import TicketWaiver
from omoi_os.api.schemas.moves import HistoryList, HistoryOut, TransitionOut
from omoi_os.api.schemas.tickets import ContextOut, TicketOut, TicketPage
from omoi_os.bootstrap import Services
from omoi_os.cli.exits import Exit, exit_for
from omoi_os.cli.gate import what
from omoi_os.cli.lists import (
    AsJson,
    Limit,
    actor,
    print_fields,
    print_json,
    print_more,
    print_rows,
    short_phase,
)
from omoi_os.cli.opening import opened, read_settings
from omoi_os.cli.show import console, print_plain, progress, visible
from omoi_os.domain.phases import Transition
from omoi_os.errors import GateClosed, GateUnderReview, InvalidInput
from omoi_os.models.phase_history import PhaseHistory
from omoi_os.models.ticket import Ticket
from omoi_os.services.context_summarizer import MAX_TOKENS
from omoi_os.services.phase_service import Move
from omoi_os.services.task_queue import TaskFilter
from omoi_os.services.tickets import NewTicket, TicketService, next_cursor

app = App(name="ticket", help="Make, list and move tickets.")

_JOINERS: Final = "\u200c\u200d"  # of Persian and of emoji
SHOWN_TASKS: Final = 20
"""Tasks that `show` lists, the newest ones."""


@app.command
def new(
    title: str,
    /,
    *,
    description: str | None = None,
    phase: str = "backlog",
    priority: str = "MEDIUM",
    workspace: Path | None = None,
    as_json: AsJson = False,
) -> int:
    """Make a ticket.

    Parameters
    ----------
    title
        What it is about.
    description
        What is to be done.
    phase
        Where it begins; its tasks are made as if it had moved there.
    priority
        CRITICAL, HIGH, MEDIUM or LOW.
    workspace
        Folder of the work; evidence that is named by path is read from there.
    """
    with opened(read_settings()) as services:
        # The person at this machine may name any folder; over HTTP only the allowed roots can be named.
        roots = services.settings.roots if workspace is None else (workspace.expanduser().resolve(),)
        folder = None if workspace is None else workspace.expanduser().resolve()
        asked = NewTicket(title, description, phase, priority, folder)
        ticket = TicketService(services.db, workspace_roots=roots).create(asked, created_by=actor())
        services.generator.generate_phase_tasks(ticket.id, ticket.phase_id)
    if as_json:
        print_json(TicketOut.model_validate(ticket))
    else:
        print_plain(ticket.id)
    return Exit.PASSED


@app.command(name="list")
def list_(
    *,
    phase: str | None = None,
    status: str | None = None,
    limit: Limit = 50,
    cursor: str | None = None,
    as_json: AsJson = False,
) -> int:
    """List tickets, the newest first.

    Parameters
    ----------
    phase
        Only those in this phase.
    status
        Only those that are pending, in_progress, completed or failed.
    cursor
        Continue where an earlier list ended.
    """
    with opened(read_settings()) as services:
        page = services.tickets.list(phase_id=phase, status=status, limit=limit, cursor=cursor)
    if as_json:
        tickets = [TicketOut.model_validate(ticket) for ticket in page.tickets]
        print_json(TicketPage(tickets=tickets, next_cursor=next_cursor(page)))
        return Exit.PASSED
    out = console()
    if not page.tickets:
        out.print("There is no ticket; `omoi ticket new TITLE` makes one.")
        return Exit.PASSED
    rows = (
        (ticket.id, short_phase(ticket.phase_id), ticket.status, ticket.priority, ticket.title)
        for ticket in page.tickets
    )
    print_rows(out, ("ticket", "phase", "status", "priority", "title"), rows)
    print_more(out, next_cursor(page))
    return Exit.PASSED


@app.command
def show(ticket_id: str, /, *, as_json: AsJson = False) -> int:
    """Show a ticket, where it may go, and the tasks of its phase."""
    with opened(read_settings()) as services:
        ticket = services.tickets.get(ticket_id)
        if as_json:
            print_json(TicketOut.model_validate(ticket))
        else:
            _print(console(), ticket, services)
    return Exit.PASSED


def _print(out: Console, ticket: Ticket, services: Services) -> None:
    moves = [short_phase(phase) for phase in services.phases.valid_moves(ticket.id)]
    phase = ticket.phase_at_work
    history = services.phases.get_phase_history(ticket.id) if phase != ticket.phase_id else []
    fields = (
        ("title", ticket.title),
        ("phase", short_phase(ticket.phase_id)),
        ("it came from", short_phase(phase) if history else None),
        ("blocked because", history[-1].transition_reason if history else None),
        ("status", ticket.status),
        ("priority", ticket.priority),
        ("description", ticket.description),
        ("workspace", ticket.workspace_path),
        ("created", ticket.created_at),
        ("may move to", moves),
    )
    print_fields(out, fields)
    tasks = services.queue.list_tasks(TaskFilter(ticket_id=ticket.id, phase_id=phase), limit=SHOWN_TASKS)
    if tasks.tasks:
        out.print()
        rows = ((task.id, task.task_type, task.status, task.error_message) for task in tasks.tasks)
        print_rows(out, ("task", "type", "status", "error"), rows)
    if tasks.next_cursor is not None:
        more = f"omoi task list --ticket {ticket.id} --phase {short_phase(phase)}"
        out.print(Text(f"More: {more}", "dim"), soft_wrap=True)


@app.command
def move(
    ticket_id: str,
    phase: str,
    /,
    *,
    reason: str = "",
    force: bool = False,
    as_json: AsJson = False,
) -> int:
    """Move a ticket to another phase.

    A forward move reviews the gate of the phase that is left. Where it is closed, the reasons are told and
    the exit code is 1, or 3 where it is inconclusive, or 8 where somebody else reviews it just now. 4 says
    that there is no way from here to there, or that somebody else moved the ticket at the same moment.

    Parameters
    ----------
    phase
        Where it shall go.
    reason
        Why; kept in its history.
    force
        Past the gate and the map, as the operator; needs a reason, and history shows it.
    """
    asked = Move(phase, reason, actor(), force=force)
    with opened(read_settings()) as services, progress("reviewing the gate"):
        try:
            made = services.phases.move(ticket_id, asked)
        except GateClosed as closed:
            return _refused(closed, as_json=as_json)
    _print_move(made, as_json=as_json)
    return Exit.PASSED


def _refused(closed: GateClosed, *, as_json: bool) -> int:
    code = exit_for(str(closed.facts["gate_status"]))
    if as_json:
        print_plain(json.dumps({"moved": False, "exit_code": int(code), **closed.facts}, indent=2))
        return code
    out = console()
    if isinstance(closed, GateUnderReview):
        out.print(Text(f"NOT MOVED: {visible(closed.message)}", "bold"), soft_wrap=True)
        out.print(Text(f"omoi gate wait {closed.facts['result_id']}", "dim"), soft_wrap=True)
        return code
    out.print(Text("NOT MOVED: the gate is closed.", "bold red"))
    reasons = closed.facts["blocking_reasons"]
    for sentence in reasons if isinstance(reasons, list) else []:
        out.print(Text(f"- {visible(str(sentence))}"))
    return code


def _print_move(made: Transition, *, as_json: bool) -> None:
    if as_json:
        answer = TransitionOut(
            ticket_id=made.ticket_id,
            previous_phase=made.from_phase,
            current_phase=made.to_phase,
            transitioned_at=made.moved_at,
            transitioned_by=made.moved_by,
        )
        print_json(answer)
        return
    how = " (forced)" if made.forced else ""
    print_plain(f"Moved from {short_phase(made.from_phase)} to {short_phase(made.to_phase)}{how}.")


@app.command
def history(
    ticket_id: str, /, *, limit: Limit = 50, cursor: str | None = None, as_json: AsJson = False
) -> int:
    """Show the moves of a ticket, the first one first; the first page also has what was waived on its way.

    Parameters
    ----------
    cursor
        Continue where an earlier list ended.
    """
    with opened(read_settings()) as services:
        page = services.tickets.history(ticket_id, limit=limit, cursor=cursor)
        current = services.phases.get_current_phase(ticket_id)
        waived = services.waivers.of_ticket(ticket_id) if cursor is None else []
    if as_json:
        answer = HistoryList(
            ticket_id=ticket_id,
            current_phase=current,
            history=[HistoryOut.model_validate(item) for item in page.moves],
            waivers=[TicketWaiver.model_validate(item) for item in waived],
            next_cursor=page.next_cursor,
        )
        print_json(answer)
        return Exit.PASSED
    out = console()
    if not page.moves and not waived:
        out.print(f"It was never moved; it is in {short_phase(current)}.")
        return Exit.PASSED
    rows: list[tuple[datetime, object, object, object]] = [
        (item.created_at, _way(item), item.transitioned_by, _why(item)) for item in page.moves
    ]
    rows += [
        (item.created_at, f"waiver in {short_phase(item.phase_id)}", item.waived_by, what(item))
        for item in waived
    ]
    print_rows(out, ("when", "what", "by", "reason"), sorted(rows, key=itemgetter(0)))
    print_more(out, page.next_cursor)
    return Exit.PASSED


def _way(item: PhaseHistory) -> str:
    return f"{short_phase(item.from_phase or '')} -> {short_phase(item.to_phase)}"


def _why(item: PhaseHistory) -> str:
    return f"{'FORCED: ' if item.forced else ''}{item.transition_reason or ''}"


@app.command
def context(
    ticket_id: str,
    /,
    *,
    for_phase: str | None = None,
    max_tokens: int | None = None,
    condense: bool = False,
    as_json: AsJson = False,
) -> int:
    """Show what a ticket's phases hand on, summed up.

    Parameters
    ----------
    for_phase
        Only what earlier phases hand on to this one, as it stands now.
    max_tokens
        Sum it up anew, never longer than this; else the stored summary is shown, or 2,000 tokens for a phase.
    condense
        First have the model tell what the stored summary has no room for, if the policy asks for it.
    as_json
        Print the whole context, too.
    """
    if max_tokens is not None and max_tokens < 0:
        raise InvalidInput("--max-tokens: write 0 or more")
    with opened(read_settings()) as services:
        if condense:
            _condense(services, ticket_id)
        summary: str | None
        if for_phase is None:
            whole, summary = services.contexts.get_ticket_context(ticket_id)
        else:
            whole, summary = services.contexts.get_context_for_phase(ticket_id, for_phase), None
        room = "the stored summary"
        if max_tokens is not None or for_phase is not None:
            most = MAX_TOKENS if max_tokens is None else max_tokens
            room = f"{most:,} tokens"
            summary = services.contexts.summarize_context(whole, most)
    if as_json:
        print_json(ContextOut(ticket_id=ticket_id, full_context=whole, summary=summary))
    elif summary:
        print_plain("\n".join(map(_line, summary.splitlines())))
    elif whole.get("phases"):
        console().print(f"Nothing fits into {room}.")
    else:
        console().print("Nothing was handed on yet.")
    return Exit.PASSED


def _line(text: str) -> str:
    """`text` for a terminal, in as many tokens at the most; an escape would take more than what it shows."""
    return "".join(letter if letter.isprintable() or letter in _JOINERS else "\ufffd" for letter in text)


def _condense(services: Services, ticket_id: str) -> None:
    with progress("condensing the context"):
        done = services.contexts.condense_ticket_context(ticket_id)
    if not done.changed:
        Console(stderr=True).print(Text(visible(done.why), "dim"), soft_wrap=True)
