"""Model calls per minute and money per day, for all processes on this database together."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "009_judge_budgets"
down_revision = "008_event_feed"
branch_labels = None
depends_on = None

MONEY = sa.Numeric(16, 6)


def upgrade() -> None:
    op.create_table(
        "model_call_slots",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("slot", name="pk_model_call_slots"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "judge_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("reserved_usd", MONEY, nullable=False),
        sa.Column("spent_usd", MONEY, nullable=False),
        sa.CheckConstraint("reserved_usd >= 0 AND spent_usd >= 0", name="amounts"),
        sa.PrimaryKeyConstraint("day", name="pk_judge_days"),
    )
    op.create_table(
        "judge_reservations",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("usd", MONEY, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("usd >= 0", name="amount"),
        sa.PrimaryKeyConstraint("id", name="pk_judge_reservations"),
    )


def downgrade() -> None:
    op.drop_table("judge_reservations")
    op.drop_table("judge_days")
    op.drop_table("model_call_slots")
