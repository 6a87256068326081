"""JSON bodies read strictly: what PostgreSQL cannot hold, or two readers understand differently, is refused.

Python's reader takes NaN, the last of two equal keys, half a surrogate pair, and overflows its stack on
deep nesting; each would be a 500 or a silent loss further in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from omoi_os.domain.storable import problem_in_json
from omoi_os.errors import InvalidInput

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""Size of a request's body; larger reports are named by path in the workspace."""


class NotJson(InvalidInput):
    """The body is not JSON."""

    status = 400
    code = "not_json"


def read_json(body: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        NotJson: It is not JSON, not UTF-8, or has one key twice.
        InvalidInput: It holds what cannot be stored.
    """
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant
        )
    except RecursionError:
        raise NotJson("the body is nested too deeply") from None
    except UnicodeDecodeError:
        raise NotJson("the body is not UTF-8") from None
    except ValueError as error:
        raise NotJson(f"the body is not JSON: {str(error)[:200]}") from None
    if found := problem_in_json(value):
        raise InvalidInput(f"the body cannot be used: {found}")
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return values


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


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
            if reads_body and _has_body(request) and not _is_json(request.headers.get("content-type", "")):
                raise HTTPException(415, "send the body as application/json")
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


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def _is_json(content_type: str) -> bool:
    media = content_type.partition(";")[0].strip().lower()
    return media == "application/json" or (media.startswith("application/") and media.endswith("+json"))
