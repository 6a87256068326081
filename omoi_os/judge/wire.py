"""The HTTP between the agent and its model: paced, bounded, without the key in any answer, and remembered.

litellm reads a reply to its end before anybody can look at it, and keeps neither the status nor the reason
why the model stopped. Everything passes here, so here a reply is cut, cleaned and noted.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

import httpx
import msgspec

from omoi_os.judge.environment import SHORTEST_SECRET, proxies
from omoi_os.judge.run import Pace, RunOutcome
from omoi_os.logs import HIDDEN

type Stop = Callable[[RunOutcome, str], None]


@dataclass(frozen=True, slots=True)
class Reply:
    """What is worth knowing of the newest reply.

    Attributes:
        stopped_by: The model's own reason ("stop", "tool_calls", "length", "content_filter", …).
        refused: The model, or a filter behind it, does not want to answer.
        ambiguous: The arguments of a call have one key twice; the library reads the last one.
    """

    status: int
    body: str = ""
    stopped_by: str | None = None
    refused: bool = False
    ambiguous: bool = False


@dataclass(slots=True)
class Meter:
    """One run's view of the wire.

    Attributes:
        pace: Asked before each request.
        seconds: In which a request must be answered; what the pace takes does not count.
        reply: None while nothing was answered to the newest request.
        answered: Replies that were an answer, and cost.
    """

    max_bytes: int
    secret: str
    stop: Stop
    pace: Pace
    seconds: float
    reply: Reply | None = None
    answered: int = 0


current: ContextVar[Meter] = ContextVar("current")


class _Function(msgspec.Struct):
    arguments: str = ""


class _Call(msgspec.Struct):
    function: _Function | None = None


class _Message(msgspec.Struct):
    refusal: object = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    finish_reason: str | None = None
    message: _Message | None = None


class _Body(msgspec.Struct):
    choices: list[_Choice] = []


_decode: Final = msgspec.json.Decoder(_Body).decode
_KEPT: Final = 2_000


def client() -> httpx.AsyncClient:
    """What litellm sends the requests of OpenAI-compatible models with; bound to the loop it is used on."""
    return httpx.AsyncClient(transport=_Bounded(), follow_redirects=False)


class _Bounded(httpx.AsyncBaseTransport):
    def __init__(self) -> None:
        self._direct = _transport(None)
        named = proxies()
        self._proxied = {
            scheme: _transport(named[scheme]) for scheme in ("http", "https") if named.get(scheme)
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        meter = current.get()
        meter.reply = None
        await meter.pace()
        try:
            async with asyncio.timeout(meter.seconds):
                return await self._exchange(request, meter)
        except TimeoutError as error:
            raise httpx.ReadTimeout(f"no whole reply within {meter.seconds:g} seconds") from error

    async def aclose(self) -> None:
        for transport in (self._direct, *self._proxied.values()):
            await transport.aclose()

    async def _exchange(self, request: httpx.Request, meter: Meter) -> httpx.Response:
        # What is counted must be what is kept: a small compressed reply can be a large one.
        request.headers["accept-encoding"] = "identity"
        response = await self._route(request).handle_async_request(request)
        try:
            body = await _read(response, meter)
        finally:
            await response.aclose()
        reply = meter.reply = _noted(response.status_code, body)
        meter.answered += reply.status == 200
        if reply.refused:
            # The library would ask again, and pay again, until it is stuck.
            meter.stop(RunOutcome.REFUSED, "the model, or a filter behind it, refused to answer")
        return httpx.Response(
            response.status_code,
            headers=[pair for pair in response.headers.multi_items() if pair[0] not in _REFRAMED],
            content=body,
            request=request,
        )

    def _route(self, request: httpx.Request) -> httpx.AsyncBaseTransport:
        if urllib.request.proxy_bypass(request.url.host) or request.url.host in {
            "127.0.0.1",
            "::1",
            "localhost",
        }:
            return self._direct
        return self._proxied.get(request.url.scheme, self._direct)


_REFRAMED: Final = frozenset({"content-length", "transfer-encoding", "content-encoding"})


def _transport(proxy: str | None) -> httpx.AsyncHTTPTransport:
    # A run has one call under way at a time; the number of runs is bounded by whoever starts them.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    return httpx.AsyncHTTPTransport(limits=limits, proxy=proxy)


async def _read(response: httpx.Response, meter: Meter) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx.DecodingError("the reply is compressed, though it was asked not to be")
    body = bytearray()
    assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 the transport's own promise
    async for chunk in response.stream:
        body += chunk
        if len(body) > meter.max_bytes:
            detail = f"the model's reply is longer than {meter.max_bytes:,} bytes"
            meter.stop(RunOutcome.TOO_LARGE, detail)
            raise httpx.ReadError(detail)
    secret = meter.secret.encode()
    return bytes(body).replace(secret, HIDDEN.encode()) if len(secret) >= SHORTEST_SECRET else bytes(body)


def _noted(status: int, body: bytes) -> Reply:
    text = body[:_KEPT].decode("utf-8", "replace")
    if status != 200:
        return Reply(status, text)
    try:
        choices = _decode(body).choices
    except msgspec.DecodeError:
        return Reply(status, text)
    if not choices:
        return Reply(status, text)
    choice = choices[0]
    message = choice.message or _Message()
    calls = [call.function.arguments for call in message.tool_calls or () if call.function]
    return Reply(
        status,
        text,
        choice.finish_reason,
        refused=bool(message.refusal) or choice.finish_reason == "content_filter",
        ambiguous=any(map(_has_equal_keys, calls)),
    )


def _has_equal_keys(arguments: str) -> bool:
    twice = False

    def pairs(found: list[tuple[str, object]]) -> None:
        nonlocal twice
        twice = twice or len(dict(found)) < len(found)

    try:
        json.loads(arguments, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return False
    return twice
