from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Boolean, DateTime, ForeignKey, Identity, Index, String, Text, false
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from omoi_os.models.base import Base, new_id
from omoi_os.utils.datetime import utc_now

if TYPE_CHECKING:
    from omoi_os.models.ticket import Ticket


class PhaseHistory(Base):
    """One move of a ticket from phase to phase; never changed.

    Attributes:
        forced: Whether an operator moved it past the gate, or past the map.
        gate_result_id: The verdict that opened the gate, where one was needed.
        took_back: The phases whose work this move took back, or None.
        seq: Order of the moves.
    """

    __tablename__ = "phase_history"
    __table_args__ = (Index("idx_phase_history_ticket", "ticket_id", "created_at"),)

    id: Mapped[str] = mapped_column(String, primary_key=True, default=new_id)
    ticket_id: Mapped[str] = mapped_column(String, ForeignKey("tickets.id", ondelete="CASCADE"))
    from_phase: Mapped[str | None] = mapped_column(String(50))
    to_phase: Mapped[str] = mapped_column(String(50))
    transition_reason: Mapped[str | None] = mapped_column(Text)
    transitioned_by: Mapped[str | None] = mapped_column(String(255))
    artifacts: Mapped[dict[str, Any] | list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    forced: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    gate_result_id: Mapped[str | None] = mapped_column(String)
    took_back: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)

    ticket: Mapped[Ticket] = relationship(back_populates="phase_history")
