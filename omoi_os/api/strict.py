"""JSON bodies read strictly, and bounded."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from omoi_os.domain.strict_json import read_json
from omoi_os.errors import InvalidInput

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""Size of a request's body; larger reports are named by path in the workspace."""


class StrictRequest(Request):
    """A request whose JSON is read by `read_json`."""

    async def json(self) -> Any:
        try:
            return read_json(await self.body())
        except InvalidInput as error:
            # FastAPI turns everything but its own exceptions from here into a bare 400.
            raise HTTPException(error.status, error.message) from None


class StrictRoute(APIRoute):
    """A route that reads JSON strictly, and refuses other media types for a body it would read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        reads_body = self.body_field is not None

        async def strict(request: Request) -> Response:
            if reads_body and _has_body(request):
                _check_form(request)
            return await handle(StrictRequest(request.scope, _bounded(request)))

        return strict


def _bounded(request: Request) -> Receive:
    """What `request` receives, up to `MAX_BODY_BYTES`.

    FastAPI's own limit answers in plain text, from outside of the application's error handlers.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
        raise _too_large()
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            raise _too_large()
        return message

    return receive


def _too_large() -> HTTPException:
    limit = MAX_BODY_BYTES // (1024 * 1024)
    return HTTPException(
        413, f"the body is larger than {limit} MiB; put the file into the ticket's workspace"
    )


def _check_form(request: Request) -> None:
    """Raise 415 for a body that would be read as something other than what it says it is."""
    if not _is_json(request.headers.get("content-type", "")):
        raise HTTPException(415, "send the body as application/json")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HTTPException(415, "send the body without a content-encoding", {"accept-encoding": "identity"})


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def _is_json(content_type: str) -> bool:
    media = content_type.partition(";")[0].strip().lower()
    return media == "application/json" or (media.startswith("application/") and media.endswith("+json"))
