"""The script of the demo: what is worked on, and what its models say. It stands beside the samples."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec

from omoi_os.cli import samples

_FILE: Final = samples.FOLDER / "story" / "story.toml"
BASE: Final = "short-links/base"
"""What stands in the workspace before the ticket."""


class Work(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done in one task.

    Attributes:
        looks_at: The file that is read first.
        says: What is said of the work when it is handed in.
        folder: The files that are written, in `samples.FOLDER`; "" for none.
        reports: What tools wrote in a real run of these files, in `samples.FOLDER`; "" for none.
        artifacts: As a task's result names them.
    """

    says: str
    looks_at: str = ""
    folder: str = ""
    reports: str = ""
    decisions: list[str] = []
    artifacts: list[dict[str, Any]] = []

    @property
    def files(self) -> dict[str, str]:
        """What is written, by its path in the workspace."""
        found = samples.files(self.folder) if self.folder else {}
        return {path: content.decode() for path, content in found.items()}


class Quote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shows that a criterion is met, and the artifact or file in which it stands."""

    quote: str
    where: str


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ticket, and everybody's part.

    Attributes:
        work: By type of task, what the worker's model does.
        outside: The same for agents outside, who can run things.
        quotes: By criterion, what the judge's model answers.
    """

    title: str
    description: str
    branch: str
    work: dict[str, Work]
    outside: dict[str, Work]
    quotes: dict[str, Quote]


@cache
def script() -> Script:
    """The script."""
    return msgspec.toml.decode(_FILE.read_bytes(), type=Script)
