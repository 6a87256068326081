"""`omoi gate request|wait|cancel|history`: reviews that workers do."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.text import Text

from omoi_os.api.schemas.gates import answer_of
from omoi_os.api.schemas.reviews import ReviewList, ReviewRow
from omoi_os.bootstrap import Services
from omoi_os.cli.exits import Exit, exit_for
from omoi_os.cli.following import follow, how_far
from omoi_os.cli.lists import AsJson, Limit, actor, blocked, print_json, print_more, print_rows, short_phase
from omoi_os.cli.opening import opened, read_settings
from omoi_os.cli.show import console, print_plain, print_verdict
from omoi_os.domain.verdict import GateStatus
from omoi_os.errors import NotFound
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.services.review_requests import Asked

type Seconds = Annotated[float | None, Parameter(validator=Number(gte=0, lte=7 * 24 * 3600))]


def request(
    ticket_id: str,
    /,
    *,
    phase: str | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    carry_on: bool = True,
    wait: Seconds = None,
    key: str | None = None,
    as_json: AsJson = False,
) -> int:
    """Have a gate reviewed by a worker. It survives this command, and any worker.

    A review of the gate that is pending already is the answer; what is asked for here is added to it, and
    if it waits for its next attempt, it is tried at once. Exit code 8 says that it is not decided yet.

    Parameters
    ----------
    phase
        The phase; the ticket's current one if left out.
    force
        Measure anew even if nothing changed.
    carry_on
        Have the policy's next thing follow: the ticket moves on, or gets a task that mends what was found.
    wait
        Seconds to wait for the verdict.
    key
        Your name for this request: said again, it gets the same review.
    """
    asked = Asked(actor(), carry_on=carry_on, force=force, key=key)
    with opened(read_settings()) as services:
        review = services.requests.request(ticket_id, phase, asked)
        if wait is not None:
            review = follow(services, review, wait)
        return _told(services, review, as_json=as_json)


def wait(review_or_ticket: str, /, *, timeout: Seconds = None, as_json: AsJson = False) -> int:
    """Wait for a review to be decided, and show how far it is; the exit code is that of the verdict.

    Of a ticket, its pending review is waited for; where there is none, its last verdict is shown.

    Parameters
    ----------
    timeout
        Seconds after which to give up with exit code 8; without it, wait for as long as it takes.
    """
    with opened(read_settings()) as services:
        review = _review(services, review_or_ticket)
        if review is None:
            console().print("Nothing was reviewed yet: ask for it with `omoi gate request`.")
            return Exit.NO_VERDICT
        return _told(services, follow(services, review, timeout), as_json=as_json)


def cancel(review_id: str, /, *, as_json: AsJson = False) -> int:
    """End a review that is not decided; its judge is stopped, so that it costs no more."""
    with opened(read_settings()) as services:
        ended = services.requests.cancel(review_id, cancelled_by=actor())
    if as_json:
        print_plain(answer_of(ended).model_dump_json(indent=2))
    else:
        print_plain(f"Cancelled the review of {short_phase(ended.phase_id)} ({ended.id}).")
    return Exit.PASSED


def history(
    ticket_id: str | None = None,
    /,
    *,
    status: GateStatus | None = None,
    limit: Limit = 50,
    cursor: str | None = None,
    as_json: AsJson = False,
) -> int:
    """List reviews, the newest first; `omoi gate show` tells what one of them found.

    Parameters
    ----------
    ticket_id
        The ticket; all tickets if left out.
    status
        Only those that are so; pending ones are not decided yet.
    cursor
        Continue where an earlier list ended.
    """
    with opened(read_settings()) as services:
        if ticket_id is not None:
            services.tickets.get(ticket_id)
        page = services.requests.list(ticket_id=ticket_id, status=status, limit=limit, cursor=cursor)
    rows = [ReviewRow.model_validate(review) for review in page.reviews]
    if as_json:
        print_json(ReviewList(reviews=rows, next_cursor=page.next_cursor))
        return Exit.PASSED
    out = console()
    if not rows:
        out.print("There is no such review." if status else "Nothing was reviewed yet.")
        return Exit.PASSED
    names = ("when", "phase", "status", "cause", "tries", "code", "review")
    if ticket_id is None:
        print_rows(out, ("ticket", *names), ((row.ticket_id, *_cells(row)) for row in rows), whole=True)
    else:
        print_rows(out, names, map(_cells, rows), whole=True)
    print_more(out, page.next_cursor)
    return Exit.PASSED


def _cells(row: ReviewRow) -> tuple[object, ...]:
    when = row.requested_at or row.validated_at
    code = row.waits_for if row.gate_status == GateStatus.PENDING else row.code
    return when, short_phase(row.phase_id), row.gate_status, row.cause, row.attempt + 1, code, row.id


def _review(services: Services, named: str) -> PhaseGateResult | None:
    """The review of that id; of a ticket the pending one, or the last."""
    found = services.gates.find_result(named)
    if found is not None:
        return found
    try:
        services.tickets.get(named)
    except NotFound:
        raise NotFound(f"there is neither a review nor a ticket {named[:60]!r}") from None
    for status in (GateStatus.PENDING, None):
        if reviews := services.requests.list(ticket_id=named, status=status, limit=1).reviews:
            return reviews[0]
    return None


def _told(services: Services, review: PhaseGateResult, *, as_json: bool) -> int:
    if as_json:
        print_plain(answer_of(review).model_dump_json(indent=2))
    else:
        _print(services, review)
    return exit_for(review.gate_status)


def _print(services: Services, review: PhaseGateResult) -> None:
    out = console()
    if review.gate_status == GateStatus.PENDING:
        now = how_far(review, alone=services.fleet.look().is_stuck)
        out.print(Text(f"PENDING: the review of {short_phase(review.phase_id)}: {now}.", "bold"))
        out.print(Text(f"omoi gate wait {review.id}", "dim"), soft_wrap=True)
    else:
        print_verdict(out, review)
    if (how := blocked(services.tickets.get(review.ticket_id))) is not None:
        out.print(Text(f"The ticket is {how}.", "bold"), soft_wrap=True)
