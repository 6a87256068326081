from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Computed, DateTime, ForeignKey, Index, Integer, SmallInteger, String, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from omoi_os.domain.statuses import Priority, TaskStatus
from omoi_os.domain.tasks import PERMANENT_ERROR
from omoi_os.models.base import Base, new_id
from omoi_os.utils.datetime import utc_now

if TYPE_CHECKING:
    from omoi_os.models.ticket import Ticket

RESULT_DIGEST = "encode(sha256(jsonb_send(result)), 'hex')"
"""SHA-256 of a result as stored; the function is immutable, so an index can use it."""

UNCOLLECTED = (
    f"status = 'completed' AND result IS NOT NULL AND collected_digest IS DISTINCT FROM {RESULT_DIGEST}"
)
"""Completed tasks whose result has not been searched for artifacts in its present form.

The digest is compared instead of a flag being reset, so a result that is corrected by any means is
collected again.
"""

RANK = "CASE priority WHEN 'CRITICAL' THEN 0 WHEN 'HIGH' THEN 1 WHEN 'MEDIUM' THEN 2 ELSE 3 END"

PENDING = "status = 'pending'"
WAITING = "status IN ('pending', 'failed') AND dependencies IS NOT NULL"
IN_FLIGHT = "status IN ('assigned', 'running')"
RETRYABLE = (
    "status = 'failed' AND retry_count < max_retries "
    f"AND (error_message IS NULL OR lower(error_message COLLATE \"C\") !~ '{PERMANENT_ERROR}')"
)
"""Failed tasks that may be tried again; computed from the row, so that it holds for rows of any origin."""

UNATTENDED_SECONDS = 24 * 3600
"""Time limit of a task without one whose holder is not registered: nobody would notice its silence."""

LATE = f"""
{IN_FLIGHT} AND coalesce(started_at, assigned_at) + make_interval(secs => coalesce(timeout_seconds,
    CASE WHEN NOT EXISTS (SELECT FROM agents WHERE agents.id = tasks.assigned_agent_id)
         THEN {UNATTENDED_SECONDS} END)) < clock_timestamp()
"""


class Task(Base):
    """One assignment of a ticket's phase.

    The partial indexes hold only what is still to be done, so that no choice costs more as finished tasks
    pile up.

    Attributes:
        result: What the worker handed in; its `artifacts` are collected by the gate.
        dependencies: `{"depends_on": [task id, …]}`.
        collected_digest: SHA-256 of the result from which artifacts were collected last.
        priority_rank: 0 for the most urgent; kept by the database.
        required_capabilities: A list of texts that an agent must offer; None for any agent.
        not_before: Until then a retry waits.
        assigned_at: When it was taken; a timeout counts from here until it is started.
        generation_key: Of a task that a template made; once per ticket and phase.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index("idx_tasks_ticket_phase", "ticket_id", "phase_id"),
        Index(
            "idx_tasks_open",
            *("ticket_id", "phase_id", "created_at", "id"),
            postgresql_where=text("status <> 'completed'"),
        ),
        Index("idx_tasks_uncollected", "ticket_id", "phase_id", postgresql_where=text(UNCOLLECTED)),
        Index("idx_tasks_ready", "priority_rank", "created_at", "id", postgresql_where=text(PENDING)),
        Index(
            "idx_tasks_ready_in_phase",
            *("phase_id", "priority_rank", "created_at", "id"),
            postgresql_where=text(PENDING),
        ),
        Index(
            "idx_tasks_waiting",
            "dependencies",
            postgresql_using="gin",
            postgresql_ops={"dependencies": "jsonb_path_ops"},
            # A list of entries to be sorted in later is read as a whole at each step of a cascade: 44 s
            # for 20,000 new tasks instead of 2 s.
            postgresql_with={"fastupdate": "off"},
            postgresql_where=text(WAITING),
        ),
        Index("idx_tasks_in_flight", "assigned_agent_id", "id", postgresql_where=text(IN_FLIGHT)),
        Index("idx_tasks_failed", "completed_at", postgresql_where=text("status = 'failed'")),
        Index("idx_tasks_retryable", "phase_id", "id", postgresql_where=text(RETRYABLE)),
        Index("idx_tasks_created", "created_at", "id"),
        Index("idx_tasks_status", "status", "created_at", "id"),
        Index(
            "uq_tasks_generation_key",
            *("ticket_id", "phase_id", "generation_key"),
            unique=True,
            postgresql_where=text("generation_key IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String, primary_key=True, default=new_id)
    ticket_id: Mapped[str] = mapped_column(String, ForeignKey("tickets.id", ondelete="CASCADE"))
    phase_id: Mapped[str] = mapped_column(String(50))
    task_type: Mapped[str] = mapped_column(String(100))
    description: Mapped[str | None] = mapped_column(Text)
    priority: Mapped[str] = mapped_column(String(20), default=Priority.MEDIUM)
    priority_rank: Mapped[int] = mapped_column(SmallInteger, Computed(RANK, persisted=True))
    status: Mapped[str] = mapped_column(String(50), default=TaskStatus.PENDING)
    assigned_agent_id: Mapped[str | None] = mapped_column(String)
    conversation_id: Mapped[str | None] = mapped_column(String)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    error_message: Mapped[str | None] = mapped_column(Text)
    dependencies: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    retry_count: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    max_retries: Mapped[int] = mapped_column(Integer, default=3, server_default="3")
    timeout_seconds: Mapped[int | None] = mapped_column(Integer)
    required_capabilities: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))
    not_before: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    assigned_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    generation_key: Mapped[str | None] = mapped_column(String(200))
    collected_digest: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    completed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    ticket: Mapped[Ticket] = relationship(back_populates="tasks")
