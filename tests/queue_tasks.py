"""What tests of the queue share: tickets, rows that others wrote, and what the record says."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, text

from omoi_os.models.agent import Agent
from omoi_os.models.event import Event
from omoi_os.models.phases import Phase
from omoi_os.models.task import Task
from omoi_os.models.ticket import Ticket
from omoi_os.services.database import DatabaseService
from omoi_os.services.task_queue import TaskQueueService

PHASE = Phase.IMPLEMENTATION
HOSTILE_IDS = ["", "nothing", "a\x00b", "x" * 10_000, "\ud800", "%", "'; DROP TABLE tasks; --", "é\u202e"]


def new_ticket(db: DatabaseService) -> str:
    with db.get_session() as session:
        ticket = Ticket(title="Limit the rate", phase_id=PHASE)
        session.add(ticket)
    return ticket.id


def new_task(queue: TaskQueueService, ticket: str | None = None, **fields: Any) -> Task:
    """A task by the service, of any ticket."""
    given = {"phase_id": PHASE, "task_type": "work", "description": "Do it", "priority": "MEDIUM", **fields}
    return queue.enqueue_task(ticket or new_ticket(queue.db), **given)


def row(db: DatabaseService, ticket: str | None = None, **fields: Any) -> str:
    """A task as another program would write it: nothing is checked, no newer column is filled."""
    if (needed := fields.pop("needs", None)) is not None:
        fields["dependencies"] = {"depends_on": needed}
    with db.get_session() as session:
        task = Task(ticket_id=ticket or new_ticket(db), phase_id=PHASE, task_type="work", **fields)
        session.add(task)
    return task.id


def change(db: DatabaseService, task_id: str, **fields: Any) -> None:
    """Set columns of a task as another program would."""
    with db.get_session() as session:
        task = session.get_one(Task, task_id)
        for name, value in fields.items():
            setattr(task, name, value)


def read(db: DatabaseService, task_id: str) -> Task:
    with db.get_session() as session:
        return session.get_one(Task, task_id)


def state(db: DatabaseService, task_id: str) -> str:
    return read(db, task_id).status


def new_agent(db: DatabaseService, **fields: Any) -> str:
    with db.get_session() as session:
        agent = Agent(agent_type="worker", **fields)
        session.add(agent)
    return agent.id


def agent_status(db: DatabaseService, agent_id: str) -> str:
    with db.get_session() as session:
        return session.get_one(Agent, agent_id).status


def long_ago(db: DatabaseService, table: str, id_: str, column: str, seconds: float = 3600) -> None:
    """Set a moment by the database's clock."""
    with db.get_session() as session:
        session.execute(
            text(
                f"UPDATE {table} SET {column} = clock_timestamp() - make_interval(secs => :s) WHERE id = :id"
            ),
            {"s": seconds, "id": id_},
        )


def told(db: DatabaseService, entity_id: str) -> list[str]:
    """The kinds of events about a task or an agent, in order."""
    with db.get_session() as session:
        return list(
            session.scalars(select(Event.event_type).where(Event.entity_id == entity_id).order_by(Event.seq))
        )
