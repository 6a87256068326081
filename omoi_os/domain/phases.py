"""The phases of a ticket and the moves between them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

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
