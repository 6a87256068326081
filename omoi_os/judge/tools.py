"""What an agent may do with the tree under review: list it, read it, search it. All of it is bounded.

Every path is opened by the workspace's own walk, from a descriptor and through no link; there is nothing
here that writes, starts a program or talks to a network.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from omoi_os.domain.evidence import Unreadable
from omoi_os.evidence.paths import Workspace, open_workspace
from omoi_os.judge.environment import without_known_secrets
from omoi_os.judge.run import ToolSpec

_MODULE: Final = "omoi_os.judge.tool_definitions"
LIST, READ, SEARCH = "list_files", "read_file", "search_files"


@dataclass(frozen=True, slots=True)
class ToolLimits:
    """What one call of a tool may cost.

    Attributes:
        max_chars: Of an answer; far below what the library would cut off without saying where.
        max_files: Entries of the tree that are looked at.
    """

    max_chars: int = 20_000
    max_line: int = 2_000
    max_lines: int = 2_000
    max_file_bytes: int = 2_000_000
    max_files: int = 20_000
    max_hits: int = 100
    max_seconds: float = 5.0


class ToolRefused(ValueError):
    """The tool cannot do that; the agent is told why and may try something else."""


def reading_tools(root: Path) -> tuple[ToolSpec, ...]:
    """The three tools on a folder.

    The folder is resolved now: later somebody could put a link in its place.
    """
    params = {"root": str(root.expanduser().resolve())}
    return tuple(ToolSpec(name, _MODULE, params) for name in (LIST, READ, SEARCH))


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder that an agent may read."""

    root: Path
    limits: ToolLimits = ToolLimits()

    def files(self, containing: str = "") -> str:
        """The files whose path contains a text, one per line; letter case does not matter."""
        with self._open() as workspace:
            paths = self._find(workspace, containing)
        return self._bounded(iter(paths), "there are more files: ask for fewer") or "(no such file)"

    def read(self, path: str, start: int = 1, count: int = 400) -> str:
        """Lines of a file, each with its number; the first line of the answer says how many there are."""
        with self._open() as workspace:
            lines = self._lines(workspace, path)
        count = min(count, self.limits.max_lines)
        shown = lines[start - 1 : start - 1 + count]
        head = (
            f"{path}: lines {start} to {start + len(shown) - 1} of {len(lines)}"
            if shown
            else (f"{path}: has {len(lines)} lines, there is no line {start}")
        )
        numbered = (f"{number:>6}| {self._clipped(line)}" for number, line in enumerate(shown, start=start))
        more = "the answer is full: ask for the lines after the last one shown"
        return head + "\n" + self._bounded(numbered, more)

    def search(self, text: str, containing: str = "") -> str:
        """Lines that hold `text`; letter case does not matter."""
        deadline = time.monotonic() + self.limits.max_seconds
        with self._open() as workspace:
            paths = self._find(workspace, containing)
            hits = self._hits(workspace, paths, text.casefold(), deadline)
            return self._bounded(hits, "there are more hits: search for something narrower") or "(no hit)"

    def _open(self) -> Workspace:
        workspace = open_workspace(self.root, follow=False)
        if isinstance(workspace, Unreadable):
            raise ToolRefused(workspace.detail)
        return workspace

    def _find(self, workspace: Workspace, containing: str) -> list[str]:
        # Not by a pattern of the agent's: one with many stars would hold up the whole process for hours.
        found = workspace.find(["**"], max_files=self.limits.max_files)
        if isinstance(found, Unreadable):
            raise ToolRefused(found.detail)
        wanted = containing.casefold()
        return [path for path in found if wanted in path.casefold()]

    def _lines(self, workspace: Workspace, path: str) -> list[str]:
        opened = workspace.open(path, max_bytes=self.limits.max_file_bytes)
        if isinstance(opened, Unreadable):
            raise ToolRefused(opened.detail)
        with opened:
            # It may have grown since it was opened.
            content = opened.read(self.limits.max_file_bytes)
        if b"\0" in content:
            raise ToolRefused("the file is not text")
        text = without_known_secrets(content.decode("utf-8", "replace"))
        return text.removesuffix("\n").split("\n")

    def _hits(self, workspace: Workspace, paths: list[str], wanted: str, deadline: float) -> Iterator[str]:
        found = 0
        for path in paths:
            for number, line in enumerate(self._searchable(workspace, path), start=1):
                if time.monotonic() > deadline:
                    yield "(stopped: the search took too long, search fewer files)"
                    return
                if wanted in line.casefold():
                    yield f"{path}:{number}: {self._clipped(line)}"
                    found += 1
                if found >= self.limits.max_hits:
                    yield f"(stopped after {found} hits)"
                    return

    def _searchable(self, workspace: Workspace, path: str) -> list[str]:
        try:
            return self._lines(workspace, path)
        except ToolRefused:
            return []

    def _clipped(self, line: str) -> str:
        return line if len(line) <= self.limits.max_line else line[: self.limits.max_line] + " […]"

    def _bounded(self, lines: Iterator[str], more: str) -> str:
        kept: list[str] = []
        room = self.limits.max_chars
        for line in lines:
            room -= len(line) + 1
            if room < 0:
                kept.append(f"({more})")
                break
            kept.append(line)
        return "\n".join(kept)
