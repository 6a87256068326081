"""`omoi db`: look after the database."""

from __future__ import annotations

from cyclopts import App

from omoi_os.bootstrap import open_services
from omoi_os.settings import Settings

app = App(name="db", help="Look after the database.")


@app.command
def upgrade() -> int:
    """Bring the database to this version's schema; every other command does so too when it starts."""
    with open_services(Settings()) as services:
        print(f"the schema is at {services.db.check_ready()}")
    return 0
