from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, ForeignKey, String, func
from sqlalchemy.orm import Mapped, mapped_column

from omoi_os.models.base import Base


class IdempotencyKey(Base):
    """A caller's name for one request, so that saying it twice asks once.

    Attributes:
        request: SHA-256 of what was asked: the same key for something else is a mistake.
    """

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request: Mapped[str] = mapped_column(String(64))
    result_id: Mapped[str] = mapped_column(
        String, ForeignKey("phase_gate_results.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), index=True
    )
