"""`omoi gate`: look at a ticket's gate, review it, and waive one of its criteria."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.text import Text

from omoi_os.api.schemas.gates import GateStatusOut, TicketWaiver, TicketWaivers, answer_of
from omoi_os.api.schemas.reviews import RunningReview
from omoi_os.bootstrap import Services
from omoi_os.cli.exits import Exit, exit_for
from omoi_os.cli.lists import (
    AsJson,
    actor,
    blocked,
    moment,
    print_fields,
    print_json,
    print_rows,
    short_phase,
)
from omoi_os.cli.opening import opened, read_settings
from omoi_os.cli.show import console, print_development, print_plain, print_verdict, progress, visible
from omoi_os.errors import InvalidInput
from omoi_os.judge.transcript import Transcript
from omoi_os.models.gate_waiver import GateWaiver
from omoi_os.models.ticket import Ticket
from omoi_os.services.phase_gate import ReviewTerms
from omoi_os.services.waivers import NewWaiver

app = App(name="gate", help="Look at a ticket's gate, review it, and waive one of its criteria.")
_REVIEWS = {
    "request": "Have a gate reviewed by a worker. It survives this command, and any worker.",
    "wait": "Show how far a review is until it is decided, and then its verdict.",
    "cancel": "End a review that is not decided; its judge is stopped.",
    "history": "List the reviews of a ticket, or of all: why, how often tried, and what came of them.",
}
for name, said in _REVIEWS.items():
    app.command(f"omoi_os.cli.gate_reviews:{name}", name=name, help=said)

type PhaseName = Annotated[str | None, Parameter(help="The phase; the ticket's current one if left out.")]


@app.command
def status(ticket_id: str, /, *, phase: PhaseName = None, as_json: AsJson = False) -> int:
    """Show the last verdict of a gate, whether it still holds, and what is missing.

    The exit code is that of the verdict; 8 while a review is pending, and else 5 where there is none, or it
    is stale.
    """
    with opened(read_settings()) as services:
        asked = _phase(services, ticket_id, phase)
        state = GateStatusOut(**services.gates.check_gate_requirements(ticket_id, asked))
        ticket = services.tickets.get(ticket_id)
    if as_json:
        print_json(state)
    else:
        _print_status(console(), ticket, asked, state)
    return Exit.NO_VERDICT if state.stale and state.review is None else exit_for(state.gate_status)


def _print_status(out: Console, ticket: Ticket, phase: str, state: GateStatusOut) -> None:
    fields = (
        ("ticket", blocked(ticket)),
        ("phase", short_phase(phase)),
        ("verdict", f"{state.validation_status}{' (stale)' if state.stale else ''}"),
        ("review", "" if state.review is None else _pending(state.review)),
        ("decided", state.validated_at),
        ("stale because", "; ".join(state.stale_reasons)),
        ("missing", state.missing_artifacts),
        ("tasks", "all completed" if state.tasks_completed else "not all completed"),
        ("waived", [waiver.criterion for waiver in state.waivers]),
    )
    print_fields(out, fields)
    for reason in state.blocking_reasons:
        out.print(Text(f"- {visible(reason)}"))
    print_development(out, state.convergence.model_dump() if state.convergence else None)


def _pending(review: RunningReview) -> str:
    doing = review.stage or "in another process"
    until = f" until {moment(review.retry_at)} ({review.waits_for})" if review.retry_at else ""
    return f"{doing}{until}; `omoi gate wait {review.id}`"


@app.command
def validate(
    ticket_id: str,
    /,
    *,
    phase: PhaseName = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
) -> int:
    """Review a gate; where nothing changed since its last verdict, that one answers.

    Parameters
    ----------
    force
        Measure anew even if nothing changed.
    """
    terms = ReviewTerms(force=force, validated_by=actor())
    with opened(read_settings()) as services, progress("reviewing the gate"):
        result = services.gates.validate_gate(ticket_id, _phase(services, ticket_id, phase), terms=terms)
    if as_json:
        print_plain(answer_of(result).model_dump_json(indent=2))
    else:
        print_verdict(console(), result)
    return exit_for(result.gate_status)


@app.command
def waive(
    ticket_id: str,
    /,
    *,
    criterion: str,
    reason: str,
    until: str,
    phase: PhaseName = None,
    as_json: AsJson = False,
) -> int:
    """Let one criterion pass, for exactly what the last verdict was reached on.

    It ends by itself, and any change of the evidence, the workspace or the policy ends it too. Whoever
    worked on the phase cannot waive.

    Parameters
    ----------
    criterion
        As the verdict names it, such as test_coverage.min_percentage.
    reason
        Why; stays in the record.
    until
        The last moment, in UTC: 2030-01-31 or 2030-01-31T12:00.
    """
    asked = NewWaiver(criterion, reason, actor(), _moment(until))
    with opened(read_settings()) as services:
        waiver = services.waivers.give(ticket_id, _phase(services, ticket_id, phase), asked)
    if as_json:
        print_json(TicketWaiver.model_validate(waiver))
    else:
        print_plain(f"Waived {visible(criterion)} until {moment(waiver.expires_at)} ({waiver.id}).")
    return Exit.PASSED


@app.command
def revoke(waiver_id: str, /, *, reason: str = "", as_json: AsJson = False) -> int:
    """End a waiver before its time.

    Parameters
    ----------
    reason
        Why; stays in the record.
    """
    with opened(read_settings()) as services:
        ended = services.waivers.revoke(waiver_id, reason=reason, revoked_by=actor())
    if as_json:
        print_json(TicketWaiver.model_validate(ended))
    else:
        print_plain(f"Ended the waiver of {visible(ended.criterion)}.")
    return Exit.PASSED


@app.command
def waivers(ticket_id: str, /, *, as_json: AsJson = False) -> int:
    """List all waivers of a ticket and how they ended, the first one first."""
    with opened(read_settings()) as services:
        given = services.waivers.of_ticket(ticket_id)
    if as_json:
        listed = [TicketWaiver.model_validate(waiver) for waiver in given]
        print_json(TicketWaivers(ticket_id=ticket_id, waivers=listed))
        return Exit.PASSED
    out = console()
    if not given:
        out.print("Nothing was waived.")
        return Exit.PASSED
    rows = (
        (moment(item.created_at), short_phase(item.phase_id), item.waived_by, what(item)) for item in given
    )
    print_rows(out, ("when", "phase", "by", "what"), rows)
    return Exit.PASSED


@app.command
def show(
    result_id: str,
    /,
    *,
    transcript: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
) -> int:
    """Show a verdict; the exit code is its own.

    Parameters
    ----------
    transcript
        Show what was said when it was judged instead: what was asked, read and answered.
    """
    with opened(read_settings()) as services:
        result = services.transcripts.result(result_id)
        said = services.transcripts.of(result_id) if transcript else []
    if as_json and transcript:
        print_plain(json.dumps([item.as_dict() for item in said], indent=2))
    elif as_json:
        print_plain(answer_of(result).model_dump_json(indent=2))
    elif transcript:
        for item in said:
            _print_transcript(console(), item)
    else:
        print_verdict(console(), result)
    return exit_for(result.gate_status)


def _print_transcript(out: Console, said: Transcript) -> None:
    for entry in said.entries:
        out.print(Text(f"{entry.kind} {entry.tool}".strip(), "bold"))
        out.print(Text(entry.text))
        out.print()
    cost = "unknown" if said.cost_usd is None else f"${said.cost_usd:.4f}"
    fields = (
        ("files read", said.files_read),
        ("model calls", said.llm_calls),
        ("tokens", f"{said.prompt_tokens:,} read, {said.completion_tokens:,} written"),
        ("cost", cost),
        ("not shown", f"{said.left_out:,} entries" if said.left_out else ""),
    )
    print_fields(out, fields)


@app.command
def policy(digest: str, /) -> int:
    """Show the policy that a verdict was reached under, by its digest."""
    with opened(read_settings()) as services:
        print_plain(json.dumps(services.gates.kept_policy(digest), indent=2))
    return Exit.PASSED


def what(waiver: GateWaiver) -> str:
    """A row of the record of waivers, as a clause."""
    if waiver.revokes is not None:
        return f"ended the waiver of {waiver.criterion}: {waiver.reason}"
    return f"{waiver.criterion} until {moment(waiver.expires_at)}: {waiver.reason}"


def _phase(services: Services, ticket_id: str, phase: str | None) -> str:
    return phase or services.tickets.get(ticket_id).phase_at_work


def _moment(text: str) -> datetime:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"--until {text!r}: write a day or a time, such as 2030-01-31T12:00") from None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read
