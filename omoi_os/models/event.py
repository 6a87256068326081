from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Computed, DateTime, Identity, Index, Integer, String, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from omoi_os.models.base import Base, new_id
from omoi_os.utils.datetime import utc_now

TICKET_OF_EVENT: Final = "CASE WHEN entity_type = 'ticket' THEN entity_id ELSE payload ->> 'ticket_id' END"
TRANSACTION: Final = "((pg_current_xact_id())::text)::bigint"


class Event(Base):
    """One thing that happened, written in the transaction that made it happen; never changed.

    Transactions commit out of order, so a reader that follows `seq` would miss some. The order that never
    changes behind a reader is (era, xid, seq), among rows of transactions older than any that still runs.

    Attributes:
        era: Numbering of transactions to which `xid` belongs: a dump that is restored elsewhere begins a
            new one. The default is raised there, and the writers need not know.
        xid: The transaction that wrote the row.
        ticket_id: The ticket that it is about.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index("idx_events_entity", "entity_type", "entity_id", "seq"),
        Index("idx_events_feed", "era", "xid", "seq"),
        Index(
            "idx_events_ticket",
            "ticket_id",
            "era",
            "xid",
            "seq",
            postgresql_where=text("ticket_id IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String, primary_key=True, default=new_id)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    event_type: Mapped[str] = mapped_column(String(100))
    entity_type: Mapped[str] = mapped_column(String(50))
    entity_id: Mapped[str] = mapped_column(String)
    payload: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)
    era: Mapped[int] = mapped_column(Integer, server_default="1")
    xid: Mapped[int] = mapped_column(BigInteger, server_default=text(TRANSACTION))
    ticket_id: Mapped[str | None] = mapped_column(String, Computed(TICKET_OF_EVENT, persisted=True))


class EventEra(Base):
    """A numbering of transactions, and the cluster that it belongs to; the newest one is in force.

    Attributes:
        cluster: The server's system identifier and timeline.
    """

    __tablename__ = "event_eras"

    era: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    cluster: Mapped[str] = mapped_column(String(60))
    began_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
