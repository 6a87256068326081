"""Reviews that somebody asks for and a worker does: asked for once, found again, waited for, cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import psycopg
import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from omoi_os import faults
from omoi_os.domain.inputs import digest_of
from omoi_os.domain.phases import parse_phase, phase_at_work
from omoi_os.domain.policy import PHASE_GATE_REQUIREMENTS
from omoi_os.domain.reviews import Cause, Stage
from omoi_os.domain.statuses import Priority
from omoi_os.domain.verdict import Finding, GateStatus, Outcome
from omoi_os.errors import IdempotencyKeyReused, InvalidInput, NotFound, ReviewOver
from omoi_os.models.base import check_text, text_limit
from omoi_os.models.idempotency_key import IdempotencyKey
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.models.task import Task
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.engine import JUDGING, REVIEWS, Engine, Job, NoEngine
from omoi_os.services.gate.record import ABANDONED, without_evidence
from omoi_os.services.paging import check_limit, read_place
from omoi_os.services.phase_gate import PhaseGateService, ReviewTerms
from omoi_os.services.tickets import LONGEST_ID, check_id, no_ticket
from omoi_os.store import dead_ends, gates, idempotency, reviews, tickets

log = structlog.get_logger(__name__)

CANCELLED: Final = Finding(
    "review",
    Outcome.UNKNOWN,
    "review_cancelled",
    "somebody cancelled it",
    "a review that ends",
    fix="Ask for a review again.",
)
AUTOMATIC: Final = "omoi"
"""Who asks where nobody does."""

_AT_ONCE: Final = 100
"""Phases whose work failed, or reviews whose process was lost, that are looked at in one go."""

_URGENCY: Final = {priority.value: place for place, priority in enumerate(Priority, start=1)}


@dataclass(frozen=True, slots=True)
class Asked:
    """How a review is asked for.

    Attributes:
        carry_on: Whether the policy's next thing follows its verdict.
        force: Measure anew even if nothing changed since the last verdict.
        key: The caller's name for this request: saying it again asks nothing new.
    """

    by: str
    carry_on: bool = False
    force: bool = False
    key: str | None = None


@dataclass(frozen=True, slots=True)
class ReviewPage:
    """Some reviews, the newest first, and the cursor of the next page; None at the end."""

    reviews: Sequence[PhaseGateResult]
    next_cursor: str | None


class ReviewRequests:
    """Asks for reviews, and looks after them while they wait and run.

    Args:
        engine: Runs them; without one they wait for a worker that looks for strays.
    """

    def __init__(self, db: DatabaseService, gates: PhaseGateService, *, engine: Engine | None = None) -> None:
        self.db = db
        self.gates = gates
        self.engine: Engine = engine or NoEngine()

    def request(self, ticket_id: str, phase_id: str | None, asked: Asked) -> PhaseGateResult:
        """Have a gate reviewed by a worker; one that is asked for or runs already is the answer.

        One that waits for its next attempt is tried at once.

        Args:
            phase_id: None for the phase in which the ticket is now; if it is blocked, the one it came from.

        Raises:
            NotFound: There is no such ticket.
            UnknownPhase, PhaseHasNoGate: The message lists what can be named.
            IdempotencyKeyReused: The key stands for another request.
        """
        key = _key(ticket_id, phase_id, asked)
        if (known := self._known(key)) is not None:
            return known
        wanted = self._request(ticket_id, phase_id, asked)
        with self.db.get_session() as session:
            review = self._ask(session, wanted, key=key)
            faults.reached("request.before_commit", ticket_id)
        faults.reached("request.after_commit", ticket_id)
        return self._keep_key(key, review)

    def validate(self, ticket_id: str, phase_id: str | None, asked: Asked) -> PhaseGateResult:
        """The verdict where the rules reach one; where a judge has to be asked, a worker does it.

        What follows a verdict that is the answer here, if something is to follow, is the caller's to do
        (`Consequences.follow`); workers do it where that caller is lost.

        Args:
            phase_id: As `request`.

        Raises:
            As `request`, and what `PhaseGateService.validate_gate` does.
        """
        key = _key(ticket_id, phase_id, asked)
        result = self._known(key)
        if result is None:
            result = self._keep_key(key, self._validated(ticket_id, phase_id, asked, key))
        if asked.carry_on and result.gate_status != GateStatus.PENDING:
            with self.db.single_statements() as connection:
                reviews.let_follow(connection, result.id)
        return result

    def hold_phase_of(self, session: Session, task_id: str) -> None:
        """Lock the ticket of a task that is about to end, before the task: see `phase_worked_on`."""
        tickets.hold_of_task(driver_connection(session), task_id)

    def phase_worked_on(self, session: Session, task: Task) -> None:
        """Ask for a review if that task was the last one that was open in its ticket's phase.

        In the transaction that completed it, with the ticket locked: of two last tasks one is later. So it is
        if all that is left has failed for good; the failures themselves are looked for by `at_dead_ends`.
        """
        if not self.phase_entered(session, task.ticket_id, task.phase_id):
            self._at_dead_end(session, task.ticket_id, task.phase_id)

    def phase_entered(self, session: Session, ticket_id: str, phase_id: str) -> bool:
        """Ask for a review if nothing is left to do in a phase; with the ticket, which is in it, locked.

        Returns:
            Whether it asked.
        """
        if phase_id not in PHASE_GATE_REQUIREMENTS:
            return False
        if not gates.is_worked_off(driver_connection(session), ticket_id, phase_id):
            return False
        self._ask_by_itself(session, ticket_id, phase_id, Cause.PHASE_COMPLETED)
        return True

    def at_dead_ends(self) -> int:
        """Ask for reviews of phases in which all that is left has failed for good; returns how many.

        Nobody goes on with such a ticket by itself; its review says so, and a person is asked. One of a phase
        whose policy lets tasks be left holds nothing.
        """
        phases = [phase for phase in PHASE_GATE_REQUIREMENTS if self._wants_all_tasks(phase)]
        with self.db.single_statements() as connection:
            found = dead_ends.find(connection, phases, _AT_ONCE)
        return sum(self._ask_at_dead_end(ticket, phase) for ticket, phase in found)

    def end_abandoned(self) -> int:
        """End reviews whose process was lost, and that nobody else asked for; returns how many."""
        verdict, details = without_evidence(ABANDONED)
        with self.db.single_statements() as connection:
            return sum(
                gates.end_abandoned(connection, ticket, phase, verdict, details)
                for ticket, phase in gates.find_abandoned(connection, _AT_ONCE)
            )

    def again(self, session: Session, review: PhaseGateResult, *, delay: float = 0.0) -> PhaseGateResult:
        """Ask for a review of what changed since one that is to be followed.

        Args:
            delay: Seconds before it begins, if nobody else asked for one.
        """
        return self._ask_by_itself(
            session, review.ticket_id, review.phase_id, Cause.EVIDENCE_CHANGED, delay=delay
        )

    def enqueue(
        self, session: Session, review: PhaseGateResult, *, judges: bool = False, delay: float = 0.0
    ) -> None:
        """Have the engine take a review; `judges` in the queue of those that need a judge."""
        assert review.workflow_id is not None  # noqa: S101 - given when it was asked for
        priority = tickets.priority_of(driver_connection(session), review.ticket_id)
        job = Job(
            "review",
            JUDGING if judges else REVIEWS,
            review.workflow_id,
            (review.id, judges),
            _URGENCY.get(priority or "", 3),
            delay,
            self.gates.longest_review(review.phase_id),
        )
        self.engine.enqueue(session, job)

    def cancel(self, review_id: str, *, cancelled_by: str) -> PhaseGateResult:
        """End a review that is not decided; its judge is stopped, so that it costs no more.

        Raises:
            NotFound: There is no such review.
            ReviewOver: It is decided.
        """
        check_text("cancelled_by", cancelled_by, text_limit(PhaseGateResult.validated_by))
        before = self.find(review_id)
        verdict, details = without_evidence(replace(CANCELLED, found=f"{cancelled_by} cancelled it"))
        with self.db.get_session() as session:
            connection = driver_connection(session)
            tickets.hold(connection, before.ticket_id, alone=True)
            ended = reviews.end(connection, review_id, verdict, details)
            if ended is not None:
                reviews.mark_followed(connection, review_id)
        if ended is None:
            raise ReviewOver(review_id=review_id, gate_status=self.find(review_id).gate_status)
        # The newest one: it may have been handed on since it was looked for.
        if ended.workflow_id is not None:
            self.engine.cancel(ended.workflow_id)
        return ended

    def find(self, review_id: str) -> PhaseGateResult:
        """The review, or the verdict that it came to.

        Raises:
            NotFound: There is none of that id.
        """
        found = self.gates.find_result(review_id)
        if found is None:
            raise NotFound(f"there is no review {review_id[:60]!r}", review_id=review_id[:60])
        return found

    def list(
        self,
        *,
        ticket_id: str | None = None,
        phase_id: str | None = None,
        status: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> ReviewPage:
        """Reviews and verdicts, the newest first.

        Raises:
            InvalidInput: A filter is unknown or cannot be an id, or the cursor was not handed out.
        """
        check_limit(limit)
        if status is not None and status not in list(GateStatus):
            raise InvalidInput(
                f"status: {status[:40]!r} is not one of {', '.join(GateStatus)}", field="status"
            )
        if ticket_id is not None:
            check_text("ticket_id", ticket_id, LONGEST_ID)
        wanted = {
            "ticket": ticket_id,
            "phase": None if phase_id is None else parse_phase(phase_id).value,
            "status": status,
        }
        before = None if cursor is None else read_place(cursor)
        with self.db.single_statements() as connection:
            found = reviews.page(connection, wanted, limit=limit, before=before)
        more = str(found[limit - 1].seq) if len(found) > limit else None
        return ReviewPage(found[:limit], more)

    def _validated(
        self, ticket_id: str, phase_id: str | None, asked: Asked, key: _Key | None
    ) -> PhaseGateResult:
        wanted = self._request(ticket_id, phase_id, asked)

        def hand_over(opened: PhaseGateResult | None) -> PhaseGateResult:
            with self.db.get_session() as session:
                return self._ask(session, wanted, opened=opened, key=key)

        terms = ReviewTerms(validated_by=asked.by, force=asked.force)
        review = self.gates.stages.review(ticket_id, wanted.phase_id, terms)
        result = self.gates.inline.verdict_of_rules(review, hand_over)
        if result.gate_status == GateStatus.PENDING and _wants_more(asked, result):
            # Somebody else's, who has it and may be lost with it: what is wanted must not be lost.
            return hand_over(None)
        return result

    def _ask_at_dead_end(self, ticket_id: str, phase_id: str) -> bool:
        try:
            with self.db.get_session() as session:
                return tickets.hold(driver_connection(session), ticket_id, alone=True) and self._at_dead_end(
                    session, ticket_id, phase_id
                )
        except (OperationalError, psycopg.OperationalError):
            raise  # of no ticket more than of another
        except Exception:  # the others must not wait for this one
            log.exception("dead_end_failed", ticket_id=ticket_id)
            return False

    def _at_dead_end(self, session: Session, ticket_id: str, phase_id: str) -> bool:
        """Ask, with the ticket locked, if it still is one: others may have asked, or tried again."""
        if phase_id not in PHASE_GATE_REQUIREMENTS or not self._wants_all_tasks(phase_id):
            return False
        if not dead_ends.is_one(driver_connection(session), ticket_id, phase_id):
            return False
        self._ask_by_itself(session, ticket_id, phase_id, Cause.WORK_FAILED)
        return True

    def _ask_by_itself(
        self, session: Session, ticket_id: str, phase_id: str, cause: Cause, *, delay: float = 0.0
    ) -> PhaseGateResult:
        wanted = reviews.ReviewRequest(ticket_id, phase_id, AUTOMATIC, cause, carry_on=True, delay=delay)
        return self._ask(session, wanted)

    def _wants_all_tasks(self, phase_id: str) -> bool:
        return self.gates.policies.of(parse_phase(phase_id)).tasks_must_be_completed

    def _ask(
        self,
        session: Session,
        wanted: reviews.ReviewRequest,
        *,
        opened: PhaseGateResult | None = None,
        key: _Key | None = None,
    ) -> PhaseGateResult:
        """Ask in a transaction, and give back `opened`, which the caller had taken."""
        connection = driver_connection(session)
        if not tickets.hold(connection, wanted.ticket_id, alone=True):
            raise no_ticket(wanted.ticket_id)
        if opened is not None:
            reviews.let_go(connection, opened)
        # Whoever said the same at the same moment has asked by now, and perhaps was answered.
        if key is not None and (kept := idempotency.find(connection, key.name)) is not None:
            return self._of_key(key, kept)
        review, new = reviews.request(connection, wanted)
        # Whoever asks in person knows why another attempt may help now.
        if wanted.cause is Cause.REQUEST and review.stage == Stage.WAITING:
            review = reviews.let_go(connection, review) or review
        self.enqueue(session, review, delay=wanted.delay if new else 0.0)
        if key is not None:
            idempotency.keep(connection, key.name, key.request, review.id)
        return review

    def _request(self, ticket_id: str, phase_id: str | None, asked: Asked) -> reviews.ReviewRequest:
        phase = self._current_phase(ticket_id) if phase_id is None else phase_id
        return reviews.ReviewRequest(
            ticket_id,
            self.gates.policies.of(parse_phase(phase)).phase,
            asked.by,
            Cause.REQUEST,
            carry_on=asked.carry_on,
            force=asked.force,
        )

    def _current_phase(self, ticket_id: str) -> str:
        with self.db.single_statements() as connection:
            place = tickets.place_of(connection, ticket_id)
        if place is None:
            raise no_ticket(ticket_id)
        return phase_at_work(place.current, place.previous)

    def _known(self, key: _Key | None) -> PhaseGateResult | None:
        if key is None:
            return None
        with self.db.single_statements() as connection:
            kept = idempotency.find(connection, key.name)
        return None if kept is None else self._of_key(key, kept)

    def _keep_key(self, key: _Key | None, result: PhaseGateResult) -> PhaseGateResult:
        if key is None:
            return result
        with self.db.single_statements() as connection:
            kept = idempotency.keep(connection, key.name, key.request, result.id)
        # Somebody who said the same at the same moment may have been first.
        return result if kept.result_id == result.id else self._of_key(key, kept)

    def _of_key(self, key: _Key, kept: idempotency.KeptKey) -> PhaseGateResult:
        if kept.request != key.request:
            raise IdempotencyKeyReused(key=key.name[:60])
        return self.find(kept.result_id)


@dataclass(frozen=True, slots=True)
class _Key:
    """A caller's name for a request, and the digest of what was said.

    A phase that was left out stays so: when the answer was lost the ticket may have moved on.
    """

    name: str
    request: str


def _key(ticket_id: str, phase_id: str | None, asked: Asked) -> _Key | None:
    """Also looks whether what was said can be kept."""
    check_id(ticket_id)
    check_text("asked_by", asked.by, text_limit(PhaseGateResult.validated_by))
    if asked.key is None:
        return None
    check_text("idempotency_key", asked.key, text_limit(IdempotencyKey.key))
    if not asked.key.strip():
        raise InvalidInput("idempotency_key: write at least one character", field="idempotency_key")
    phase = None if phase_id is None else parse_phase(phase_id).value
    return _Key(asked.key, digest_of([ticket_id, phase, asked.carry_on, asked.force]))


def _wants_more(asked: Asked, running: PhaseGateResult) -> bool:
    is_known = running.requested_at is not None
    return not is_known or (asked.carry_on and not running.carry_on) or (asked.force and not running.force)
