"""What a command's exit code says."""

from __future__ import annotations

from enum import IntEnum

from omoi_os.domain.verdict import GateStatus


class Exit(IntEnum):
    """Exit codes; scripts rely on them."""

    PASSED = 0
    BLOCKED = 1
    USAGE = 2
    INCONCLUSIVE = 3
    NOT_ALLOWED = 4
    NO_VERDICT = 5
    PENDING = 8


def exit_for(gate_status: str) -> Exit:
    """The exit code of a verdict; whatever is not known is no verdict."""
    match gate_status:
        case GateStatus.PASSED:
            return Exit.PASSED
        case GateStatus.FAILED:
            return Exit.BLOCKED
        case GateStatus.INCONCLUSIVE:
            return Exit.INCONCLUSIVE
        case GateStatus.PENDING:
            return Exit.PENDING
        case _:
            return Exit.NO_VERDICT
