"""Every error as problem details (RFC 9457): the one place that turns errors into HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from omoi_os.errors import Conflict, DatabaseUnavailable, GateUnderReview, OmoiError

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

# An error repeats what was sent: ids, names of fields. None of it may steer a terminal or turn a line around.
_UNSAFE: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

PROBLEM_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what to do."},
        "code": {"type": "string", "description": "Stable name of the error."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"where": {"type": "string"}, "problem": {"type": "string"}},
            },
        },
    },
}


class ProblemResponse(JSONResponse):
    """Problem details, with every character that is not safe to show as its JSON escape."""

    media_type = MEDIA_TYPE

    def render(self, content: object) -> bytes:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return _UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", text).encode()


def problem(status: int, detail: str, code: str, **more: object) -> JSONResponse:
    """One problem as a response."""
    body = {"type": "about:blank", "title": _title(status), "status": status, "detail": detail, "code": code}
    return ProblemResponse({**body, **more}, status_code=status)


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def pending_headers(review_id: str, seconds: int = 2) -> dict[str, str]:
    """Where a pending review is, and when to look."""
    return {"Location": f"/api/v1/reviews/{review_id}", "Retry-After": str(seconds)}


def install(app: FastAPI) -> None:
    """Answer every error of `app` with problem details."""
    app.add_exception_handler(OmoiError, _expected)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(OperationalError, _database)
    app.add_exception_handler(psycopg.OperationalError, _database)
    for lost in (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
        app.add_exception_handler(lost, _conflict)
    app.add_exception_handler(Exception, _unexpected)


def _expected(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OmoiError)  # noqa: S101 - registered for this class
    response = problem(error.status, error.message, error.code, **error.facts)
    if isinstance(error, GateUnderReview):
        response.headers.update(pending_headers(str(error.facts["result_id"])))
    return response


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    code = _title(error.status_code).lower().replace(" ", "_").replace("-", "_")
    response = problem(error.status_code, str(error.detail), code)
    response.headers.update(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["allow"] = ", ".join(_allowed(request))
    return response


def _allowed(request: Request) -> list[str]:
    """What may be done at the request's address; the router itself names the methods of one route only."""
    scopes = {method: {**request.scope, "method": method} for method in METHODS}
    return [
        method
        for method, scope in scopes.items()
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    ]


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    # The input itself is left out: it may hold a secret, or what JSON cannot carry.
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    errors = [
        {"where": ".".join(str(part)[:60] for part in item["loc"]), "problem": str(item["msg"])[:300]}
        for item in error.errors()[:MAX_ERRORS]
    ]
    detail = "; ".join(f"{item['where']}: {item['problem']}" for item in errors[:3])
    return problem(422, detail, "invalid_request", errors=errors)


def _conflict(_request: Request, _error: Exception) -> JSONResponse:
    return _expected(_request, Conflict())


def _database(_request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, OperationalError) and isinstance(
        error.orig, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure
    ):
        return _conflict(_request, error)
    log.error("database_unavailable", error=type(error).__name__)
    return _expected(_request, DatabaseUnavailable())


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("request_failed", path=request.url.path, exc_info=error)
    return problem(500, "something went wrong here; the server's log has the details", "internal")
