"""Tickets and the artifacts that people and tools attach to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy.orm import Session

from omoi_os.domain.phases import Phase, parse_phase, status_in
from omoi_os.domain.statuses import Priority, TicketStatus
from omoi_os.domain.storable import problem_in_text
from omoi_os.domain.tasks import read_priority
from omoi_os.errors import InvalidInput, NotFound, WorkspaceNotAllowed
from omoi_os.models.event import Event
from omoi_os.models.phase_gate_artifact import PhaseGateArtifact
from omoi_os.models.phase_history import PhaseHistory
from omoi_os.models.ticket import Ticket
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.paging import check_limit, read_cursor, read_place, write_cursor
from omoi_os.store import tickets
from omoi_os.store.tickets import Page

LONGEST_ID: Final = 200


@dataclass(frozen=True, slots=True)
class NewTicket:
    """What a ticket is made from.

    Attributes:
        workspace: Folder of the work; None where evidence comes inline only.
    """

    title: str
    description: str | None = None
    phase_id: str = Phase.BACKLOG
    priority: str = Priority.MEDIUM
    workspace: Path | None = None


@dataclass(frozen=True, slots=True)
class MovePage:
    """Some moves of a ticket, and the cursor of the next page; None at the end."""

    moves: list[PhaseHistory]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class NewArtifact:
    """An artifact to attach; `path` or `content` must be there.

    Attributes:
        phase_id: None for the ticket's current phase.
    """

    type: str
    path: str | None = None
    content: dict[str, Any] | None = None
    phase_id: str | None = None


class TicketService:
    """Creates and finds tickets, and attaches artifacts.

    Args:
        workspace_roots: Folders under which a workspace may lie. The server reads files there on
            behalf of whoever can reach it, so it is the operator who names them.
    """

    def __init__(self, db: DatabaseService, *, workspace_roots: Sequence[Path] = ()) -> None:
        self.db = db
        self.workspace_roots = tuple(workspace_roots)

    def create(self, new: NewTicket, *, created_by: str = "operator") -> Ticket:
        """Make a ticket and its event.

        Raises:
            InvalidInput: A text is empty or too long, a phase or priority is unknown, or the workspace
                is not a folder under one of the roots.
        """
        if not new.title.strip():
            raise InvalidInput("title: a ticket needs a title", field="title")
        phase = parse_phase(new.phase_id)
        if phase in (Phase.BLOCKED, Phase.DONE):
            raise InvalidInput(f"phase_id: a ticket cannot begin in {phase.value}", field="phase_id")
        ticket = Ticket(
            title=new.title,
            description=new.description,
            phase_id=phase,
            status=status_in(phase),
            priority=read_priority(new.priority),
            workspace_path=self._workspace(new.workspace),
        )
        with self.db.get_session() as session:
            session.add(ticket)
            session.flush()  # the event names the ticket's id
            _tell(session, "ticket.created", ticket.id, {"title": ticket.title, "by": created_by})
        return ticket

    def get(self, ticket_id: str) -> Ticket:
        """The ticket.

        Raises:
            NotFound: There is no such ticket.
        """
        with self.db.get_session() as session:
            return _find(session, ticket_id)

    def list(
        self,
        *,
        phase_id: str | None = None,
        status: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Tickets without their contexts (which may be large), the newest first.

        Raises:
            InvalidInput: The limit is not from 1 to 1,000, the cursor is not one that was handed out, or a
                filter is unknown.
        """
        check_limit(limit)
        phase = parse_phase(phase_id) if phase_id is not None else None
        if status is not None and status not in list(TicketStatus):
            raise InvalidInput(
                f"status: {status[:40]!r} is not one of {', '.join(TicketStatus)}", field="status"
            )
        with self.db.get_session() as session:
            return tickets.page(session, phase, status, limit, read_cursor(cursor))

    def history(self, ticket_id: str, *, limit: int = 50, cursor: str | None = None) -> MovePage:
        """Moves of the ticket, the first one first.

        Raises:
            NotFound: There is no such ticket.
            InvalidInput: The limit is not from 1 to 1,000, or the cursor is not one that was handed out.
        """
        check_limit(limit)
        check_id(ticket_id)
        after = read_place(cursor)
        with self.db.get_session() as session:
            if tickets.place_of(driver_connection(session), ticket_id) is None:
                raise no_ticket(ticket_id)
            found = tickets.moves(session, ticket_id, limit, after)
        return MovePage(found[:limit], str(found[limit - 1].seq) if len(found) > limit else None)

    def add_artifact(self, ticket_id: str, new: NewArtifact, *, collected_by: str) -> PhaseGateArtifact:
        """Attach an artifact; the newest of a type is the one that is reviewed.

        Raises:
            NotFound: There is no such ticket.
            InvalidInput: There is neither a path nor content, or one of them cannot be stored.
        """
        if not (type_ := new.type.strip()):
            raise InvalidInput("artifact_type: an artifact needs a type", field="artifact_type")
        if not new.path and not new.content:
            raise InvalidInput(
                "an artifact needs artifact_path (in the ticket's workspace) or artifact_content",
                field="artifact_content",
            )
        with self.db.get_session() as session:
            ticket = _find(session, ticket_id)
            artifact = PhaseGateArtifact(
                ticket_id=ticket.id,
                phase_id=parse_phase(new.phase_id) if new.phase_id else ticket.phase_id,
                artifact_type=type_,
                artifact_path=new.path or None,
                artifact_content=new.content,
                collected_at=tickets.now(session),
                collected_by=collected_by,
            )
            session.add(artifact)
            session.flush()  # the event names the artifact's id
            _tell(
                session,
                "artifact.added",
                ticket.id,
                {"artifact_id": artifact.id, "artifact_type": type_, "phase_id": artifact.phase_id},
            )
            session.refresh(artifact)  # seq and digest come from the database
        return artifact

    def for_folder(self, new: NewTicket) -> Ticket:
        """The ticket of that title and workspace, made where there is none yet."""
        with self.db.get_session() as session:
            known = tickets.of_folder(session, new.title, self._workspace(new.workspace))
        return known or self.create(new)

    def attach_if_changed(self, ticket_id: str, new: NewArtifact, *, collected_by: str) -> str:
        """Attach an artifact, unless the newest of its type says the same; its id either way."""
        with self.db.get_session() as session:
            ticket = _find(session, ticket_id)
            phase = parse_phase(new.phase_id) if new.phase_id else Phase(ticket.phase_id)
            newest = tickets.newest_artifact(session, ticket_id, phase, new.type)
        if newest is not None and (newest.artifact_path, newest.artifact_content) == (new.path, new.content):
            return newest.id
        return self.add_artifact(ticket_id, new, collected_by=collected_by).id

    def _workspace(self, workspace: Path | None) -> str | None:
        if workspace is None:
            return None
        if problem := problem_in_text(str(workspace), 4096):
            raise WorkspaceNotAllowed(f"workspace_path: {problem}")
        try:
            resolved = workspace.resolve()
            is_folder = resolved.is_dir()
        except (OSError, RuntimeError):  # a name that is too long, or links in a circle
            is_folder = False
        if not is_folder:
            raise WorkspaceNotAllowed(f"workspace_path: {str(workspace)[:200]!r} is not a folder here")
        if not any(resolved.is_relative_to(root) for root in self.workspace_roots):
            roots = ", ".join(map(str, self.workspace_roots)) or "none is set"
            raise WorkspaceNotAllowed(
                f"workspace_path: it must lie under a folder that the operator allows ({roots}); "
                "set OMOI_WORKSPACE_ROOTS to allow others"
            )
        return str(resolved)


def no_ticket(ticket_id: str) -> NotFound:
    """The error for a ticket that is not there."""
    return NotFound(f"there is no ticket {ticket_id[:60]!r}", ticket_id=ticket_id[:60])


def check_id(ticket_id: str) -> None:
    """Raise `NotFound` for an id that no row can have, before the driver refuses it."""
    if problem_in_text(ticket_id, LONGEST_ID):
        raise no_ticket(ticket_id)


def _find(session: Session, ticket_id: str) -> Ticket:
    check_id(ticket_id)
    ticket = session.get(Ticket, ticket_id)
    if ticket is None:
        raise no_ticket(ticket_id)
    return ticket


def _tell(session: Session, event_type: str, ticket_id: str, payload: dict[str, Any]) -> None:
    session.add(Event(event_type=event_type, entity_type="ticket", entity_id=ticket_id, payload=payload))


def next_cursor(page: Page) -> str | None:
    """The cursor that continues after `page`; None at the end."""
    if not page.more:
        return None
    last = page.tickets[-1]
    return write_cursor(last.created_at, last.id)
