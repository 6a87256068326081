"""Reviews that run by themselves: who asked, who has it, how often it was tried; and the workers' leases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "007_durable_reviews"
down_revision = "006_judge_calibrations"
branch_labels = None
depends_on = None

TABLE = "phase_gate_results"
WAITING = "gate_status = 'pending' AND lease_until IS NULL"
UNFOLLOWED = "carry_on AND followed_at IS NULL AND gate_status <> 'pending'"


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True))


def upgrade() -> None:
    for column in (
        _moment("requested_at"),
        sa.Column("cause", sa.String(30)),
        sa.Column("carry_on", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("force", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("runner", sa.String(255)),
        sa.Column("run", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("takes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("stage", sa.String(30)),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("waits", sa.Integer(), server_default="0", nullable=False),
        sa.Column("waits_for", sa.String(60)),
        _moment("retry_at"),
        sa.Column("workflow_id", sa.String(200)),
        _moment("followed_at"),
    ):
        op.add_column(TABLE, column)
    op.create_index(
        "idx_gate_results_decided", TABLE, ["ticket_id", "phase_id", "validated_at", "seq"], unique=False
    )
    op.create_index("idx_gate_results_waiting", TABLE, ["requested_at"], postgresql_where=sa.text(WAITING))
    op.create_index("idx_gate_results_unfollowed", TABLE, ["seq"], postgresql_where=sa.text(UNFOLLOWED))
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("result_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["result_id"],
            ["phase_gate_results.id"],
            name="fk_idempotency_keys_result_id_phase_gate_results",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_result_id", "idempotency_keys", ["result_id"])
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    op.create_table(
        "worker_leases",
        sa.Column("executor_id", sa.String(255), nullable=False),
        sa.Column("beat", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("host", sa.String(255)),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("executor_id", name="pk_worker_leases"),
    )


def downgrade() -> None:
    op.drop_table("worker_leases")
    op.drop_table("idempotency_keys")
    op.drop_index("idx_gate_results_unfollowed", TABLE)
    op.drop_index("idx_gate_results_waiting", TABLE)
    op.drop_index("idx_gate_results_decided", TABLE)
    for column in (
        "followed_at",
        "workflow_id",
        "retry_at",
        "waits_for",
        "waits",
        "attempt",
        "stage",
        "takes",
        "run",
        "runner",
        "force",
        "carry_on",
        "cause",
        "requested_at",
    ):
        op.drop_column(TABLE, column)
