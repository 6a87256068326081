"""Starts `omoi` commands by forking, with everything loaded: a killed worker is back in a tenth of a second.

Reads a JSON line per command and answers with its pid; tells of each one that ended. Ends with its input, and
with it end those that still run.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import select
import signal
import sys
from typing import Any

import omoi_os.cli.serve
import omoi_os.cli.worker
import omoi_os.worker.reviews  # noqa: F401
from omoi_os import faults
from omoi_os.cli import main


def serve() -> dict[str, Any] | None:
    """Fork as told; returns in each child, with what it was told, and here at the end."""
    running: set[int] = set()
    gc.freeze()
    buffer = b""
    while True:
        ready, _, _ = select.select([0], [], [], 0.02)
        if ready:
            read = os.read(0, 65536)
            if not read:
                for pid in running:
                    os.kill(pid, signal.SIGKILL)
                return None
            buffer += read
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            told = json.loads(line)
            if (pid := os.fork()) == 0:
                return dict(told)
            running.add(pid)
            print(json.dumps({"started": pid}), flush=True)
        while running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            running.discard(pid)
            print(json.dumps({"ended": pid, "code": os.waitstatus_to_exitcode(status)}), flush=True)


def become(told: dict[str, Any]) -> None:
    """Be the command, in its own environment, folder and session."""
    os.setsid()
    os.chdir(told["cwd"])
    os.environ.clear()
    os.environ.update(told["environment"])
    log = os.open(told["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in ((0, nothing), (1, log), (2, log)):
        os.dup2(descriptor, number)
    gc.unfreeze()
    faulthandler.register(signal.SIGUSR1)  # where it hangs, for a test that fails
    faults.arm(os.environ.get(faults.VARIABLE, ""))
    sys.argv = ["omoi", *told["arguments"]]
    main()


if __name__ == "__main__" and (order := serve()) is not None:
    become(order)
