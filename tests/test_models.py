"""Every text and JSON value is checked where it is set, for every column there is."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import JSON, String
from sqlalchemy.exc import DisconnectionError

from omoi_os.domain.storable import MAX_JSON_DEPTH, MAX_TEXT, problem_in_json
from omoi_os.errors import InvalidInput, TextNotStorable, TextTooLong
from omoi_os.models import Base, Ticket
from omoi_os.services.database import DatabaseService, _mark_new, _refuse_dead


def columns(kind: type) -> list[Any]:
    return [
        pytest.param(mapper.class_, column, id=f"{mapper.class_.__name__}.{column.key}")
        for mapper in sorted(Base.registry.mappers, key=lambda mapper: mapper.class_.__name__)
        for column in mapper.columns
        if isinstance(column.type, kind) and column.computed is None
    ]


@pytest.mark.parametrize(("model", "column"), columns(String))
def test_a_text_that_is_too_long_is_named_with_its_limit(model: type[Base], column: Any) -> None:
    limit = column.type.length or MAX_TEXT
    model(**{column.key: "é" * limit})
    with pytest.raises(TextTooLong, match=rf"{column.key}: it has .* and {limit:,} are allowed"):
        model(**{column.key: "é" * (limit + 1)})


@pytest.mark.parametrize(("model", "column"), columns(String))
@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "x\udfff"])
def test_a_text_that_postgresql_cannot_hold_is_refused(model: type[Base], column: Any, text: str) -> None:
    with pytest.raises(TextNotStorable, match=column.key):
        model(**{column.key: text})


@pytest.mark.parametrize(("model", "column"), columns(JSON))
def test_json_that_postgresql_cannot_hold_is_refused(model: type[Base], column: Any) -> None:
    with pytest.raises(InvalidInput, match=column.key):
        model(**{column.key: {"a": [float("nan")]}})


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": {"b": [1, 2.5, None, True, "x", {}]}}, None),
        (2**63 - 1, None),
        (-(2**63) + 1, None),
        (nested(MAX_JSON_DEPTH), None),
        (nested(MAX_JSON_DEPTH + 1), "nested"),
        (nested(100_000), "nested"),
        (float("nan"), "finite"),
        ([float("inf")], "finite"),
        (2**63, "64 bits"),
        ({"a\x00": 1}, "key"),
        ({"a": "\x00"}, "NUL"),
        ({"a": ["\udc00"]}, "surrogate"),
        ({1: 2}, "not a text"),
        ({"a": {1, 2}}, "set is not JSON"),
        ({"a": b"x"}, "bytes is not JSON"),
    ],
)
def test_json_is_checked_without_recursion(value: object, said: str | None) -> None:
    problem = problem_in_json(value)
    assert (problem is None) if said is None else (problem is not None and said in problem)


def test_what_passes_the_check_is_stored_and_read_unchanged(db_service: DatabaseService) -> None:
    context = {"text": "🙂 e\u0301 \u202e", "numbers": [2**63 - 1, -0.5, 1e-300], "deep": nested(90)}
    with db_service.get_session() as session:
        session.add(Ticket(id="t", title="x" * 500, description="é" * 1000, context=context))
    with db_service.get_session() as session:
        ticket = session.get_one(Ticket, "t")
        assert ticket.context == context


def test_objects_stay_readable_and_commits_inside_the_block_work(db_service: DatabaseService) -> None:
    with db_service.get_session() as session:
        ticket = Ticket(title="x")
        session.add(ticket)
        session.commit()
        session.refresh(ticket)
        session.expunge(ticket)
    assert ticket.title == "x"


def test_an_error_inside_the_block_rolls_back(db_service: DatabaseService) -> None:
    def fail() -> None:
        with db_service.get_session() as session:
            session.add(Ticket(id="never", title="x"))
            session.flush()
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with db_service.get_session() as session:
        assert session.get(Ticket, "never") is None


def test_tables_can_be_made_without_migrations(empty_database: str) -> None:
    db = DatabaseService(empty_database)
    db.create_tables()
    with db.get_session() as session:
        session.add(Ticket(title="x"))
    db.drop_tables()
    db.close()


def test_a_connection_that_has_something_to_say_is_not_handed_out_unless_it_is_new() -> None:
    ours, server = socket.socketpair()
    server.send(b"bye")
    connection = SimpleNamespace(pgconn=SimpleNamespace(socket=ours.fileno()))
    record = SimpleNamespace(info={})
    with ours, server:
        _mark_new(connection, record)  # type: ignore[arg-type]
        _refuse_dead(connection, record, None)  # type: ignore[arg-type]
        with pytest.raises(DisconnectionError):
            _refuse_dead(connection, record, None)  # type: ignore[arg-type]
