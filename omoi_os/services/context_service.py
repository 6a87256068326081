"""What earlier phases hand on to later ones: gathered, merged, summed up and stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import TupleRow
from sqlalchemy.orm import Session

from omoi_os.domain.context import is_condensed, room_for
from omoi_os.domain.handing_on import (
    GateNotes,
    TaskResult,
    gather,
    is_empty,
    is_gathered,
    with_references,
)
from omoi_os.domain.phases import PHASE_SEQUENCE, WORK_PHASES, Phase, parse_phase
from omoi_os.domain.pieces import MOST_ITEMS
from omoi_os.domain.policy import Policy, SummaryPolicy, built_in
from omoi_os.services.condensing import (
    ALREADY,
    CONDENSED,
    MISSING,
    NOT_ASKED_FOR,
    NOTHING_LEFT_OUT,
    OVERTAKEN,
    Asked,
    Condensing,
    as_payload,
    unanswered,
)
from omoi_os.services.context_summarizer import MAX_TOKENS, ContextSummarizer
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.tickets import check_id, no_ticket
from omoi_os.store import contexts, tickets


class ContextService:
    """Manages cross-phase context aggregation and summarization.

    Args:
        policy: Says how long stored summaries may be, and whether a model is asked.
        condenser: Tells what they leave out; None where no model is configured.
    """

    def __init__(
        self,
        db: DatabaseService,
        *,
        summarizer: ContextSummarizer | None = None,
        policy: Policy | None = None,
        condenser: Asked | None = None,
    ) -> None:
        self.db = db
        self.summarizer = summarizer or ContextSummarizer()
        self.policy = policy or built_in()
        self.condenser = condenser

    def aggregate_phase_context(self, ticket_id: str, phase_id: str) -> dict[str, Any]:
        """What the phase's completed tasks and its gate have to say.

        Returns:
            The shape of `omoi_os.domain.handing_on.gather`, for the newest visit of the phase in which
            anything was completed, with `visit` and `earlier_visits` where there was more than one.

        Raises:
            NotFound: There is no such ticket.
            UnknownPhase: There is no such phase.
        """
        phase = parse_phase(phase_id)
        with self.db.single_statements() as connection:
            return self._gathered(connection, ticket_id, [phase])[phase]

    def summarize_context(self, context: dict[str, Any], max_tokens: int = MAX_TOKENS) -> str:
        """The context in at most `max_tokens` tokens; see `ContextSummarizer.summarize`."""
        return self.summarizer.summarize(_readable(context), max_tokens)

    def get_context_for_phase(self, ticket_id: str, target_phase: str) -> dict[str, Any]:
        """What all phases before `target_phase` hand on to it; nothing of it or of later ones.

        Returns:
            `ticket_id`, `target_phase` and `phases`: by phase, in their order, what
            `aggregate_phase_context` says, without those that have nothing to say.

        Raises:
            NotFound, UnknownPhase: As `aggregate_phase_context`.
        """
        target = parse_phase(target_phase)
        with self.db.single_statements() as connection:
            before = self._before(connection, ticket_id, target)
            gathered = self._gathered(connection, ticket_id, before)
        phases = {phase.value: gathered[phase] for phase in before if not is_empty(gathered[phase])}
        return {"ticket_id": ticket_id, "target_phase": target.value, "phases": phases}

    def summary_for_phase(self, ticket_id: str, target_phase: str, *, session: Session | None = None) -> str:
        """What is stored of the phases before `target_phase`, summed up as long as the policy allows.

        Raises:
            NotFound, UnknownPhase: As `aggregate_phase_context`.
        """
        if session is None:
            with self.db.get_session() as own:
                return self.summary_for_phase(ticket_id, target_phase, session=own)
        connection = driver_connection(session)
        before = self._before(connection, ticket_id, parse_phase(target_phase))
        without = [phase for phase in Phase if phase not in before]
        if (stored := contexts.read_summary(connection, ticket_id, without)) is None:
            raise no_ticket(ticket_id)
        summary, context = stored
        if context is None:
            return summary or ""
        phases = {name: value for name, value in context["phases"].items() if name not in without}
        earlier = {**context, "phases": phases}
        return self.summarize_context(earlier, self._terms(earlier).max_tokens)

    def update_ticket_context(self, ticket_id: str, phase_id: str, *, session: Session | None = None) -> bool:
        """Merge what a phase hands on into the ticket's context, and sum it up; all of it or nothing.

        The summaries are as long as the policy allows. Of two updates at the same moment both survive.
        Calling it again without anything new changes nothing. No model is asked here: see
        `condense_ticket_context`.

        Returns:
            Whether anything was new.

        Raises:
            NotFound, UnknownPhase: As `aggregate_phase_context`.
        """
        if session is None:
            with self.db.get_session() as own:
                return self.update_ticket_context(ticket_id, phase_id, session=own)
        phase = parse_phase(phase_id)
        check_id(ticket_id)
        connection = driver_connection(session)
        if (locked := contexts.lock_context(connection, ticket_id)) is None:
            raise no_ticket(ticket_id)
        of_phase = self._gathered(connection, ticket_id, [phase])[phase]
        context = locked[0] if isinstance(locked[0], dict) else {}
        stored = context.get("phases")
        known: dict[str, Any] = stored if isinstance(stored, dict) else {}
        if is_empty(of_phase) or known.get(phase.value) == of_phase:
            return False
        merged = {**context, "phases": {**known, phase.value: of_phase}}
        summary = self.summarize_context(merged, self._terms(merged).max_tokens)
        own_summary = self.summarize_context(of_phase, self._terms({"phases": {phase.value: 0}}).max_tokens)
        contexts.keep(connection, ticket_id, phase, whole=(merged, summary), of_phase=(of_phase, own_summary))
        return True

    @property
    def condenses(self) -> bool:
        """Whether a model can be asked here, and the policy has it asked after some phase."""
        asks = (self.policy.of(phase).context.condense for phase in WORK_PHASES)
        return self.condenser is not None and any(asks)

    def condense_ticket_context(self, ticket_id: str) -> Condensing:
        """Have a model tell what the ticket's stored summary has no room for, where the policy asks for it.

        To be called after a phase was left. It asks once, for up to a minute, with no transaction open; the
        new summary has the same budget, and is stored with its event, and in the descriptions of tasks that
        nobody has claimed, only if the context is still the one that was condensed. Otherwise, and whatever
        the model does, the structural summary stands.

        Raises:
            NotFound: There is no such ticket.
        """
        check_id(ticket_id)
        with self.db.single_statements() as connection:
            stored = contexts.read_to_condense(connection, ticket_id)
        if stored is None:
            raise no_ticket(ticket_id)
        terms = self._terms(stored.context)
        if not terms.condense:
            return NOT_ASKED_FOR
        if self.condenser is None:
            return MISSING
        if is_condensed(stored.summary):
            return ALREADY
        readable = _readable(stored.context)
        leftover = self.summarizer.left_over(readable, terms.max_tokens)
        if not leftover.items:
            return NOTHING_LEFT_OUT
        answer = self.condenser.ask(leftover, room_for(terms.max_tokens))
        summary = self.summarizer.condensed(readable, terms.max_tokens, leftover, answer.points)
        if summary is None:
            return unanswered(answer)
        with self.db.single_statements() as connection:
            kept = contexts.keep_condensed(connection, ticket_id, stored, summary, as_payload(answer.usage))
        return CONDENSED if kept else OVERTAKEN

    def get_ticket_context(self, ticket_id: str) -> tuple[dict[str, Any], str | None]:
        """The context and the summary that are stored with the ticket.

        Raises:
            NotFound: There is no such ticket.
        """
        check_id(ticket_id)
        with self.db.single_statements() as connection:
            stored = contexts.read_context(connection, ticket_id)
        if stored is None:
            raise no_ticket(ticket_id)
        return stored[0] or {}, stored[1]

    def _terms(self, context: Mapping[str, Any]) -> SummaryPolicy:
        """How the furthest phase that hands something on is to be summed up for the next."""
        stored = context.get("phases")
        known = stored if isinstance(stored, dict) else {}
        furthest = max(filter(known.__contains__, WORK_PHASES), key=WORK_PHASES.index, default=None)
        return SummaryPolicy() if furthest is None else self.policy.of(furthest).context

    def _before(self, connection: Connection[TupleRow], ticket_id: str, target: Phase) -> list[Phase]:
        if target is Phase.BLOCKED:  # as far as the ticket had come
            place = _place(connection, ticket_id)
            target = parse_phase(place.previous or place.current)
            if target is Phase.BLOCKED:
                return []
        return PHASE_SEQUENCE[: PHASE_SEQUENCE.index(target)]

    def _gathered(
        self, connection: Connection[TupleRow], ticket_id: str, phases: Sequence[Phase]
    ) -> dict[Phase, dict[str, Any]]:
        _place(connection, ticket_id)
        found = contexts.of_phases(connection, ticket_id, phases)
        return {
            phase: _of_newest_visit(
                phase,
                found.results.get(phase, ()),
                found.entered.get(phase, ()),
                found.gates.get(phase, GateNotes()),
            )
            for phase in phases
        }


def _place(connection: Connection[TupleRow], ticket_id: str) -> tickets.Place:
    check_id(ticket_id)
    place = tickets.place_of(connection, ticket_id)
    if place is None:
        raise no_ticket(ticket_id)
    return place


def _of_newest_visit(
    phase: Phase, results: Sequence[TaskResult], entered: Sequence[datetime], gate: GateNotes
) -> dict[str, Any]:
    visits = _by_visit(results, entered)
    newest = max(visits, default=1)
    if newest > 1 and (gate.decided_at is None or gate.decided_at < entered[newest - 1]):
        gate = GateNotes()  # of an earlier visit
    context = gather(phase.value, visits.get(newest, ()), gate)
    if newest > 1:
        context["visit"] = newest
    if earlier := {visit: [task.task_id for task in visits[visit]] for visit in visits if visit != newest}:
        context["earlier_visits"] = [
            {"visit": visit, "tasks": ids[-MOST_ITEMS:]}
            for visit, ids in sorted(earlier.items())[-MOST_ITEMS:]
        ]
    return context


def _by_visit(results: Sequence[TaskResult], entered: Sequence[datetime]) -> dict[int, list[TaskResult]]:
    """Results by the visit in which they were completed; what came before the first belongs to it."""
    visits: dict[int, list[TaskResult]] = {}
    for task in results:
        begun = sum(task.completed_at is not None and moment <= task.completed_at for moment in entered)
        visits.setdefault(max(begun, 1), []).append(task)
    return visits


def _readable(context: Mapping[str, Any]) -> dict[str, Any]:
    """A context of one phase or of several with references in place; any other as it is."""
    phases = context.get("phases")
    if not isinstance(phases, dict):
        return _readable_phase(context)
    readable = {
        name: _readable_phase(value) if isinstance(value, dict) else value for name, value in phases.items()
    }
    rest = {name: value for name, value in context.items() if name not in ("ticket_id", "target_phase")}
    return {**rest, "phases": readable}


def _readable_phase(context: Mapping[str, Any]) -> dict[str, Any]:
    return with_references(context) if is_gathered(context) else dict(context)
