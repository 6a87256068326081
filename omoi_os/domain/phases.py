"""The phases of a ticket and the moves between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from omoi_os.domain.statuses import TicketStatus
from omoi_os.errors import UnknownPhase


class Phase(StrEnum):
    """A stage of a ticket's life. The values are stored and appear in the API."""

    BACKLOG = "PHASE_BACKLOG"
    REQUIREMENTS = "PHASE_REQUIREMENTS"
    DESIGN = "PHASE_DESIGN"
    IMPLEMENTATION = "PHASE_IMPLEMENTATION"
    TESTING = "PHASE_TESTING"
    DEPLOYMENT = "PHASE_DEPLOYMENT"
    DONE = "PHASE_DONE"
    BLOCKED = "PHASE_BLOCKED"


PHASE_SEQUENCE: Final[list[Phase]] = [
    Phase.BACKLOG,
    Phase.REQUIREMENTS,
    Phase.DESIGN,
    Phase.IMPLEMENTATION,
    Phase.TESTING,
    Phase.DEPLOYMENT,
    Phase.DONE,
]

PHASE_TRANSITIONS: Final[dict[Phase, list[Phase]]] = {
    Phase.BACKLOG: [Phase.REQUIREMENTS, Phase.BLOCKED],
    Phase.REQUIREMENTS: [Phase.DESIGN, Phase.BLOCKED],
    Phase.DESIGN: [Phase.IMPLEMENTATION, Phase.BLOCKED],
    Phase.IMPLEMENTATION: [Phase.TESTING, Phase.BLOCKED],
    Phase.TESTING: [Phase.DEPLOYMENT, Phase.IMPLEMENTATION, Phase.BLOCKED],
    Phase.DEPLOYMENT: [Phase.DONE, Phase.BLOCKED],
    Phase.DONE: [],
    Phase.BLOCKED: [
        Phase.BACKLOG,
        Phase.REQUIREMENTS,
        Phase.DESIGN,
        Phase.IMPLEMENTATION,
        Phase.TESTING,
        Phase.DEPLOYMENT,
    ],
}

WORK_PHASES: Final = tuple(PHASE_SEQUENCE[1:-1])
"""Phases in which tasks are done."""


@dataclass(frozen=True, slots=True)
class Move:
    """A move that somebody asks for.

    Attributes:
        artifacts: What the mover points at; kept in the history, no evidence for a gate.
        force: Past the gate and the map; only with a reason.
    """

    to_phase: str
    reason: str
    moved_by: str
    artifacts: dict[str, Any] | list[Any] | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """A move that was made.

    Attributes:
        moved_at: By the database's clock.
        gate_result_id: The verdict that opened the gate, where one was needed.
    """

    ticket_id: str
    from_phase: Phase
    to_phase: Phase
    moved_at: datetime
    moved_by: str
    forced: bool
    gate_result_id: str | None


def parse_phase(name: str) -> Phase:
    """The phase called `name`: its value, or its short name in any case ("testing").

    Raises:
        UnknownPhase: The message lists the phases.
    """
    wanted = name.strip().upper()
    for phase in Phase:
        if wanted in (phase.value, phase.name):
            return phase
    known = ", ".join(phase.name.lower() for phase in Phase)
    raise UnknownPhase(f"there is no phase {name[:60]!r}; the phases are {known}", phase=name[:60])


def is_forward(origin: Phase, target: Phase) -> bool:
    """Whether the move leaves `origin` towards DONE: only such moves pass a gate."""
    if origin not in PHASE_SEQUENCE or target not in PHASE_SEQUENCE:
        return False
    return PHASE_SEQUENCE.index(target) > PHASE_SEQUENCE.index(origin)


def gone_back_over(origin: Phase, target: Phase) -> tuple[Phase, ...]:
    """The phases whose work a move takes back: from `target` up to `origin`; none for any other move."""
    if not is_forward(target, origin):
        return ()
    return tuple(PHASE_SEQUENCE[PHASE_SEQUENCE.index(target) : PHASE_SEQUENCE.index(origin) + 1])


def allowed_moves(current: Phase, previous: str | None) -> tuple[Phase, ...]:
    """Where a ticket may go that is in `current` and was in `previous` before.

    A blocked ticket goes back to the phase that it left; one that never was anywhere has passed no gate yet
    and begins in BACKLOG.
    """
    targets = PHASE_TRANSITIONS[current]
    if current is Phase.BLOCKED:
        targets = [phase for phase in targets if phase == (previous or Phase.BACKLOG)]
    return tuple(targets)


def phase_at_work(current: str, previous: str | None) -> str:
    """The phase whose gate counts: of a blocked ticket the one that it came from."""
    return previous if current == Phase.BLOCKED and previous else current


def refusal(current: Phase, previous: str | None, target: Phase) -> str:
    """Why a ticket may not move to `target`, in one sentence; "" where it may."""
    allowed = allowed_moves(current, previous)
    if target in allowed:
        return ""
    options = ", ".join(phase.value for phase in allowed) or "nowhere"
    return f"a ticket in {current.value} cannot move to {target.value}; it can move to {options}"


def status_in(phase: Phase) -> TicketStatus:
    """How a ticket in `phase` stands."""
    if phase is Phase.BACKLOG:
        return TicketStatus.PENDING
    return TicketStatus.COMPLETED if phase is Phase.DONE else TicketStatus.IN_PROGRESS
