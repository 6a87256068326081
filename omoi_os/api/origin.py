"""Only this machine's own programs may call: Host and Origin must name it.

There are no API keys yet. A page in a browser on this machine can send requests here too (also through a
name that resolves to 127.0.0.1), so both headers are checked on every request.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from omoi_os.api.problems import problem


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class LocalOnly:
    """ASGI middleware that refuses other hosts and foreign origins."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := _refusal(Headers(scope=scope))):
            await problem(*refusal)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _refusal(headers: Headers) -> tuple[int, str, str] | None:
    # Of two, one reader takes the first and the next one the last: each must be this machine's.
    if not all(is_loopback(_name(f"//{host}")) for host in headers.getlist("host") or [""]):
        return 421, "call this server as localhost or 127.0.0.1", "foreign_host"
    if not all(is_loopback(_name(origin)) for origin in headers.getlist("origin")):
        return 403, "pages of other origins may not call this server", "foreign_origin"
    return None


def _name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
