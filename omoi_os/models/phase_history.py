from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import DateTime, ForeignKey, Index, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from omoi_os.models.base import Base, new_id
from omoi_os.utils.datetime import utc_now

if TYPE_CHECKING:
    from omoi_os.models.ticket import Ticket


class PhaseHistory(Base):
    """One move of a ticket from phase to phase; never changed."""

    __tablename__ = "phase_history"
    __table_args__ = (Index("idx_phase_history_ticket", "ticket_id", "created_at"),)

    id: Mapped[str] = mapped_column(String, primary_key=True, default=new_id)
    ticket_id: Mapped[str] = mapped_column(String, ForeignKey("tickets.id", ondelete="CASCADE"))
    from_phase: Mapped[str | None] = mapped_column(String(50))
    to_phase: Mapped[str] = mapped_column(String(50))
    transition_reason: Mapped[str | None] = mapped_column(Text)
    transitioned_by: Mapped[str | None] = mapped_column(String(255))
    artifacts: Mapped[dict[str, Any] | list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)

    ticket: Mapped[Ticket] = relationship(back_populates="phase_history")
