from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from omoi_os.models.base import Base, new_id


class Webhook(Base):
    """Where an operator wants events to be sent.

    Attributes:
        secret: What deliveries are signed with, as Standard Webhooks writes it ("whsec_…").
        event_types: Types, or their beginnings with a dot; none means all.
        era: With `xid` and `seq`: the place in the record up to which deliveries were made.
    """

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(String, primary_key=True, default=new_id)
    url: Mapped[str] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(String(100))
    event_types: Mapped[list[str]] = mapped_column(ARRAY(String))
    ticket_id: Mapped[str | None] = mapped_column(String)
    active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    era: Mapped[int] = mapped_column(Integer)
    xid: Mapped[int] = mapped_column(BigInteger)
    seq: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class WebhookDelivery(Base):
    """One event on its way to one webhook.

    Attributes:
        attempts: All that were begun.
        earlier_attempts: Those of rounds before it was asked for again.
        next_attempt_at: When it is due; while an attempt is under way, when that counts as lost.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("webhook_id", "event_id"),
        Index(
            "idx_webhook_deliveries_due",
            "next_attempt_at",
            postgresql_where=text("status = 'pending'"),
        ),
        Index("idx_webhook_deliveries_webhook", "webhook_id", "created_at", "id"),
        Index("idx_webhook_deliveries_ended", "created_at", postgresql_where=text("status <> 'pending'")),
    )

    id: Mapped[str] = mapped_column(String, primary_key=True, default=new_id)
    webhook_id: Mapped[str] = mapped_column(String, ForeignKey("webhooks.id", ondelete="CASCADE"))
    event_id: Mapped[str] = mapped_column(String)
    status: Mapped[str] = mapped_column(String(20), server_default="pending")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    earlier_attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    next_attempt_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_status: Mapped[int | None] = mapped_column(Integer)
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    delivered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
