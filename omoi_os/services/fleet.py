"""How the workers do, for people and for monitors; nothing is decided by it."""

from __future__ import annotations

from dataclasses import dataclass

from omoi_os.services.database import DatabaseService
from omoi_os.store import leases, reviews


@dataclass(frozen=True, slots=True)
class Fleet:
    """The workers, and what they have to do.

    Attributes:
        workers: That gave a sign of life lately.
        reviews: That are asked for and not decided.
        oldest_seconds: Since the first of these was asked for; None where there is none.
    """

    workers: int
    reviews: int
    oldest_seconds: float | None

    @property
    def is_stuck(self) -> bool:
        """Whether something is to be done, and nobody does it."""
        return self.reviews > 0 and self.workers == 0


@dataclass(frozen=True, slots=True)
class FleetService:
    """Counts workers and reviews.

    Attributes:
        lease: Seconds without a sign of life after which a worker is not counted.
    """

    db: DatabaseService
    lease: float

    def look(self) -> Fleet:
        """The fleet as it is now."""
        with self.db.single_statements() as connection:
            waiting, oldest = reviews.backlog(connection)
            return Fleet(leases.living(connection, within=self.lease), waiting, oldest)
