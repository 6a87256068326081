"""What earlier phases hand on to later ones: gathered, merged, summed up and stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import TupleRow
from sqlalchemy.orm import Session

from omoi_os.domain.handing_on import GateNotes, TaskResult, gather, is_empty, with_references
from omoi_os.domain.phases import PHASE_SEQUENCE, Phase, parse_phase
from omoi_os.services.context_summarizer import MAX_TOKENS, ContextSummarizer
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.tickets import check_id, no_ticket
from omoi_os.store import contexts, tickets


class ContextService:
    """Manages cross-phase context aggregation and summarization."""

    def __init__(self, db: DatabaseService, *, summarizer: ContextSummarizer | None = None) -> None:
        self.db = db
        self.summarizer = summarizer or ContextSummarizer()

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
        phases = context.get("phases")
        if not isinstance(phases, dict):
            return self.summarizer.summarize(_readable(context), max_tokens)
        readable = {
            name: _readable(value) if isinstance(value, dict) else value for name, value in phases.items()
        }
        rest = {name: value for name, value in context.items() if name not in ("ticket_id", "target_phase")}
        return self.summarizer.summarize({**rest, "phases": readable}, max_tokens)

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

    def update_ticket_context(self, ticket_id: str, phase_id: str, *, session: Session | None = None) -> bool:
        """Merge what a phase hands on into the ticket's context, and sum it up; all of it or nothing.

        Of two updates at the same moment both survive. Calling it again without anything new changes
        nothing.

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
        summary = self.summarize_context(merged)
        own_summary = self.summarize_context(of_phase)
        contexts.keep(connection, ticket_id, phase, whole=(merged, summary), of_phase=(of_phase, own_summary))
        return True

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
    context = gather(phase.value, visits.get(newest, ()), gate)
    if newest > 1:
        context["visit"] = newest
    if earlier := {visit: [task.task_id for task in visits[visit]] for visit in visits if visit != newest}:
        context["earlier_visits"] = [{"visit": visit, "tasks": ids} for visit, ids in sorted(earlier.items())]
    return context


def _by_visit(results: Sequence[TaskResult], entered: Sequence[datetime]) -> dict[int, list[TaskResult]]:
    """Results by the visit in which they were completed; what came before the first belongs to it."""
    visits: dict[int, list[TaskResult]] = {}
    for task in results:
        begun = sum(task.completed_at is not None and moment <= task.completed_at for moment in entered)
        visits.setdefault(max(begun, 1), []).append(task)
    return visits


def _readable(context: Mapping[str, Any]) -> dict[str, Any]:
    """A phase's context with its references in place; any other context as it is."""
    return with_references(context) if isinstance(context.get("sources"), dict) else dict(context)
