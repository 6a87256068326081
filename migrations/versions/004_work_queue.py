"""The queue: what is ready, taken, waiting and to be retried; forced moves; the order of history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "004_work_queue"
down_revision = "003_phase_workflow"
branch_labels = None
depends_on = None

RANK = "CASE priority WHEN 'CRITICAL' THEN 0 WHEN 'HIGH' THEN 1 WHEN 'MEDIUM' THEN 2 ELSE 3 END"
PENDING = "status = 'pending'"
PERMANENT_ERROR = (
    "^(task cancelled: |permanent error: |blocked by task )"
    "|permission denied|access denied|not permitted|unauthori[sz]ed|forbidden|authentication"
    "|invalid (argument|input|request|parameter|configuration|credential|api key|token)"
    "|syntax ?error|not found|no such (file|module|command|table|column)|does not exist"
    "|not implemented|unsupported|(status|http|code|error)[ :=]*(400|401|403|404|405|410|422)([^0-9]|$)"
)
RETRYABLE = (
    "status = 'failed' AND retry_count < max_retries "
    f"AND (error_message IS NULL OR lower(error_message COLLATE \"C\") !~ '{PERMANENT_ERROR}')"
)

INDEXES = (
    ("idx_tasks_ready", ["priority_rank", "created_at", "id"], PENDING),
    ("idx_tasks_ready_in_phase", ["phase_id", "priority_rank", "created_at", "id"], PENDING),
    ("idx_tasks_in_flight", ["assigned_agent_id", "id"], "status IN ('assigned', 'running')"),
    ("idx_tasks_retryable", ["phase_id", "id"], RETRYABLE),
    ("idx_tasks_created", ["created_at", "id"], None),
    ("idx_tasks_status", ["status", "created_at", "id"], None),
)


def upgrade() -> None:
    op.add_column(
        "tasks",
        sa.Column("priority_rank", sa.SmallInteger(), sa.Computed(RANK, persisted=True), nullable=False),
    )
    op.add_column("tasks", sa.Column("required_capabilities", postgresql.JSONB()))
    op.add_column("tasks", sa.Column("not_before", sa.DateTime(timezone=True)))
    op.add_column("tasks", sa.Column("assigned_at", sa.DateTime(timezone=True)))
    op.add_column("tasks", sa.Column("generation_key", sa.String(200)))
    for name, columns, where in INDEXES:
        op.create_index(name, "tasks", columns, postgresql_where=sa.text(where) if where else None)
    op.create_index(
        "idx_tasks_waiting",
        "tasks",
        ["dependencies"],
        postgresql_using="gin",
        postgresql_ops={"dependencies": "jsonb_path_ops"},
        postgresql_with={"fastupdate": "off"},
        postgresql_where=sa.text("status IN ('pending', 'failed') AND dependencies IS NOT NULL"),
    )
    op.create_index(
        "uq_tasks_generation_key",
        "tasks",
        ["ticket_id", "phase_id", "generation_key"],
        unique=True,
        postgresql_where=sa.text("generation_key IS NOT NULL"),
    )
    op.create_index(
        "idx_agents_working",
        "agents",
        ["last_heartbeat"],
        postgresql_where=sa.text("status IN ('idle', 'running', 'stale')"),
    )
    op.create_index("idx_agents_created", "agents", ["created_at", "id"])
    op.add_column(
        "phase_history", sa.Column("forced", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("phase_history", sa.Column("gate_result_id", sa.String()))
    op.add_column("phase_history", sa.Column("took_back", postgresql.ARRAY(sa.Text())))
    op.add_column(
        "phase_history", sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False)
    )


def downgrade() -> None:
    for column in ("seq", "took_back", "gate_result_id", "forced"):
        op.drop_column("phase_history", column)
    op.drop_index("idx_agents_created", "agents")
    op.drop_index("idx_agents_working", "agents")
    op.drop_index("uq_tasks_generation_key", "tasks")
    op.drop_index("idx_tasks_waiting", "tasks")
    for name, _, _ in reversed(INDEXES):
        op.drop_index(name, "tasks")
    for column in ("generation_key", "assigned_at", "not_before", "required_capabilities", "priority_rank"):
        op.drop_column("tasks", column)
