"""`omoi worker`: take reviews, and tasks if told to, until asked to end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Annotated

from cyclopts import Parameter

from omoi_os import logs
from omoi_os.cli.opening import opened, read_settings
from omoi_os.cli.signals import Ended, held
from omoi_os.worker.engine import Load
from omoi_os.worker.process import Pace, working


def worker(
    *,
    reviews: int | None = None,
    execute: Annotated[bool, Parameter(negative="")] = False,
    capability: Annotated[list[str] | None, Parameter(negative="")] = None,
    attached: Annotated[bool, Parameter(negative="", show=False)] = False,
) -> int:
    """Do the reviews that phases, people and programs ask for; run as many workers as you like.

    Workers share the database that OMOI_DATABASE_URL names, or the embedded one of this machine. SIGTERM and
    Ctrl-C let a worker finish what it has begun, for OMOI_DRAIN_SECONDS (30); what is left then, another
    one does.

    Parameters
    ----------
    reviews
        How many this worker measures at a time; 16 unless OMOI_WORKER_REVIEWS says otherwise.
    execute
        Also have agents do tasks of tickets, on the model that OMOI_WORKER_MODEL or OMOI_JUDGE_MODEL names.
        They read and write text files of the ticket's workspace; they run nothing.
    capability
        What these agents offer; can be repeated. Left out: what OMOI_WORKER_CAPABILITIES says.
    attached
        End when standard input does: with the process that started this one.
    """
    asked = {"worker_reviews": reviews, "worker_capabilities": capability and ",".join(capability)}
    settings = read_settings(**{name: value for name, value in asked.items() if value is not None})
    logs.configure(json_lines=not sys.stderr.isatty())
    if attached:
        threading.Thread(target=_end_with_input, daemon=True).start()
    load, pace = Load.of(settings, execute=execute), Pace.of(settings)
    with opened(settings) as services, held() as signals, working(services, load, pace) as name:
        what = "reviews and tasks" if execute else "reviews"
        print(f"worker {name} takes {what} (Ctrl-C ends it)", file=sys.stderr)
        with suppress(Ended):
            signals.wait()
        print("worker: finishing what it has begun", file=sys.stderr)
    return 0


def _end_with_input() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
