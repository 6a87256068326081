"""Makes the tasks of a phase from its templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from omoi_os.domain.phases import Phase, parse_phase
from omoi_os.domain.tasks import NewTask
from omoi_os.domain.templates import (
    Template,
    check_templates,
    describe,
    read_template,
    visit_of,
    work_phase,
)
from omoi_os.errors import TemplateInvalid
from omoi_os.models.base import new_id
from omoi_os.models.task import Task
from omoi_os.models.task_template import TaskTemplate
from omoi_os.models.ticket import Ticket
from omoi_os.services.context_service import ContextService
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.task_queue import TaskQueueService
from omoi_os.services.task_templates import PHASE_TASK_TEMPLATES
from omoi_os.services.tickets import check_id, no_ticket
from omoi_os.store import templates as rows
from omoi_os.store.events import tell
from omoi_os.store.tickets import now


class TaskGeneratorService:
    """Generates phase-specific tasks from templates.

    Args:
        db: None for a generator that only shows the built-in templates.
        contexts: Tell tasks what earlier phases hand on; by default in the built-in policy's words.
    """

    def __init__(
        self,
        db: DatabaseService | None,
        queue: TaskQueueService | None,
        *,
        contexts: ContextService | None = None,
    ) -> None:
        self._db = db
        self._queue = queue
        self._contexts = contexts

    @property
    def db(self) -> DatabaseService:
        """The database."""
        if self._db is None:
            raise TypeError("this generator was made without a database")
        return self._db

    @property
    def queue(self) -> TaskQueueService:
        """Where the tasks go."""
        if self._queue is None:
            raise TypeError("this generator was made without a queue")
        return self._queue

    @property
    def contexts(self) -> ContextService:
        """What earlier phases hand on."""
        return self._contexts or ContextService(self.db)

    def generate_phase_tasks(
        self, ticket_id: str, phase_id: str, *, session: Session | None = None
    ) -> list[Task]:
        """Make all tasks of the phase that are not there yet; they get that phase, not the ticket's.

        Nothing is made twice for one visit of a phase, however often and by however many this is called.
        A ticket that comes back to a phase gets its tasks again; one that was blocked there does not.

        Args:
            session: A transaction to take part in.

        Returns:
            The new ones; none for a phase in which nothing is worked on.

        Raises:
            NotFound: There is no such ticket.
            UnknownPhase: There is no such phase.
            TemplateInvalid: The phase's templates cannot be used; nothing was made.
        """
        if session is None:
            with self.db.get_session() as own:
                return self.generate_phase_tasks(ticket_id, phase_id, session=own)
        phase = parse_phase(phase_id)
        check_id(ticket_id)
        ticket = rows.hold_ticket(session, ticket_id)
        if ticket is None:
            raise no_ticket(ticket_id)
        visit = visit_of(phase, ticket.phase_id, rows.moves(session, ticket_id))
        if not (templates := _in_force(session, phase)):
            return []
        handed_on = self.contexts.summary_for_phase(ticket_id, phase, session=session)
        return self.queue.enqueue_many(
            _new_tasks(ticket, phase, templates, visit, handed_on), session=session
        )

    def generate_task_from_template(
        self,
        ticket: Ticket,
        template: Mapping[str, Any],
        dependencies: list[str] | None = None,
        *,
        phase_id: str | None = None,
    ) -> Task:
        """Make one task from a template, each time that it is called.

        Args:
            dependencies: Ids of tasks that must be completed first. The template's own `depends_on` names
                templates beside it, of which nothing is known here.
            phase_id: None for the ticket's phase.

        Raises:
            TemplateInvalid: The message names the template.
        """
        read = read_template(template)
        phase = parse_phase(ticket.phase_id if phase_id is None else phase_id)
        return self.queue.enqueue_task(
            ticket.id,
            phase,
            read.task_type,
            _describe(ticket, phase, read, self.contexts.summary_for_phase(ticket.id, phase)),
            read.priority,
            dependencies,
            capabilities=read.capabilities,
        )

    def get_templates_for_phase(self, phase_id: str) -> list[dict[str, Any]]:
        """Task templates that are in force for a phase; copies, which can be changed without effect.

        Raises:
            UnknownPhase: There is no such phase.
            TemplateInvalid: The phase's rows in `task_templates` cannot be used.
        """
        phase = parse_phase(phase_id)
        if self._db is None:
            return deepcopy(PHASE_TASK_TEMPLATES.get(phase, []))
        with self.db.get_session() as session:
            return [template.as_dict() for template in _in_force(session, phase)]

    def replace_templates(self, phase_id: str, templates: Sequence[Mapping[str, Any]]) -> list[TaskTemplate]:
        """Put templates in the place of those that are in force for a phase.

        Raises:
            UnknownPhase: There is no such phase.
            TemplateInvalid: They cannot be used, alone or together; nothing was changed.
        """
        phase = work_phase(phase_id)
        if not templates:
            raise TemplateInvalid(
                f"{phase.value} needs at least one task template; reset brings its own back"
            )
        read = [read_template(template) for template in templates]
        check_templates(read)
        with self.db.get_session() as session:
            rows.switch_off(session, phase)
            moment = now(session)
            made = [
                _row(phase, template, moment + timedelta(microseconds=place))  # read in this order
                for place, template in enumerate(read)
            ]
            session.add_all(made)
            types = [template.task_type for template in read]
            _tell(session, phase, "task_templates.replaced", {"task_types": types})
        return made

    def reset_templates(self, phase_id: str) -> None:
        """Bring a phase's built-in templates back.

        Raises:
            UnknownPhase: There is no such phase.
            TemplateInvalid: It has no tasks.
        """
        phase = work_phase(phase_id)
        with self.db.get_session() as session:
            rows.switch_off(session, phase)
            _tell(session, phase, "task_templates.reset", {})


def _in_force(session: Session, phase: Phase) -> list[Template]:
    own = rows.active(session, phase)
    templates = [_read(row) for row in own] or list(map(read_template, PHASE_TASK_TEMPLATES.get(phase, [])))
    check_templates(templates)
    return templates


def _read(row: TaskTemplate) -> Template:
    try:
        return row.read()
    except TemplateInvalid as error:
        raise TemplateInvalid(
            f"row {row.id} of task_templates cannot be used: {error.message}", row=row.id, **error.facts
        ) from None


def _new_tasks(
    ticket: Ticket, phase: Phase, templates: Sequence[Template], visit: int, handed_on: str
) -> list[NewTask]:
    ids = {template.task_type: new_id() for template in templates}
    return [
        NewTask(
            id=ids[template.task_type],
            ticket_id=ticket.id,
            phase_id=phase,
            task_type=template.task_type,
            description=_describe(ticket, phase, template, handed_on),
            priority=template.priority,
            depends_on=tuple(ids[needed] for needed in template.depends_on),
            capabilities=template.capabilities,
            generation_key=f"{visit}:{template.task_type}",
        )
        for template in templates
    ]


def _describe(ticket: Ticket, phase: Phase, template: Template, handed_on: str) -> str:
    variables = {
        "ticket_title": ticket.title,
        "ticket_description": ticket.description or "",
        "ticket_priority": ticket.priority,
        "phase": phase.value,
    }
    return describe(template, variables, handed_on)


def _row(phase: Phase, template: Template, created_at: datetime) -> TaskTemplate:
    return TaskTemplate(
        phase_id=phase,
        task_type=template.task_type,
        template_description=template.description,
        default_priority=template.priority,
        required_capabilities=list(template.capabilities),
        dependencies_template=list(template.depends_on),
        created_at=created_at,
    )


def _tell(session: Session, phase: Phase, what: str, payload: dict[str, Any]) -> None:
    tell(driver_connection(session), what, "phase", phase, payload)
