"""Reviews in the process of whoever asks: at once, or with a row that says that one is running."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import psycopg
import structlog
from psycopg import Connection
from psycopg.rows import TupleRow
from sqlalchemy.exc import SQLAlchemyError

from omoi_os.domain.reviews import Again, Tried, again
from omoi_os.domain.verdict import GateStatus
from omoi_os.models.base import new_id
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.services.database import driver_connection
from omoi_os.services.gate.ground import reads_workspace
from omoi_os.services.gate.record import ABANDONED, RESTLESS, without_evidence
from omoi_os.services.gate.stages import DECIDED, Review, ReviewStages
from omoi_os.services.tickets import no_ticket
from omoi_os.store import gates, reviews, tickets
from omoi_os.store.gates import Decision, GateInput

log = structlog.get_logger(__name__)

ATTEMPTS: Final = 3
"""Reviews of one gate before evidence that changes all the time makes it inconclusive."""

_SHORTEST_BEAT: Final = 0.05

type HandOver = Callable[[PhaseGateResult | None], PhaseGateResult]
"""Has a judge asked elsewhere: about the review that was opened here, or about none."""


class _JudgeIsNeeded(Exception):
    """The rules leave the gate open, and whoever asked wants no judge asked here."""


@dataclass(frozen=True, slots=True)
class InlineReviews:
    """Decides gates while the caller waits.

    Attributes:
        lease: Seconds after which somebody else may take over a review whose process was lost.
    """

    stages: ReviewStages
    lease: float

    def verdict(self, review: Review) -> PhaseGateResult:
        """The verdict: the last one while nothing changed, else a new one."""
        given = self.stages.read(review.question)
        if (known := self._unchanged(review, given)) is not None:
            return known
        if self.stages.takes_long(review, given):
            return self._in_the_open(review)
        return self._attempts(review, None)

    def verdict_of_rules(self, review: Review, otherwise: HandOver) -> PhaseGateResult:
        """The verdict where no judge has to be asked for it, else what `otherwise` makes of the review."""
        given = self.stages.read(review.question)
        if (known := self._unchanged(review, given)) is not None:
            return known
        if reads_workspace(review.policy, given):
            return self._in_the_open(review, otherwise)
        try:
            return self._attempts(review, None, judges=False)
        except _JudgeIsNeeded:
            return otherwise(None)

    def _unchanged(self, review: Review, given: GateInput) -> PhaseGateResult | None:
        if review.terms.force or given.latest is None or given.latest.status not in DECIDED:
            return None
        if given.uncollected or self.stages.changes(review, given):
            return None
        with self.stages.db.single_statements() as connection:
            return gates.find_result(connection, given.latest.id)

    def _in_the_open(self, review: Review, otherwise: HandOver | None = None) -> PhaseGateResult:
        """A review that takes long: there is a row of it from its beginning, and no second one."""
        verdict, details = without_evidence(ABANDONED)
        ended = Decision(review.question, verdict, review.terms.validated_by, None, details)
        by = review.terms.validated_by
        with self.stages.db.single_statements() as connection:
            opened = gates.open_review(connection, review.question, by, self.lease, ended)
            if opened is None:
                return self._running(connection, review)
        try:
            with self._lease_of(opened):
                return self._attempts(review, opened, judges=otherwise is None)
        except _JudgeIsNeeded:
            assert otherwise is not None  # noqa: S101 - else a judge is asked here
            return otherwise(opened)
        except BaseException:
            self._record(review, replace(ended, review_id=opened.id, run=opened.run), abandoned=True)
            raise

    @contextmanager
    def _lease_of(self, opened: PhaseGateResult) -> Iterator[None]:
        """Renew it while the block runs, which may take as long as it takes; a lost process is soon known."""
        done = threading.Event()
        thread = threading.Thread(target=self._renew, args=[opened, done], name="review-lease")
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _renew(self, opened: PhaseGateResult, done: threading.Event) -> None:
        while not done.wait(max(self.lease / 4, _SHORTEST_BEAT)):
            try:
                with self.stages.db.single_statements() as connection:
                    if not gates.renew_lease(connection, opened, self.lease):
                        return
            except (SQLAlchemyError, psycopg.Error) as error:  # the next beat may be in time
                log.warning("lease_not_renewed", review_id=opened.id, error=type(error).__name__)

    def _running(self, connection: Connection[TupleRow], review: Review) -> PhaseGateResult:
        question = review.question
        running = gates.open_one(connection, question.ticket_id, question.phase_id)
        # It may have ended between the two looks.
        found = running or gates.latest_result(connection, question.ticket_id, question.phase_id)
        if found is None:
            raise no_ticket(question.ticket_id)
        return found

    def _attempts(
        self, review: Review, opened: PhaseGateResult | None, *, judges: bool = True
    ) -> PhaseGateResult:
        for _ in range(ATTEMPTS):
            decision = self._decision(review, opened, judges=judges)
            if decision is not None and (result := self._record(review, decision)) is not None:
                return result
            if opened is not None and not self._has(opened):
                with self.stages.db.single_statements() as connection:
                    return self._running(connection, review)
        verdict, details = without_evidence(RESTLESS)
        restless = Decision(review.question, verdict, review.terms.validated_by, None, details)
        if opened is not None:
            restless = replace(restless, review_id=opened.id, run=opened.run)
        if (result := self._record(review, restless)) is not None:
            return result
        with self.stages.db.single_statements() as connection:
            return self._running(connection, review)

    def _decision(self, review: Review, opened: PhaseGateResult | None, *, judges: bool) -> Decision | None:
        """Measure, decide by the rules, and ask the judge about what they leave open.

        Returns:
            None where the workspace changed meanwhile: who asked since asked about what is there now.
        """
        stages = self.stages
        given = stages.read(review.question)
        name = opened.id if opened is not None else new_id()
        with stages.source(review, given, name) as (source, ground):
            measured = stages.measure(review, given, source, ground)
            if not measured.asks:
                judged = measured.unjudged
            elif judges:
                judged = stages.judge(review, given, measured, source, opened)
            else:
                raise _JudgeIsNeeded
        if not stages.stands(review, given, measured):
            return None
        return stages.decision(review, given, measured, judged, opened)

    def _record(
        self, review: Review, decision: Decision, *, abandoned: bool = False
    ) -> PhaseGateResult | None:
        """Write the verdict down; a review that somebody asked for is given back where it is to go on.

        Args:
            abandoned: The decision only says that nobody came to an end here.
        """
        db = self.stages.db
        if decision.review_id is None:
            with db.single_statements() as connection:
                return gates.record_result(connection, decision)
        with db.get_session() as session:
            connection = driver_connection(session)
            # Whoever asks for a review meanwhile waits here, and then finds it decided.
            tickets.hold(connection, decision.question.ticket_id, alone=True)
            now = reviews.find(connection, decision.review_id)
            later = None if now is None else _again(now, review, decision, abandoned=abandoned)
            if now is None or later is None:
                return gates.record_result(connection, decision)
            reviews.let_go(connection, now, counts=later.counts)
            return reviews.find(connection, now.id)

    def _has(self, opened: PhaseGateResult) -> bool:
        with self.stages.db.single_statements() as connection:
            now = reviews.find(connection, opened.id)
        return now is not None and now.gate_status == GateStatus.PENDING and now.run == opened.run


def _again(now: PhaseGateResult, review: Review, decision: Decision, *, abandoned: bool) -> Again | None:
    """How a review is the workers' to go on with: they were asked, and another attempt may help."""
    if now.requested_at is None or now.gate_status != GateStatus.PENDING or now.run != decision.run:
        return None
    if decision.verdict.status is not GateStatus.INCONCLUSIVE:
        return None
    if abandoned:
        return Again(0.0, counts=False)
    can_retry = bool((decision.details.get("judge") or {}).get("can_retry"))
    tried, code = Tried(now.attempt, now.waits), decision.verdict.code
    return again(code, tried, review.policy, 1.0, can_retry=can_retry)
