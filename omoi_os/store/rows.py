"""Rows that statements written by hand return, as objects of the models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import Connection
from psycopg.rows import TupleRow, dict_row
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.orm.util import identity_key

from omoi_os.models.base import Base


def loaded[Row: Base](model: type[Row], values: Mapping[str, Any]) -> Row:
    """A detached object as if a session had loaded it: no attribute event fires, nothing is pending."""
    row: Row = model.__mapper__.class_manager.new_instance()
    row.__dict__.update(values)
    instance_state(row).key = identity_key(model, values["id"])
    return row


def fetch_all[Row: Base](
    connection: Connection[TupleRow], model: type[Row], statement: str, values: Mapping[str, Any]
) -> list[Row]:
    """What `statement` returns; it must name all columns of `model`."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(statement, values, prepare=True).fetchall()
    return [loaded(model, row) for row in rows]


def fetch_one[Row: Base](
    connection: Connection[TupleRow], model: type[Row], statement: str, values: Mapping[str, Any]
) -> Row | None:
    """The first row of `fetch_all`, or None."""
    return next(iter(fetch_all(connection, model, statement, values)), None)
