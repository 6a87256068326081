"""The declarative base: every text and JSON value is checked when it is set.

The check stands here and not only in the API's schemas, so that no caller (CLI, worker, test, another
program) meets the driver's DataError: the lengths are read from the columns and exist once.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from sqlalchemy import JSON, Column, MetaData, String, event
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, QueryableAttribute

from omoi_os.domain.storable import MAX_TEXT, problem_in_json, problem_in_text
from omoi_os.errors import InvalidInput, TextNotStorable, TextTooLong


class Base(DeclarativeBase):
    """Base of all tables; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def new_id() -> str:
    """A fresh id: uuid4 text."""
    return str(uuid4())


def text_limit(attribute: InstrumentedAttribute[Any]) -> int:
    """Characters that a mapped text attribute can hold."""
    return getattr(attribute.type, "length", None) or MAX_TEXT


def check_text(field: str, value: str, limit: int = MAX_TEXT) -> None:
    """Raise `TextTooLong` or `TextNotStorable` where `field` cannot hold `value`."""
    if problem := problem_in_text(value, limit):
        error = TextTooLong if len(value) > limit else TextNotStorable
        raise error(f"{field}: {problem}", field=field, limit=limit)


def check_json(field: str, value: object) -> None:
    """Raise `InvalidInput` where the JSON column `field` cannot hold `value`."""
    if problem := problem_in_json(value):
        raise InvalidInput(f"{field}: {problem}", field=field)


@event.listens_for(Base, "attribute_instrument")
def _check_on_set(_cls: type[Base], key: str, attribute: QueryableAttribute[Any]) -> None:
    column = getattr(attribute, "expression", None)
    if not isinstance(column, Column):
        return
    if isinstance(column.type, String):
        limit = column.type.length or MAX_TEXT

        @event.listens_for(attribute, "set")
        def _text(_target: Base, value: object, *_: object) -> None:
            if isinstance(value, str):
                check_text(key, value, limit)

    elif isinstance(column.type, JSON):

        @event.listens_for(attribute, "set")
        def _json(_target: Base, value: object, *_: object) -> None:
            check_json(key, value)
