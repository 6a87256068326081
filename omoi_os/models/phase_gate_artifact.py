from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Computed, DateTime, ForeignKey, Identity, Index, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from omoi_os.models.base import Base, new_id
from omoi_os.utils.datetime import utc_now


class PhaseGateArtifact(Base):
    """A piece of work, or a report about it, that a phase's gate looks at. Rows are added, never changed.

    Attributes:
        artifact_path: Where it stands in the ticket's workspace, relative.
        artifact_content: Evidence inline (`content`, `report` or `diff`), and whatever the worker claims.
        task_id: The task whose result brought it; None where somebody attached it.
        content_digest: SHA-256 of the content as stored, kept by the database itself.
        seq: Order of arrival, which decides between two of the same `collected_at`.
    """

    __tablename__ = "phase_gate_artifacts"
    __table_args__ = (
        # The specified index goes on to the newest of a type. A second, shorter one would tempt the planner
        # to sort all rows of a phase wherever statistics are missing.
        Index(
            "idx_gate_artifacts_ticket_phase",
            *("ticket_id", "phase_id", "artifact_type", "collected_at", "seq"),
        ),
    )

    id: Mapped[str] = mapped_column(String, primary_key=True, default=new_id)
    ticket_id: Mapped[str] = mapped_column(String, ForeignKey("tickets.id", ondelete="CASCADE"))
    phase_id: Mapped[str] = mapped_column(String(50))
    artifact_type: Mapped[str] = mapped_column(String(100))
    artifact_path: Mapped[str | None] = mapped_column(Text)
    artifact_content: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    collected_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)
    collected_by: Mapped[str] = mapped_column(String(255))
    task_id: Mapped[str | None] = mapped_column(
        String, ForeignKey("tasks.id", ondelete="SET NULL"), index=True
    )
    content_digest: Mapped[str | None] = mapped_column(
        String(64), Computed("encode(sha256(jsonb_send(artifact_content)), 'hex')", persisted=True)
    )
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
