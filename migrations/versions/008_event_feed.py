"""Events in an order that can be followed exactly, and webhooks that are told about them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "008_event_feed"
down_revision = "007_durable_reviews"
branch_labels = None
depends_on = None

TICKET = "CASE WHEN entity_type = 'ticket' THEN entity_id ELSE payload ->> 'ticket_id' END"
TRANSACTION = "((pg_current_xact_id())::text)::bigint"

# NOTIFY takes a lock of the whole cluster until its transaction has reached the disk: committers would queue.
# So of those that are under way at one moment only one notifies, and a reader polls on for a while.
WAKE_UP = """
CREATE FUNCTION omoi_wake_readers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_try_advisory_xact_lock(1869440361, 1) THEN
        PERFORM pg_notify('omoi_events', '');
    END IF;
    RETURN NULL;
END
$$
"""
# For each row: a statement that made none wakes nobody, and costs no transaction id.
TRIGGER = """
CREATE TRIGGER wake_readers AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION omoi_wake_readers()
"""


def upgrade() -> None:
    op.add_column("events", sa.Column("era", sa.Integer(), server_default="1", nullable=False))
    # What is there already gets the number of this transaction, and so comes before everything that follows.
    op.add_column(
        "events", sa.Column("xid", sa.BigInteger(), server_default=sa.text(TRANSACTION), nullable=False)
    )
    op.add_column("events", sa.Column("ticket_id", sa.String(), sa.Computed(TICKET, persisted=True)))
    op.create_index("idx_events_feed", "events", ["era", "xid", "seq"])
    op.create_index(
        "idx_events_ticket",
        "events",
        ["ticket_id", "era", "xid", "seq"],
        postgresql_where=sa.text("ticket_id IS NOT NULL"),
    )
    op.create_table(
        "event_eras",
        sa.Column("era", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cluster", sa.String(60), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("era", name="pk_event_eras"),
    )
    op.execute(WAKE_UP)
    op.execute(TRIGGER)
    _make_webhooks()


def _make_webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.String(100), nullable=False),
        sa.Column("event_types", postgresql.ARRAY(sa.String()), nullable=False),
        sa.Column("ticket_id", sa.String()),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("disabled_reason", sa.Text()),
        sa.Column("era", sa.Integer(), nullable=False),
        sa.Column("xid", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("webhook_id", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(20), server_default="pending", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("earlier_attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True)),
        sa.Column("last_status", sa.Integer()),
        sa.Column("last_error", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            name="fk_webhook_deliveries_webhook_id_webhooks",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        sa.UniqueConstraint("webhook_id", "event_id", name="uq_webhook_deliveries_webhook_id"),
    )
    open_ones, ended = sa.text("status = 'pending'"), sa.text("status <> 'pending'")
    name, table = "idx_webhook_deliveries", "webhook_deliveries"
    op.create_index(f"{name}_due", table, ["next_attempt_at"], postgresql_where=open_ones)
    op.create_index(f"{name}_webhook", table, ["webhook_id", "created_at", "id"])
    op.create_index(f"{name}_ended", table, ["created_at"], postgresql_where=ended)


def downgrade() -> None:
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
    op.execute("DROP TRIGGER wake_readers ON events")
    op.execute("DROP FUNCTION omoi_wake_readers()")
    op.drop_table("event_eras")
    for column in ("ticket_id", "xid", "era"):
        op.drop_column("events", column)
