"""Tickets, tasks, agents and the record of events."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "001_foundation"
down_revision = None
branch_labels = None
depends_on = None


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "tickets",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("title", sa.String(500), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("phase_id", sa.String(50), nullable=False),
        sa.Column("status", sa.String(50), nullable=False),
        sa.Column("priority", sa.String(20), nullable=False),
        sa.Column("workspace_path", sa.Text()),
        _moment("created_at"),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_tickets"),
    )
    op.create_index("ix_tickets_phase_id", "tickets", ["phase_id"])
    op.create_index("idx_tickets_created", "tickets", ["created_at", "id"])

    op.create_table(
        "tasks",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("ticket_id", sa.String(), nullable=False),
        sa.Column("phase_id", sa.String(50), nullable=False),
        sa.Column("task_type", sa.String(100), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("priority", sa.String(20), nullable=False),
        sa.Column("status", sa.String(50), nullable=False),
        sa.Column("assigned_agent_id", sa.String()),
        sa.Column("conversation_id", sa.String()),
        sa.Column("result", postgresql.JSONB()),
        sa.Column("error_message", sa.Text()),
        _moment("created_at"),
        _moment("started_at", nullable=True),
        _moment("completed_at", nullable=True),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["tickets.id"], name="fk_tasks_ticket_id_tickets", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
    )
    op.create_index("idx_tasks_ticket_phase", "tasks", ["ticket_id", "phase_id"])

    op.create_table(
        "agents",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("agent_type", sa.String(50), nullable=False),
        sa.Column("phase_id", sa.String(50)),
        sa.Column("status", sa.String(50), nullable=False),
        sa.Column("capabilities", postgresql.JSONB()),
        _moment("last_heartbeat", nullable=True),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_agents"),
    )
    op.create_index("ix_agents_status", "agents", ["status"])
    op.create_index("ix_agents_last_heartbeat", "agents", ["last_heartbeat"])

    op.create_table(
        "events",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_type", sa.String(100), nullable=False),
        sa.Column("entity_type", sa.String(50), nullable=False),
        sa.Column("entity_id", sa.String(), nullable=False),
        sa.Column("payload", postgresql.JSONB()),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.UniqueConstraint("seq", name="uq_events_seq"),
    )
    op.create_index("idx_events_entity", "events", ["entity_type", "entity_id", "seq"])


def downgrade() -> None:
    for table in ("events", "agents", "tasks", "tickets"):
        op.drop_table(table)
