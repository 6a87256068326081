from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Connection, DateTime, Index, String, Text, Uuid, event, func, true
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Mapper, mapped_column

from omoi_os.domain.statuses import Priority
from omoi_os.domain.templates import Template, read_template, work_phase
from omoi_os.errors import TemplateInvalid
from omoi_os.models.base import Base, new_id
from omoi_os.utils.datetime import utc_now


class TaskTemplate(Base):
    """A team's own template of a phase's task; active ones replace the built-in ones of their phase.

    A null stands for the column's default; that of the lists is to be empty.

    Attributes:
        dependencies_template: Task types of the same phase: a list, or `{"depends_on": [task type, …]}`.
    """

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

    def read(self) -> Template:
        """The template in this row.

        Raises:
            TemplateInvalid: A value is not usable.
        """
        needed = self.dependencies_template
        if isinstance(needed, Mapping) and set(needed) == {"depends_on"}:
            needed = needed["depends_on"]
        given = {
            "task_type": self.task_type,
            "description_template": self.template_description,
            "priority": self.default_priority,
            "capabilities": self.required_capabilities,
            "depends_on": needed,
        }
        return read_template({key: value for key, value in given.items() if value is not None})


@event.listens_for(TaskTemplate, "before_insert")
@event.listens_for(TaskTemplate, "before_update")
def _check_when_written(_mapper: Mapper[Any], _connection: Connection, row: TaskTemplate) -> None:
    # An inactive row may hold anything: one that another program broke can still be switched off.
    if row.is_active is False:
        return
    # Rows are found by the phase's value: under another spelling this one would never be used.
    if work_phase(row.phase_id) != row.phase_id:
        raise TemplateInvalid(f"task template {row.task_type!r}: phase_id must be {work_phase(row.phase_id)}")
    row.read()
