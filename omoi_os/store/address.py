"""Database addresses as people write them."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from omoi_os.errors import InvalidInput


def sqlalchemy_url(address: str) -> URL:
    """`address` for SQLAlchemy with psycopg 3; `postgres://` and `postgresql://` are understood.

    Raises:
        InvalidInput: It is not an address, or not one of PostgreSQL. The message holds no password.
    """
    try:
        url = make_url(address)
    except ArgumentError:
        raise InvalidInput(
            "OMOI_DATABASE_URL is not an address; write postgresql://user:password@host/database"
        ) from None
    if url.drivername not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise InvalidInput(
            f"OMOI_DATABASE_URL names {url.drivername!r}, and only PostgreSQL is supported; "
            "write postgresql://user:password@host/database"
        )
    return url.set(drivername="postgresql+psycopg")
