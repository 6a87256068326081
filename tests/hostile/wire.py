"""Requests as the bytes that go over the wire.

`@ticket`, `@task`, `@agent`, `@result`, `@root`, `@cursor` and `@half` (of a cursor) stand for what exists on
the server under test.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

API: Final = "/api/v1"
HOST: Final = "127.0.0.1:8420"
NO_ANSWER: Final = 0
"""Status of a request that is not whole: the server closes the connection."""

BIDI: Final = "\u202e\u2066"
C1: Final = "\x9b31m"


@dataclass(frozen=True, slots=True)
class Hostile:
    """One request, and how it is answered.

    Attributes:
        by_server: The HTTP server answers before the application sees anything; such an answer is plain text.
        may_write: An error that rightly leaves rows behind, such as the verdict that closed a gate.
    """

    name: str
    sent: bytes
    status: int
    by_server: bool = False
    may_write: bool = False


def http(method: str, target: str | bytes, body: bytes = b"", **headers: str | None) -> bytes:
    """A well-formed request around what may not be; a header that is None is left out."""
    given: dict[str, str | None] = {"host": HOST, "connection": "close"}
    if body:
        given |= {"content-type": "application/json", "content-length": str(len(body))}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}".encode("latin-1") for name, value in given.items() if value is not None]
    where = target if isinstance(target, bytes) else target.encode()
    return b"\r\n".join([method.encode() + b" " + where + b" HTTP/1.1", *lines, b"", body])


def get(target: str, **headers: str | None) -> bytes:
    return http("GET", API + target, b"", **headers)


def post(target: str, body: bytes | object = b"", **headers: str | None) -> bytes:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return http("POST", API + target, text, **headers)
