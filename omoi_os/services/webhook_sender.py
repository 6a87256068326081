"""One request to a receiver that an operator named, and that nobody may turn against our own network.

The name is resolved once, every address is checked, and the connection goes to a checked address itself: a
name that answers differently a moment later changes nothing. No redirect is followed and no proxy is used.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from omoi_os.domain.addresses import Target, UrlRefused, is_allowed, read_target
from omoi_os.domain.webhooks import Reply
from omoi_os.errors import WebhookRefused
from omoi_os.logs import redact

SECONDS: Final = 20.0
"""Time of a whole request, from the connection to the end of the reply."""

CONNECTING: Final = 5.0
MOST_ADDRESSES: Final = 2
MOST_BYTES: Final = 16_384
"""Bytes of a reply's body that are read; they are thrown away."""

type Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, by the system."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class WebhookSender:
    """Sends requests.

    Args:
        internal: Private networks, this machine and http are allowed.
    """

    def __init__(
        self,
        *,
        internal: bool = False,
        resolve: Resolve = resolve,
        context: ssl.SSLContext | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._internal = internal
        self._resolve = resolve
        self._context = context or ssl.create_default_context()
        self._seconds = seconds

    def check(self, url: str) -> None:
        """Refuse a URL that nothing will be sent to. A name that does not resolve yet is let pass.

        Raises:
            WebhookRefused: The message says why.
        """
        try:
            self._addresses(read_target(url, internal=self._internal))
        except UrlRefused as refused:
            raise WebhookRefused(f"url: {refused}", field="url") from None
        except (OSError, UnicodeError):
            return

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send one POST request. It never raises for what the receiver or the network does."""
        try:
            target = read_target(url, internal=self._internal)
            return self._exchange(target, self._addresses(target), headers, body)
        except UrlRefused as refused:
            return Reply(None, f"not sent: {refused}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Reply(None, redact(f"no answer: {type(error).__name__}: {error}")[:300])

    def _addresses(self, target: Target) -> Sequence[str]:
        found = self._resolve(target.host, target.port)
        for address in found:
            if not is_allowed(address, internal=self._internal):
                raise UrlRefused("its host has an address that is not of the public internet")
        if not found:
            raise UrlRefused("its host has no address")
        return found[:MOST_ADDRESSES]

    def _exchange(
        self, target: Target, addresses: Sequence[str], headers: Mapping[str, str], body: bytes
    ) -> Reply:
        context = self._context if target.secure else None
        connection = _Pinned(target, addresses, context)
        with _bounded(connection, self._seconds):
            connection.request("POST", target.path, body, dict(headers))
            answer = connection.getresponse()
            answer.read(MOST_BYTES)
            return Reply(answer.status, retry_after=_seconds(answer.headers.get("Retry-After", "")))


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was checked; the name stays in Host, in SNI and for the certificate."""

    def __init__(self, target: Target, addresses: Sequence[str], context: ssl.SSLContext | None) -> None:
        super().__init__(target.host, target.port, timeout=CONNECTING)
        self.default_port = 443 if target.secure else 80  # else Host would name the port
        self._target = target
        self._addresses = addresses
        self._tls = context

    def connect(self) -> None:
        self.sock = self._reach()
        if self._tls is not None:
            # The handshake comes afterwards, so that it can be cut off, too.
            self.sock = self._tls.wrap_socket(
                self.sock, server_hostname=self._target.host, do_handshake_on_connect=False
            )
            self.sock.do_handshake()

    def _reach(self) -> socket.socket:
        for address in self._addresses[:-1]:
            try:
                return socket.create_connection((address, self._target.port), CONNECTING)
            except OSError:
                continue
        return socket.create_connection((self._addresses[-1], self._target.port), CONNECTING)


@contextmanager
def _bounded(connection: _Pinned, seconds: float) -> Iterator[None]:
    """Cut the connection off after so many seconds: a reply that drips meets no timeout of a single read."""

    def cut() -> None:
        if (sock := connection.sock) is not None:
            try:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                return

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        connection.close()


def _seconds(header: str) -> int | None:
    text = header.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None
