"""The application's clock. Leases, timeouts and expiry use the database's clock instead."""

from __future__ import annotations

from datetime import datetime

from whenever import Instant


def utc_now() -> datetime:
    """The current time as an aware `datetime` in UTC."""
    return Instant.now().to_stdlib()
