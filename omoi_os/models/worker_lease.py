from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, String, func
from sqlalchemy.orm import Mapped, mapped_column

from omoi_os.models.base import Base


class WorkerLease(Base):
    """A worker that lives: it adds to `beat` for as long as it does. Peers watch the number, not the times.

    Attributes:
        executor_id: Of one start of one process.
        seen_at: For people.
    """

    __tablename__ = "worker_leases"

    executor_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    beat: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    host: Mapped[str | None] = mapped_column(String(255))
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
