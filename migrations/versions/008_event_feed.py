"""Events in an order that can be followed exactly, and webhooks that are told about them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "008_event_feed"
down_revision = "006_judge_calibrations"
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


def downgrade() -> None:
    op.execute("DROP TRIGGER wake_readers ON events")
    op.execute("DROP FUNCTION omoi_wake_readers()")
    op.drop_table("event_eras")
    for column in ("ticket_id", "xid", "era"):
        op.drop_column("events", column)
