"""Phases: history, gates, context and task templates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "003_phase_workflow"
down_revision = "002_task_lifecycle"
branch_labels = None
depends_on = None

UNCOLLECTED = (
    "status = 'completed' AND result IS NOT NULL "
    "AND collected_digest IS DISTINCT FROM encode(sha256(jsonb_send(result)), 'hex')"
)


def upgrade() -> None:
    op.add_column("tickets", sa.Column("previous_phase_id", sa.String(50)))
    op.add_column("tickets", sa.Column("context", postgresql.JSONB()))
    op.add_column("tickets", sa.Column("context_summary", sa.Text()))
    op.add_column("tasks", sa.Column("collected_digest", sa.String(64)))
    op.create_index(
        "idx_tasks_uncollected", "tasks", ["ticket_id", "phase_id"], postgresql_where=sa.text(UNCOLLECTED)
    )
    _history_and_context()
    _gates()
    _templates()


def _of_ticket(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["ticket_id"], ["tickets.id"], name=f"fk_{table}_ticket_id_tickets", ondelete="CASCADE"
    )


def _history_and_context() -> None:
    op.create_table(
        "phase_history",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("ticket_id", sa.String(), nullable=False),
        sa.Column("from_phase", sa.String(50)),
        sa.Column("to_phase", sa.String(50), nullable=False),
        sa.Column("transition_reason", sa.Text()),
        sa.Column("transitioned_by", sa.String(255)),
        sa.Column("artifacts", postgresql.JSONB()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        _of_ticket("phase_history"),
        sa.PrimaryKeyConstraint("id", name="pk_phase_history"),
    )
    op.create_index("idx_phase_history_ticket", "phase_history", ["ticket_id", "created_at"])

    op.create_table(
        "phase_context",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("ticket_id", sa.String(), nullable=False),
        sa.Column("phase_id", sa.String(50), nullable=False),
        sa.Column("context_data", postgresql.JSONB(), nullable=False),
        sa.Column("context_summary", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        _of_ticket("phase_context"),
        sa.PrimaryKeyConstraint("id", name="pk_phase_context"),
    )
    op.create_index("idx_phase_context_ticket", "phase_context", ["ticket_id"])


def _gates() -> None:
    op.create_table(
        "phase_gate_artifacts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("ticket_id", sa.String(), nullable=False),
        sa.Column("phase_id", sa.String(50), nullable=False),
        sa.Column("artifact_type", sa.String(100), nullable=False),
        sa.Column("artifact_path", sa.Text()),
        sa.Column("artifact_content", postgresql.JSONB()),
        sa.Column("collected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("collected_by", sa.String(255), nullable=False),
        sa.Column("task_id", sa.String()),
        sa.Column(
            "content_digest",
            sa.String(64),
            sa.Computed("encode(sha256(jsonb_send(artifact_content)), 'hex')", persisted=True),
        ),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _of_ticket("phase_gate_artifacts"),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name="fk_phase_gate_artifacts_task_id_tasks", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_phase_gate_artifacts"),
    )
    op.create_index(
        "idx_gate_artifacts_ticket_phase",
        "phase_gate_artifacts",
        ["ticket_id", "phase_id", "artifact_type", "collected_at", "seq"],
    )
    op.create_index("ix_phase_gate_artifacts_task_id", "phase_gate_artifacts", ["task_id"])

    op.create_table(
        "phase_gate_results",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("ticket_id", sa.String(), nullable=False),
        sa.Column("phase_id", sa.String(50), nullable=False),
        sa.Column("gate_status", sa.String(50), nullable=False),
        sa.Column("validation_result", postgresql.JSONB()),
        sa.Column("validated_at", sa.DateTime(timezone=True)),
        sa.Column("validated_by", sa.String(255)),
        sa.Column("blocking_reasons", postgresql.ARRAY(sa.Text())),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _of_ticket("phase_gate_results"),
        sa.PrimaryKeyConstraint("id", name="pk_phase_gate_results"),
    )
    op.create_index("idx_gate_results_ticket_phase", "phase_gate_results", ["ticket_id", "phase_id", "seq"])


def _templates() -> None:
    op.create_table(
        "task_templates",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("phase_id", sa.String(50), nullable=False),
        sa.Column("task_type", sa.String(100), nullable=False),
        sa.Column("template_description", sa.Text(), nullable=False),
        sa.Column("default_priority", sa.String(20), server_default="MEDIUM"),
        sa.Column("required_capabilities", postgresql.JSONB()),
        sa.Column("dependencies_template", postgresql.JSONB()),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true()),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_task_templates"),
    )
    op.create_index("idx_task_templates_phase", "task_templates", ["phase_id"])


def downgrade() -> None:
    for table in (
        "task_templates",
        "phase_gate_results",
        "phase_gate_artifacts",
        "phase_context",
        "phase_history",
    ):
        op.drop_table(table)
    op.drop_index("idx_tasks_uncollected", "tasks")
    op.drop_column("tasks", "collected_digest")
    for column in ("context_summary", "context", "previous_phase_id"):
        op.drop_column("tickets", column)
