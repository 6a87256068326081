"""What is over is forgotten after a while: the engine's record of workflows, and idempotency keys.

Verdicts, history and events stay.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from dbos import DBOS

from omoi_os.bootstrap import Services
from omoi_os.store import idempotency

KEYS: Final = 24 * 3600.0
"""Seconds for which an idempotency key stands for its request."""

_MOST: Final = 1_000
_OVER: Final = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


def sweep_of(services: Services) -> Callable[[], int]:
    """One round: forgets at most a thousand of each."""

    def sweep() -> int:
        with services.db.single_statements() as connection:
            forgotten = idempotency.forget(connection, older=KEYS, limit=_MOST)
        services.webhooks.forget()
        return forgotten + forget_workflows(services.settings.keep_workflows_hours * 3600)

    return sweep


def forget_workflows(older: float) -> int:
    """Delete the engine's record of workflows that were over before so many seconds."""
    before = datetime.fromtimestamp(time.time() - older, UTC).isoformat()
    found = DBOS.list_workflows(
        status=list(_OVER), completed_before=before, limit=_MOST, load_input=False, load_output=False
    )
    if found:
        DBOS.delete_workflows([workflow.workflow_id for workflow in found])
    return len(found)
