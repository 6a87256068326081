from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import DateTime, Index, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from omoi_os.domain.phases import Phase, phase_at_work
from omoi_os.domain.statuses import Priority, TicketStatus
from omoi_os.models.base import Base, new_id
from omoi_os.utils.datetime import utc_now

if TYPE_CHECKING:
    from omoi_os.models.phase_history import PhaseHistory
    from omoi_os.models.task import Task


class Ticket(Base):
    """A piece of work that moves through the phases.

    Attributes:
        workspace_path: Absolute path of the folder in which the work is done, or None; evidence that
            is named by path is read from there.
        context: What earlier phases hand on, one entry per phase.
    """

    __tablename__ = "tickets"
    __table_args__ = (Index("idx_tickets_created", "created_at", "id"),)

    id: Mapped[str] = mapped_column(String, primary_key=True, default=new_id)
    title: Mapped[str] = mapped_column(String(500))
    description: Mapped[str | None] = mapped_column(Text)
    phase_id: Mapped[str] = mapped_column(String(50), default=Phase.BACKLOG, index=True)
    status: Mapped[str] = mapped_column(String(50), default=TicketStatus.PENDING)
    priority: Mapped[str] = mapped_column(String(20), default=Priority.MEDIUM)
    previous_phase_id: Mapped[str | None] = mapped_column(String(50))
    workspace_path: Mapped[str | None] = mapped_column(Text)
    context: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    context_summary: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now, onupdate=utc_now)

    tasks: Mapped[list[Task]] = relationship(back_populates="ticket", passive_deletes=True)
    phase_history: Mapped[list[PhaseHistory]] = relationship(
        back_populates="ticket", passive_deletes=True, order_by="PhaseHistory.created_at"
    )

    @property
    def phase_at_work(self) -> str:
        """The phase whose gate counts: of a blocked ticket the one that it came from."""
        return phase_at_work(self.phase_id, self.previous_phase_id)
