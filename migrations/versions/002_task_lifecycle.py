"""Tasks: dependencies, retries, timeouts, and an index of those that are still open."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "002_task_lifecycle"
down_revision = "001_foundation"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("dependencies", postgresql.JSONB()))
    op.add_column("tasks", sa.Column("retry_count", sa.Integer(), server_default="0", nullable=False))
    op.add_column("tasks", sa.Column("max_retries", sa.Integer(), server_default="3", nullable=False))
    op.add_column("tasks", sa.Column("timeout_seconds", sa.Integer()))
    op.create_index(
        "idx_tasks_open",
        "tasks",
        ["ticket_id", "phase_id", "created_at", "id"],
        postgresql_where=sa.text("status <> 'completed'"),
    )


def downgrade() -> None:
    op.drop_index("idx_tasks_open", "tasks")
    for column in ("timeout_seconds", "max_retries", "retry_count", "dependencies"):
        op.drop_column("tasks", column)
