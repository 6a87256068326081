"""`omoi worker`: take reviews until asked to end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import ExitStack, suppress
from typing import Annotated

from cyclopts import Parameter

from omoi_os import logs
from omoi_os.cli.opening import opened, read_settings
from omoi_os.worker.engine import Load
from omoi_os.worker.process import Pace, working


def worker(
    *,
    reviews: int | None = None,
    attached: Annotated[bool, Parameter(negative="", show=False)] = False,
) -> int:
    """Do the reviews that phases, people and programs ask for; run as many workers as you like.

    Workers share the database that OMOI_DATABASE_URL names, or the embedded one of this machine. SIGTERM and
    Ctrl-C let a worker finish what it has begun, for 30 seconds; what is left then, another one does.

    Parameters
    ----------
    reviews
        How many this worker measures at a time; 16 unless OMOI_WORKER_REVIEWS says otherwise.
    attached
        End when standard input does: with the process that started this one.
    """
    settings = read_settings(**({} if reviews is None else {"worker_reviews": reviews}))
    logs.configure(json_lines=not sys.stderr.isatty())
    if attached:
        threading.Thread(target=_end_with_input, daemon=True).start()
    with ExitStack() as stack:
        services = stack.enter_context(opened(settings))
        name = stack.enter_context(working(services, Load.of(settings), Pace.of(settings)))
        print(f"worker {name} takes reviews (Ctrl-C ends it)", file=sys.stderr)
        with suppress(KeyboardInterrupt, SystemExit):
            threading.Event().wait()
        print("worker: finishing what it has begun", file=sys.stderr)
    return 0


def _end_with_input() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
