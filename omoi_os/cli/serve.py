"""`omoi serve`: the HTTP API on loopback."""

from __future__ import annotations

import sys

import uvicorn

from omoi_os import logs
from omoi_os.api.app import create_app
from omoi_os.api.origin import is_loopback
from omoi_os.bootstrap import open_services
from omoi_os.errors import InvalidInput
from omoi_os.settings import Settings


def serve(*, host: str | None = None, port: int | None = None) -> int:
    """Serve the HTTP API on this machine.

    There are no API keys yet, so only loopback addresses are allowed.

    Parameters
    ----------
    host
        Address to listen on; 127.0.0.1 unless OMOI_HOST says otherwise.
    port
        Port to listen on; 8420 unless OMOI_PORT says otherwise.
    """
    settings = Settings()
    address = host or settings.host
    if not is_loopback(address):
        raise InvalidInput(
            f"--host {address}: only loopback addresses (127.0.0.1, ::1, localhost) are allowed, "
            "because there are no API keys yet"
        )
    logs.configure(json_lines=not sys.stderr.isatty())
    with open_services(settings) as services:
        shown = f"[{address}]" if ":" in address else address
        chosen = settings.port if port is None else port
        print(f"OmoiOS serves http://{shown}:{chosen}/docs (Ctrl-C ends it)", file=sys.stderr)
        uvicorn.run(create_app(services), host=address, port=chosen, log_level="warning", http="httptools")
    return 0
