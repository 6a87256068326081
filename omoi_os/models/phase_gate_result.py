from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    Text,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from omoi_os.models.base import Base, new_id

WAITING = "gate_status = 'pending' AND lease_until IS NULL"
"""Reviews that no process of its own looks after: they are the workers'."""

UNFOLLOWED = "carry_on AND followed_at IS NULL AND gate_status <> 'pending'"
"""Verdicts after which the policy's next thing is still to be done."""


class PhaseGateResult(Base):
    """What one review of a phase decided; from its request on, while it is pending.

    Attributes:
        gate_status: "pending", "passed", "failed" or "inconclusive".
        validation_result: `findings` (the shape of `omoi_os.domain.verdict.Finding`), `code`, `inputs`
            (the digests that it was reached on, `omoi_os.domain.inputs.Inputs`), `reviewed` (the
            artifacts), `waivers` and `convergence`.
        blocking_reasons: One sentence per finding that keeps the gate closed.
        lease_until: Of a review that runs outside of the engine: if it is not decided by then, another may
            take it over.
        seq: Order of requests. The latest verdict is the one that was decided last: one that was asked for
            early may have waited for long.
        requested_at: When somebody asked, and `cause` why (`omoi_os.domain.reviews.Cause`); None where a
            verdict was reached at once.
        carry_on: Whether the policy's next thing follows (the ticket moves on, or gets a task that mends what
            was found), and `followed_at` when it did.
        force: Measure anew even if nothing changed.
        runner: Who has it; None while it waits. `run` grows each time that somebody takes it: whoever took
            it before records nothing any more. `takes` counts the same for the present attempt, without those
            who handed it on to a judge.
        stage: What its runner does ("measuring", "judging").
        attempt: How often it came to nothing that counts, and `waits` how often in a row to something that
            does not (an outage); `waits_for` is the code of the last, and `retry_at` when it goes on.
        workflow_id: The engine's workflow that takes it next.
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
        Index("idx_gate_results_decided", "ticket_id", "phase_id", "validated_at", "seq"),
        Index("idx_gate_results_waiting", "requested_at", postgresql_where=text(WAITING)),
        Index("idx_gate_results_unfollowed", "seq", postgresql_where=text(UNFOLLOWED)),
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
    requested_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    cause: Mapped[str | None] = mapped_column(String(30))
    carry_on: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    force: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    runner: Mapped[str | None] = mapped_column(String(255))
    run: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    takes: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    stage: Mapped[str | None] = mapped_column(String(30))
    attempt: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    waits: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    waits_for: Mapped[str | None] = mapped_column(String(60))
    retry_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    workflow_id: Mapped[str | None] = mapped_column(String(200))
    followed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
