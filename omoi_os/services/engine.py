"""The port to the durable engine: what services ask of it, and nothing of what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy.orm import Session

REVIEWS: Final = "reviews"
"""Queue of reviews that the rules may decide; `JUDGING` is the one of those that need a judge."""

JUDGING: Final = "judging"
WEBHOOKS: Final = "webhooks"


@dataclass(frozen=True, slots=True)
class Job:
    """A workflow to be run by some worker.

    Attributes:
        id: Of the workflow; one that exists already is not enqueued again.
        arguments: As JSON.
        priority: 1 for the most urgent.
        delay: Seconds before which it does not begin.
        timeout: Seconds after which it is ended, from its beginning; None for no limit.
    """

    workflow: str
    queue: str
    id: str
    arguments: tuple[str | int, ...] = ()
    priority: int = 3
    delay: float = 0.0
    timeout: float | None = None


class Engine(Protocol):
    """Runs jobs, whatever happens to the process that enqueued them."""

    def prepare(self) -> None:
        """Do what takes long before the first job is enqueued; needed by nobody who can wait then."""

    def enqueue(self, session: Session, job: Job) -> None:
        """Add a job in the transaction of `session`: it exists if, and only if, that commits."""

    def cancel(self, workflow_id: str) -> None:
        """End a job at its next step, and a conversation at once; nothing where it is over."""


class NoEngine:
    """For processes that know none: what they ask for stands in its row, where workers look for strays."""

    def prepare(self) -> None:
        pass

    def enqueue(self, session: Session, job: Job) -> None:
        pass

    def cancel(self, workflow_id: str) -> None:
        pass
