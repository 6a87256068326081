from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, String, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from omoi_os.models.base import Base, new_id


class PhaseGateResult(Base):
    """What one review of a phase decided.

    Attributes:
        gate_status: "pending", "passed", "failed" or "inconclusive".
        validation_result: `findings` (the shape of `omoi_os.domain.verdict.Finding`), `code`, `inputs`
            (the digests that it was reached on, `omoi_os.domain.inputs.Inputs`), `reviewed` (the
            artifacts), `waivers` and `convergence`.
        blocking_reasons: One sentence per finding that keeps the gate closed.
        lease_until: Of a review that runs: if it is not decided by then, another may take it over.
        seq: Order of requests, which decides which verdict is the latest.
    """

    __tablename__ = "phase_gate_results"
    __table_args__ = (
        Index("idx_gate_results_ticket_phase", "ticket_id", "phase_id", "seq"),
        Index(
            "uq_gate_results_open",
            *("ticket_id", "phase_id"),
            unique=True,
            postgresql_where=text("gate_status = 'pending'"),
        ),
    )

    id: Mapped[str] = mapped_column(String, primary_key=True, default=new_id)
    ticket_id: Mapped[str] = mapped_column(String, ForeignKey("tickets.id", ondelete="CASCADE"))
    phase_id: Mapped[str] = mapped_column(String(50))
    gate_status: Mapped[str] = mapped_column(String(50))
    validation_result: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    validated_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    validated_by: Mapped[str | None] = mapped_column(String(255))
    blocking_reasons: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    lease_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
