"""The queue in a hundred lines without a database: what the real one is compared with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

IN_FLIGHT = {"assigned", "running"}
FOR_GOOD = ("Task cancelled: ", "Permanent error: ", "Blocked by task ", "permission denied")


@dataclass(slots=True)
class Item:
    """A task; `rests` while a retry waits for its time."""

    id: str
    rank: int
    needs: frozenset[str]
    most: int
    status: str = "pending"
    agent: str | None = None
    retries: int = 0
    error: str | None = None
    rests: bool = False

    @property
    def lost(self) -> bool:
        """Whether it failed for good."""
        final = self.retries >= self.most or (self.error or "").startswith(FOR_GOOD)
        return self.status == "failed" and final


@dataclass(slots=True)
class Model:
    """Tasks in the order of their making."""

    items: dict[str, Item] = field(default_factory=dict)

    def waits(self, item: Item) -> bool:
        return any(self.items[id_].status != "completed" for id_ in item.needs)

    def next(self) -> Item | None:
        ready = [
            i for i in self.items.values() if i.status == "pending" and not i.rests and not self.waits(i)
        ]
        return min(ready, key=lambda item: item.rank, default=None)  # the first of equals is the oldest

    def take(self, item: Item, agent: str) -> None:
        item.status, item.agent, item.rests = "assigned", agent, False

    def fail(self, item: Item, error: str) -> None:
        item.status, item.error = "failed", error
        self.settle([item])

    def retry(self, item: Item) -> bool:
        if item.status != "failed" or item.lost:
            return False
        self.again(item)
        self.settle([item])
        return True

    def again(self, item: Item) -> None:
        item.status, item.agent, item.error, item.rests = "pending", None, None, True
        item.retries += 1

    def reset(self, item: Item) -> set[str] | None:
        """Ids of what begins anew; None where it may not."""
        if item.status != "failed":
            return None
        revived = {item.id}
        grown = True
        while grown:
            more = {
                other.id
                for other in self.items.values()
                if other.needs & revived and (other.error or "").startswith(f"Blocked by task {item.id} ")
            }
            grown = not more <= revived
            revived |= more
        if any(self.items[id_].lost for id_ in item.needs):
            return None
        for other in (self.items[id_] for id_ in revived):
            other.status, other.agent, other.error, other.retries, other.rests = (
                "pending",
                None,
                None,
                0,
                False,
            )
        self.settle([self.items[id_] for id_ in revived])
        return {id_ for id_ in revived if self.items[id_].status == "pending"}

    def settle(self, moved: Iterable[Item]) -> None:
        """Fail what waits for a task that failed for good; the cause with the least id is named."""
        asked = {item.id for item in moved}
        asked |= {id_ for item in moved if item.status == "pending" for id_ in item.needs}
        causes: dict[str, str] = {}
        for cause in sorted(id_ for id_ in asked if self.items[id_].lost):
            reached = {cause}
            for item in self.items.values():  # a task is made after what it needs
                if item.status == "pending" and item.needs & reached:
                    reached.add(item.id)
                    causes.setdefault(item.id, cause)
        for id_, cause in causes.items():
            self.items[id_].status = "failed"
            self.items[id_].error = f"Blocked by task {cause} "
