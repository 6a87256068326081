from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Identity, Index, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from omoi_os.models.base import Base, new_id
from omoi_os.utils.datetime import utc_now


class Event(Base):
    """One thing that happened, written in the transaction that made it happen; never changed.

    Attributes:
        seq: Position in the record. Transactions commit out of order, so a reader that follows asks
            for `seq > last` with a small overlap.
    """

    __tablename__ = "events"
    __table_args__ = (Index("idx_events_entity", "entity_type", "entity_id", "seq"),)

    id: Mapped[str] = mapped_column(String, primary_key=True, default=new_id)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    event_type: Mapped[str] = mapped_column(String(100))
    entity_type: Mapped[str] = mapped_column(String(50))
    entity_id: Mapped[str] = mapped_column(String)
    payload: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)
