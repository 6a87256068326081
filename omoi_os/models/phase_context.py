from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, ForeignKey, Index, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from omoi_os.models.base import Base, new_id
from omoi_os.utils.datetime import utc_now


class PhaseContext(Base):
    """What one phase of a ticket hands on, whole and summarized."""

    __tablename__ = "phase_context"
    __table_args__ = (Index("idx_phase_context_ticket", "ticket_id"),)

    id: Mapped[str] = mapped_column(String, primary_key=True, default=new_id)
    ticket_id: Mapped[str] = mapped_column(String, ForeignKey("tickets.id", ondelete="CASCADE"))
    phase_id: Mapped[str] = mapped_column(String(50))
    context_data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    context_summary: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)
