from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from omoi_os.models.base import Base, new_id
from omoi_os.utils.datetime import utc_now


class GateWaiver(Base):
    """An operator lets one criterion of a ticket's phase pass. Rows are added, never changed.

    Attributes:
        result_id: The verdict that was looked at when it was given.
        inputs: The digests that it was given for.
        expires_at: From then on it waives nothing.
        revokes: Id of an earlier waiver that this row ends; such a row waives nothing itself.
    """

    __tablename__ = "gate_waivers"
    __table_args__ = (Index("idx_gate_waivers_ticket_phase", "ticket_id", "phase_id", "seq"),)

    id: Mapped[str] = mapped_column(String, primary_key=True, default=new_id)
    ticket_id: Mapped[str] = mapped_column(String, ForeignKey("tickets.id", ondelete="CASCADE"))
    phase_id: Mapped[str] = mapped_column(String(50))
    criterion: Mapped[str] = mapped_column(String(300))
    reason: Mapped[str] = mapped_column(Text)
    waived_by: Mapped[str] = mapped_column(String(255))
    result_id: Mapped[str] = mapped_column(String)
    inputs: Mapped[dict[str, Any]] = mapped_column(JSONB)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    revokes: Mapped[str | None] = mapped_column(String)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)
