"""Verdicts name what they were reached on; policies in force are kept; waivers; one open review per gate."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "005_verdict_binding"
down_revision = "004_work_queue"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "policies",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_policies"),
    )
    op.create_table(
        "gate_waivers",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("ticket_id", sa.String(), nullable=False),
        sa.Column("phase_id", sa.String(50), nullable=False),
        sa.Column("criterion", sa.String(300), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("waived_by", sa.String(255), nullable=False),
        sa.Column("result_id", sa.String(), nullable=False),
        sa.Column("inputs", postgresql.JSONB(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revokes", sa.String()),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["tickets.id"], name="fk_gate_waivers_ticket_id_tickets", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_gate_waivers"),
    )
    op.create_index("idx_gate_waivers_ticket_phase", "gate_waivers", ["ticket_id", "phase_id", "seq"])
    op.add_column("phase_gate_results", sa.Column("lease_until", sa.DateTime(timezone=True)))
    op.create_index(
        "uq_gate_results_open",
        "phase_gate_results",
        ["ticket_id", "phase_id"],
        unique=True,
        postgresql_where=sa.text("gate_status = 'pending'"),
    )


def downgrade() -> None:
    op.drop_index("uq_gate_results_open", "phase_gate_results")
    op.drop_column("phase_gate_results", "lease_until")
    op.drop_table("gate_waivers")
    op.drop_table("policies")
