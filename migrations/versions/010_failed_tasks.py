"""Tasks that failed, the newest ones at hand: what is left of a phase may be nothing but those."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "010_failed_tasks"
down_revision = "009_judge_budgets"
branch_labels = None
depends_on = None

FAILED = "status = 'failed'"


def upgrade() -> None:
    op.create_index("idx_tasks_failed", "tasks", ["completed_at"], postgresql_where=sa.text(FAILED))


def downgrade() -> None:
    op.drop_index("idx_tasks_failed", table_name="tasks")
