from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from omoi_os.domain.statuses import AgentStatus
from omoi_os.models.base import Base, new_id
from omoi_os.utils.datetime import utc_now

WORKING = "status IN ('idle', 'running', 'stale')"
"""Agents that a sweep may find silent; registrations that ended pile up beside them."""


class Agent(Base):
    """A worker, validator or monitor that takes tasks and beats."""

    __tablename__ = "agents"
    __table_args__ = (
        Index("idx_agents_working", "last_heartbeat", postgresql_where=text(WORKING)),
        Index("idx_agents_created", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(String, primary_key=True, default=new_id)
    agent_type: Mapped[str] = mapped_column(String(50))
    phase_id: Mapped[str | None] = mapped_column(String(50))
    status: Mapped[str] = mapped_column(String(50), default=AgentStatus.IDLE, index=True)
    capabilities: Mapped[dict[str, Any] | list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    last_heartbeat: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), index=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)
