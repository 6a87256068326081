"""The texts that a judge may quote: the artifacts of the question, and the files that its tools show."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from omoi_os.domain.evidence import Unreadable
from omoi_os.domain.judging import JudgeQuestion
from omoi_os.evidence.paths import open_workspace
from omoi_os.judge.environment import without_known_secrets

BIGGEST_FILE: Final = 2_000_000
"""Bytes, as for the reading tool."""


@dataclass(slots=True)
class ReviewSources:
    """Looks quotes up where the judge has read them.

    What is not the name of an artifact is the path of a file. What was read is kept: a snapshot does not
    change, and answers tend to quote the same few files.
    """

    question: JudgeQuestion
    root: Path | None
    _files: dict[str, str | None] = field(default_factory=dict)

    def text(self, where: str) -> str | None:
        artifact = next((item for item in self.question.artifacts if item.name == where), None)
        if artifact is not None and artifact.text is not None:
            return artifact.text
        path = artifact.path if artifact is not None else where
        if path not in self._files:
            self._files[path] = self._read(path)
        return self._files[path]

    def _read(self, path: str) -> str | None:
        if self.root is None or not path:
            return None
        return read_text(self.root, path)


def read_text(root: Path, path: str) -> str | None:
    """A file as the reading tool shows it, without line numbers; None for what it would refuse."""
    workspace = open_workspace(root, follow=False)
    if isinstance(workspace, Unreadable):
        return None
    with workspace:
        opened = workspace.open(path, max_bytes=BIGGEST_FILE)
        if isinstance(opened, Unreadable):
            return None
        with opened:
            content = opened.read(BIGGEST_FILE)
    if b"\0" in content:
        return None
    return without_known_secrets(content.decode("utf-8", "replace"))
