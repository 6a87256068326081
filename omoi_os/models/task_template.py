from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, DateTime, Index, String, Text, Uuid, func, true
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from omoi_os.domain.statuses import Priority
from omoi_os.models.base import Base, new_id
from omoi_os.utils.datetime import utc_now


class TaskTemplate(Base):
    """A team's own template of a phase's task; active ones replace the built-in ones of their phase."""

    __tablename__ = "task_templates"
    __table_args__ = (Index("idx_task_templates_phase", "phase_id"),)

    id: Mapped[str] = mapped_column(Uuid(as_uuid=False), primary_key=True, default=new_id)
    phase_id: Mapped[str] = mapped_column(String(50))
    task_type: Mapped[str] = mapped_column(String(100))
    template_description: Mapped[str] = mapped_column(Text)
    default_priority: Mapped[str | None] = mapped_column(
        String(20), default=Priority.MEDIUM, server_default=Priority.MEDIUM
    )
    required_capabilities: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    dependencies_template: Mapped[dict[str, Any] | list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    is_active: Mapped[bool | None] = mapped_column(Boolean, default=True, server_default=true())
    created_at: Mapped[datetime | None] = mapped_column(
        DateTime(timezone=True), default=utc_now, server_default=func.now()
    )
