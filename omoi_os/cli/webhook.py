"""`omoi webhook`: have events sent to other programs. Only here can a URL be set."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated

from cyclopts import App, Parameter
from rich.text import Text

from omoi_os.api.schemas.base import Answer
from omoi_os.cli.exits import Exit
from omoi_os.cli.lists import AsJson, Limit, actor, print_fields, print_json, print_rows
from omoi_os.cli.opening import opened, read_settings
from omoi_os.cli.show import console, print_plain, progress, visible
from omoi_os.domain.webhooks import DeliveryStatus
from omoi_os.logs import redact
from omoi_os.services.webhooks import Delivered

app = App(name="webhook", help="Send events to other programs, signed as Standard Webhooks says.")


class WebhookOut(Answer):
    """A webhook, without its secret."""

    id: str
    url: str
    event_types: list[str]
    ticket_id: str | None
    active: bool
    disabled_reason: str | None
    created_by: str
    created_at: datetime


class DeliveryOut(Answer):
    """One event on its way to a webhook."""

    id: str
    event_id: str
    status: str
    attempts: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime
    delivered_at: datetime | None


@app.command
def add(
    url: str,
    /,
    *,
    type_: Annotated[list[str] | None, Parameter(name="--type", negative="")] = None,
    ticket: str | None = None,
    as_json: AsJson = False,
) -> int:
    """Send what happens from now on to a URL; prints the secret that deliveries are signed with, once.

    Parameters
    ----------
    url
        https://…, on the public internet; OMOI_WEBHOOK_ALLOW_INTERNAL=1 allows other addresses and http.
    type_
        Only this type, such as gate.decided; "gate." means all that begin so. May be given several times.
    ticket
        Only what is about this ticket.
    """
    with opened(read_settings()) as services:
        made = services.webhooks.add(url, types=tuple(type_ or ()), ticket_id=ticket, created_by=actor())
    if as_json:
        print_plain(json.dumps({"id": made.id, "secret": made.secret}))
    else:
        print_plain(f"{made.id}\n{made.secret}")
    return Exit.PASSED


@app.command(name="list")
def list_(*, as_json: AsJson = False) -> int:
    """List the webhooks."""
    with opened(read_settings()) as services:
        found = [_shown(WebhookOut.model_validate(webhook)) for webhook in services.webhooks.all()]
    if as_json:
        print_json(found)
    elif not found:
        console().print("There is no webhook.")
    else:
        rows = (
            (item.id, "active" if item.active else "disabled", item.event_types, item.url) for item in found
        )
        print_rows(console(), ("id", "state", "types", "url"), rows)
    return Exit.PASSED


@app.command
def show(webhook_id: str, /, *, limit: Limit = 20, as_json: AsJson = False) -> int:
    """Show a webhook and its newest deliveries."""
    with opened(read_settings()) as services:
        webhook = _shown(WebhookOut.model_validate(services.webhooks.get(webhook_id)))
        recent = [
            DeliveryOut.model_validate(item) for item in services.webhooks.deliveries(webhook_id, limit)
        ]
    if as_json:
        listed = [item.model_dump(mode="json") for item in recent]
        print_plain(json.dumps(webhook.model_dump(mode="json") | {"deliveries": listed}, indent=2))
        return Exit.PASSED
    print_fields(console(), webhook.model_dump().items())
    rows = ((item.id, item.status, item.attempts, item.last_status, item.last_error or "") for item in recent)
    if recent:
        print_rows(console(), ("delivery", "status", "attempts", "answer", "error"), rows)
    return Exit.PASSED


@app.command
def remove(webhook_id: str, /) -> int:
    """Send nothing more there, and forget its deliveries."""
    with opened(read_settings()) as services:
        services.webhooks.remove(webhook_id, removed_by=actor())
    print_plain(f"Removed {visible(webhook_id)}.")
    return Exit.PASSED


@app.command
def test(webhook_id: str, /) -> int:
    """Send a test event now; exit code 1 where it did not arrive."""
    with opened(read_settings()) as services, progress("sending"):
        done = services.webhooks.test(webhook_id)
    return _print_done(done)


@app.command
def redeliver(delivery_id: str, /) -> int:
    """Send a delivery again now; exit code 1 where it did not arrive."""
    with opened(read_settings()) as services, progress("sending"):
        done = services.webhooks.redeliver(delivery_id)
    return _print_done(done)


def _print_done(done: Delivered) -> int:
    arrived = done.status is DeliveryStatus.DELIVERED
    again = f"; the next attempt is due in {done.delay:,.0f} s" if done.again else ""
    console().print(Text("Delivered." if arrived else f"Not delivered: {visible(done.error)}{again}."))
    return Exit.PASSED if arrived else Exit.BLOCKED


def _shown(webhook: WebhookOut) -> WebhookOut:
    return webhook.model_copy(update={"url": redact(webhook.url)})
