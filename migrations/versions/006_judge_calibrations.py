"""How judges agreed with labelled cases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "006_judge_calibrations"
down_revision = "005_verdict_binding"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "judge_calibrations",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("model", sa.String(500), nullable=False),
        sa.Column("prompts_digest", sa.String(64), nullable=False),
        sa.Column("cases_digest", sa.String(64), nullable=False),
        sa.Column("report", postgresql.JSONB(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_judge_calibrations"),
    )
    op.create_index("idx_judge_calibrations_judge", "judge_calibrations", ["model", "prompts_digest", "seq"])


def downgrade() -> None:
    op.drop_table("judge_calibrations")
