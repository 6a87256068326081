"""The OpenAPI document: what FastAPI cannot know, which is the errors that an operation can answer with.

They are read off the operation itself (has it parameters, a body, does it write), so that a new route is
documented without being told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI

from omoi_os.api.problems import MEDIA_TYPE, PROBLEM_SCHEMA

_WITHOUT_DATABASE: Final = frozenset({"getHealth"})
_REPLACED: Final = ("HTTPValidationError", "ValidationError")
"""FastAPI's own forms of an error, which are never sent here."""


class DocumentedApi(FastAPI):
    """An application whose document names the problems of every operation."""

    def openapi(self) -> dict[str, Any]:
        """The document; made once, like FastAPI's."""
        if self.openapi_schema is None:
            _name_problems(super().openapi())
        assert self.openapi_schema is not None  # noqa: S101 - made by the line above
        return self.openapi_schema


def _name_problems(document: dict[str, Any]) -> None:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = PROBLEM_SCHEMA
    for name in _REPLACED:
        schemas.pop(name, None)
    for path in document["paths"].values():
        for method, operation in path.items():
            problems = {str(status): _problem(said) for status, said in _statuses(method, operation)}
            operation["responses"].pop("422", None)  # FastAPI's own, which may not be one of ours
            operation["responses"] |= problems


def _statuses(method: str, operation: dict[str, Any]) -> Iterator[tuple[int, str]]:
    places = {parameter["in"] for parameter in operation.get("parameters", [])}
    has_body = "requestBody" in operation
    if has_body:
        yield 400, "The body is not JSON, not UTF-8, or has a key twice."
    yield 403, "The request comes from a page of another origin."
    if "path" in places:
        yield 404, "There is no such thing."
    if method != "get" and "path" in places:
        yield 409, "It cannot be done now, or somebody else changed it at the same moment."
    yield 413, "The body is too large."
    if has_body:
        yield 415, "The body is not sent as application/json."
    yield 421, "The Host header does not name this machine."
    if has_body or "query" in places or method != "get":
        yield 422, "The request cannot be used; `detail` says why."
    if operation["operationId"] not in _WITHOUT_DATABASE:
        yield 503, "The database does not answer, or has another schema."


def _problem(said: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": said, "content": {MEDIA_TYPE: {"schema": schema}}}
