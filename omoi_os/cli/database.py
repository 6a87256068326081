"""`omoi db`: look after the database."""

from __future__ import annotations

from cyclopts import App

from omoi_os.cli.opening import opened, read_settings

app = App(name="db", help="Look after the database.")


@app.command
def upgrade() -> int:
    """Bring the database to this version's schema; every other command does so too when it starts."""
    with opened(read_settings()) as services:
        print(f"the schema is at {services.db.check_ready()}")
    return 0
