"""What a verdict was reached on, as digests. The same digests: the same verdict. Any other: it is stale."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Self

_SAID: Final[Mapping[str, str]] = {
    "workspace": "the workspace changed",
    "base": "the change is compared with another commit",
    "tasks": "the phase's tasks changed",
    "policy": "the policy changed",
    "prompts": "the judge's prompts changed",
    "model": "the judge is another model",
    "waivers": "a waiver was given, ended or ran out",
}


UNREADABLE: Final = "unreadable: "
"""Begins what stands for the digest of something that could not be read."""


def digest_of(value: object) -> str:
    """SHA-256 over the one JSON text that every process writes for `value`, as 64 hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Inputs:
    """The digests of everything that a review looked at.

    Attributes:
        artifacts: By type, the digest of path and content of the newest one.
        workspace: Of every file that could be read, or None where the ticket has no workspace.
        base: What the change was compared with, where somebody named it.
        tasks: Of the phase's open tasks, or None where the policy does not ask for them.
        prompts: Of the judge's prompts, and `model` its name; None where no judge was asked.
        waivers: Ids of the waivers that were in force.
    """

    artifacts: Mapping[str, str] = field(default_factory=dict)
    policy: str = ""
    workspace: str | None = None
    base: str | None = None
    tasks: str | None = None
    prompts: str | None = None
    model: str | None = None
    waivers: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """One digest over all of them."""
        return digest_of(self.as_dict())

    @property
    def are_known(self) -> bool:
        """Whether the workspace could be read: nobody can say whether one that could not be has changed."""
        return self.workspace is None or not self.workspace.startswith(UNREADABLE)

    def as_dict(self) -> dict[str, Any]:
        """As it is stored with a verdict."""
        return {**asdict(self), "artifacts": dict(self.artifacts), "waivers": list(self.waivers)}

    @classmethod
    def from_dict(cls, stored: object) -> Self | None:
        """What `as_dict` wrote; None for anything else, such as verdicts of an older version."""
        if not isinstance(stored, dict) or set(stored) != {item.name for item in fields(cls)}:
            return None
        return cls(**{**stored, "waivers": tuple(stored["waivers"])})

    def changes_since(self, before: Inputs) -> list[str]:
        """Why a verdict on `before` says nothing about now, one clause per reason; empty where it does."""
        types = sorted(
            type_
            for type_ in {*self.artifacts, *before.artifacts}
            if self.artifacts.get(type_) != before.artifacts.get(type_)
        )
        reasons = [f"{type_} is new, changed or gone" for type_ in types]
        return reasons + [
            clause for name, clause in _SAID.items() if getattr(self, name) != getattr(before, name)
        ]
