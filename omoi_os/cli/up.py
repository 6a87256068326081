"""`omoi up`: everything that one machine needs, in one command."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Final

import structlog
from cyclopts import Parameter

from omoi_os.cli.opening import read_settings
from omoi_os.cli.serve import serving
from omoi_os.services.worker_agent import Hands

log = structlog.get_logger(__name__)

_COMMAND: Final = (sys.executable, "-m", "omoi_os.cli", "worker", "--attached")
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_LONG_ENOUGH: Final = 60.0
"""Seconds after which a worker that ended was not one that cannot begin."""


def up(
    *,
    host: str | None = None,
    port: int | None = None,
    workers: int = 1,
    execute: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Serve the HTTP API, with a database and workers: all that one machine needs.

    Reviews run in processes of their own, and a worker that ends is started again. For several machines, set
    OMOI_DATABASE_URL and run `omoi serve` and as many `omoi worker` as you like.

    Parameters
    ----------
    host
        Address to listen on; 127.0.0.1 unless OMOI_HOST says otherwise.
    port
        Port to listen on; 8420 unless OMOI_PORT says otherwise.
    workers
        How many; one is enough for a few reviews a second.
    execute
        Also have agents do tasks of tickets, as `omoi worker --execute` does.
    """
    command = [*_COMMAND, *(["--execute"] if execute else [])]
    if execute:
        Hands.of(read_settings())  # without a model the workers would end, each time again
    return serving(host, port, beside=lambda: _workers(workers, command))


@contextmanager
def _workers(number: int, command: Sequence[str]) -> Iterator[None]:
    stop = threading.Event()
    threads = [
        threading.Thread(target=_supervise, args=[command, stop], name="worker") for _ in range(number)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _supervise(command: Sequence[str], stop: threading.Event) -> None:
    """Keep one worker running until `stop` is set."""
    pause = _FIRST_PAUSE
    while not stop.is_set():
        started = time.monotonic()
        code = _run(command, stop)
        if stop.is_set():
            return
        pause = _FIRST_PAUSE if time.monotonic() - started > _LONG_ENOUGH else min(2 * pause, _LONGEST_PAUSE)
        log.warning("worker_ended", exit_code=code, again_in=pause)
        stop.wait(pause)


def _run(command: Sequence[str], stop: threading.Event) -> int:
    # A session of its own: Ctrl-C reaches this process, which ends the worker in its own time.
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
        while process.poll() is None:
            if stop.wait(0.2):
                break
        # The end of its standard input tells the worker to end; so does the end of this process.
    return process.returncode
