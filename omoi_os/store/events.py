"""SQL of the record of events, for statements that do not write theirs themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow


def tell(
    connection: Connection[TupleRow],
    event_type: str,
    entity_type: str,
    entity_id: str,
    payload: Mapping[str, Any],
) -> None:
    """Write that something happened, in the transaction that made it happen."""
    connection.execute(
        """INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
           VALUES (gen_random_uuid()::text, %s, %s, %s, %s::jsonb, clock_timestamp())""",
        (event_type, entity_type, entity_id, msgspec.json.encode(payload).decode()),
    )
