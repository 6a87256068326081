"""`omoi serve`: the HTTP API on loopback."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

import uvicorn

from omoi_os import logs
from omoi_os.api.app import create_app
from omoi_os.api.origin import is_loopback
from omoi_os.bootstrap import Services
from omoi_os.cli.opening import opened, read_settings
from omoi_os.cli.show import progress
from omoi_os.cli.signals import Held, held
from omoi_os.errors import InvalidInput

GRACE: Final = 10
"""Seconds that requests have to end in when the server is told to end."""


def serve(*, host: str | None = None, port: int | None = None) -> int:
    """Serve the HTTP API on this machine.

    There are no API keys yet, so only loopback addresses are allowed. Reviews that need a judge, and those of
    completed phases, are done by `omoi worker`; `omoi up` runs both.

    Parameters
    ----------
    host
        Address to listen on; 127.0.0.1 unless OMOI_HOST says otherwise.
    port
        Port to listen on; 8420 unless OMOI_PORT says otherwise.
    """
    return serving(host, port)


def serving(
    host: str | None,
    port: int | None,
    beside: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> int:
    """Serve until asked to end.

    Args:
        beside: What runs beside it, from when the database is ready.
    """
    given = {"host": host, "port": port}
    settings = read_settings(**{name: value for name, value in given.items() if value is not None})
    address = settings.host
    if not is_loopback(address):
        raise InvalidInput(
            f"--host {address}: only loopback addresses (127.0.0.1, ::1, localhost) are allowed, "
            "because there are no API keys yet"
        )
    _refuse_busy(address, settings.port)
    logs.configure(json_lines=not sys.stderr.isatty())
    with opened(settings, judges_here=False) as services:
        with progress("preparing the engine"):
            services.requests.engine.prepare()
        with held() as signals, _housekeeping(services), beside():
            shown = f"[{address}]" if ":" in address else address
            print(f"OmoiOS serves http://{shown}:{settings.port}/docs (Ctrl-C ends it)", file=sys.stderr)
            config = uvicorn.Config(
                create_app(services),
                host=address,
                port=settings.port,
                log_level="warning",
                http="httptools",
                ws="none",  # nothing here speaks it, and its refusals are no problem details
                timeout_graceful_shutdown=GRACE,
            )
            StreamingServer(config, signals).run()
    return 0


class StreamingServer(uvicorn.Server):
    """A server that ends its streams and answers who waits when it is told to end; both would hold it."""

    def __init__(self, config: uvicorn.Config, signals: Held) -> None:
        super().__init__(config)
        self._signals = signals

    async def main_loop(self) -> None:
        """Serve, unless it was told to end before it could listen to signals itself."""
        if not self._signals.came:
            await super().main_loop()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.app.state.streams.end()  # type: ignore[union-attr]
        self.config.app.state.waiting.end()  # type: ignore[union-attr]
        await super().shutdown(sockets)


@contextmanager
def _housekeeping(services: Services) -> Iterator[None]:
    """Late tasks end and silent agents lose theirs while the block runs."""
    stop = threading.Event()
    thread = threading.Thread(target=services.housekeeping.run, args=[stop], name="housekeeping")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _refuse_busy(address: str, port: int) -> None:
    """Say that the port is taken, before a database is started and an address announced."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.create_server((address, port), family=family):
            pass
    except OSError as error:
        raise InvalidInput(f"--port {port}: {error.strerror}; choose another port") from None
