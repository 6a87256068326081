"""Reviews whose workflow is gone: ended by an error of its own, deleted, never enqueued, or restored away.

The row is what counts. Whatever happened to the engine's tables, a review that is due and that no workflow
looks after gets another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import uuid4

from dbos import DBOS

from omoi_os import faults
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.review_requests import ReviewRequests
from omoi_os.store import reviews

OLDER: Final = 10.0
"""Seconds after which a review that is due may be a stray."""

_PAGE: Final = 200
_ALIVE: Final = ("ENQUEUED", "DELAYED", "PENDING")


class Strays:
    """Finds them, any number of processes at a time."""

    def __init__(self, db: DatabaseService, requests: ReviewRequests, *, older: float = OLDER) -> None:
        self.db = db
        self.requests = requests
        self.older = older

    def bring_back(self) -> int:
        """Give strays a workflow; returns how many."""
        found, after = 0, 0
        while page := self._page(after):
            alive = _alive(review.workflow_id for review in page if review.workflow_id)
            found += sum(self._bring_back(review) for review in page if review.workflow_id not in alive)
            after = page[-1].seq
        return found

    def _page(self, after: int) -> list[PhaseGateResult]:
        with self.db.single_statements() as connection:
            return reviews.strays(connection, older=self.older, after=after, limit=_PAGE)

    def _bring_back(self, review: PhaseGateResult) -> bool:
        with self.db.get_session() as session:
            connection = driver_connection(session)
            workflow = f"{review.id}:s:{uuid4().hex[:8]}"
            if not reviews.renew_workflow(connection, review, workflow):
                return False
            again = reviews.find(connection, review.id)
            if again is not None:
                self.requests.enqueue(session, again)
            faults.reached("bring_back.before_commit", review.id)
        faults.reached("bring_back.after_commit", review.id)
        return True


def _alive(workflow_ids: Iterable[str]) -> set[str]:
    asked = list(workflow_ids)
    if not asked:
        return set()
    found = DBOS.list_workflows(workflow_ids=asked, status=list(_ALIVE), load_input=False, load_output=False)
    return {workflow.workflow_id for workflow in found}
