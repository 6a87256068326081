from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, Date, DateTime, Integer, Numeric, String
from sqlalchemy.orm import Mapped, mapped_column

from omoi_os.models.base import Base, new_id

MONEY = Numeric(16, 6)
"""US dollars, to the millionth."""


class ModelCallSlot(Base):
    """One model call per minute. Who uses a slot lets it rest, so that no window holds more calls than slots.

    Attributes:
        slot: From 1 to the largest limit that was ever set; higher ones than today's limit are not used.
        used_at: By the database's clock; None where it was never used.
    """

    __tablename__ = "model_call_slots"
    # Half of each page stays free, and no index holds the time: an update stays in its page.
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)

    slot: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class JudgeDay(Base):
    """What judging cost on one day, in UTC, and what conversations that began then may still cost."""

    __tablename__ = "judge_days"
    __table_args__ = (CheckConstraint("reserved_usd >= 0 AND spent_usd >= 0", name="amounts"),)

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    reserved_usd: Mapped[Decimal] = mapped_column(MONEY)
    spent_usd: Mapped[Decimal] = mapped_column(MONEY)


class JudgeReservation(Base):
    """Money that is set aside for conversations that go on, or were cut off. Settling deletes it."""

    __tablename__ = "judge_reservations"
    __table_args__ = (CheckConstraint("usd >= 0", name="amount"),)

    id: Mapped[str] = mapped_column(String, primary_key=True, default=new_id)
    day: Mapped[date] = mapped_column(Date)
    usd: Mapped[Decimal] = mapped_column(MONEY)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
