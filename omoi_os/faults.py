"""Named points at which a process can be made to fail: for tests, and for drills of whoever runs a fleet.

`OMOI_FAULTS="record.before_commit=kill:1,take.after_commit=hang:3"` kills the process when it passes the
first point for the first time, and freezes it when it passes the other one for the third. The environment of
a process says so at its start and nothing else can: no request, row or file reaches this. Without the
variable a point is one look at an empty table.

A point is `<commit>.before_commit`, when everything is said and nothing is sure, or `<commit>.after_commit`,
when it is sure and nobody knows. After `@` may stand what the point has to be about: the id of a review,
task, ticket or worker. Instead of a number, `*` means each time.
"""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import structlog

log = structlog.get_logger(__name__)

VARIABLE: Final = "OMOI_FAULTS"

ROWS: Final = (
    "request",
    "take",
    "stage",
    "hand_on",
    "record",
    "put_off",
    "advance",
    "fix",
    "block",
    "take_over",
    "bring_back",
)
"""Commits of our own rows in the life of a review."""

STEPS: Final = ("collect", "snapshot", "measure", "hand_on", "judge", "record", "give_up", "carry_on")
"""Steps that the engine keeps, as `step_<name>`: it commits what they found after they are done."""

COMMITS: Final = (*ROWS, *(f"step_{name}" for name in STEPS))

POINTS: Final = tuple(f"{commit}.{when}" for commit in COMMITS for when in ("before_commit", "after_commit"))


class Kind(StrEnum):
    """What happens to the process.

    Attributes:
        RAISE: It meets an error.
        KILL: It is gone, as by `kill -9`.
        HANG: It is frozen until somebody sends SIGCONT.
    """

    RAISE = "raise"
    KILL = "kill"
    HANG = "hang"


class FaultInjected(Exception):
    """a fault that was asked for"""


@dataclass(slots=True)
class _Fault:
    kind: Kind
    about: str | None
    passage: int | None
    passed: int = 0


_armed: dict[str, _Fault] = {}
_threads = threading.Lock()


def reached(point: str, about: str | None = None) -> None:
    """Fail, where this process was told to fail here.

    Args:
        about: Id of the review or ticket that is worked on.

    Raises:
        FaultInjected: As told.
    """
    if not _armed:
        return
    fault = _armed.get(point)
    if fault is None or fault.about not in (None, about):
        return
    with _threads:
        fault.passed += 1
        if fault.passage not in (None, fault.passed):
            return
    log.warning("fault_injected", point=point, kind=fault.kind.value, about=about)
    match fault.kind:
        case Kind.RAISE:
            raise FaultInjected(point)
        case Kind.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        case Kind.HANG:
            os.kill(os.getpid(), signal.SIGSTOP)


def arm(text: str) -> None:
    """Make this process fail as `text` says, which has the form of the variable.

    Raises:
        ValueError: It names no point, or cannot be read.
    """
    faults = dict(map(_read, filter(None, text.split(","))))
    _armed.clear()
    _armed.update(faults)


def _read(text: str) -> tuple[str, _Fault]:
    place, _, what = text.strip().partition("=")
    point, _, about = place.partition("@")
    kind, _, passage = what.partition(":")
    if point not in POINTS:
        raise ValueError(f"{VARIABLE}: there is no point {point!r}")
    return point, _Fault(Kind(kind), about or None, None if passage == "*" else int(passage or 1))


arm(os.environ.get(VARIABLE, ""))
