"""What an agent that works may change: text files of one folder. Nothing here starts a program.

A new content is written beside the file and then takes its name, in a folder that was reached through no
link. So a file is there whole or not at all, and a link or a second name at its place is replaced and never
written through. What others obey without being asked is closed: version control, tools of agents, pipelines
that run with a team's secrets, and what the operator keeps.
"""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_IMODE
from typing import Final
from uuid import uuid4

from omoi_os.domain.evidence import Unreadable, UnreadableCode
from omoi_os.evidence.beneath import FOLDER_FLAGS
from omoi_os.evidence.paths import Workspace, open_workspace, parts_of
from omoi_os.judge.run import ToolSpec
from omoi_os.judge.tools import ToolRefused

_MODULE: Final = "omoi_os.judge.writing_definitions"
WRITE, EDIT, DELETE = "write_file", "edit_file", "delete_file"

CLOSED: Final = frozenset(
    {
        *("/.git", "/.hg", "/.svn", "/.omoi", "/omoi.yaml", "/omoi.yml", "/.gitmodules"),
        *("/.openhands", "/.agents", "/.claude", "/.cursor", "/.mcp.json"),
        *("/.github/workflows", "/.github/actions", "/.gitlab-ci.yml", "/.circleci", "/jenkinsfile"),
        *("/.husky", "/.pre-commit-config.yaml", "/.vscode", "/.idea", "/.devcontainer", "/.envrc"),
    }
)
"""What no agent writes, wherever in the tree it stands, as it is written in any letter case."""

_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_GIT_IN_EIGHT_LETTERS: Final = re.compile(r"git~\d")


@dataclass(frozen=True, slots=True)
class WriteLimits:
    """What one conversation may write.

    Attributes:
        max_depth: Folders below the root; the readers of evidence look no deeper.
        max_changes: Calls that changed something.
    """

    max_file_bytes: int = 1_000_000
    max_depth: int = 12
    max_changes: int = 500
    max_bytes: int = 20_000_000


def writing_tools(root: Path, closed: Sequence[Path] = ()) -> tuple[ToolSpec, ...]:
    """The three tools on a folder, which is resolved now.

    Args:
        closed: What the operator keeps; where it lies in the folder, it cannot be written.
    """
    folder = root.expanduser().resolve()
    inside = [path.expanduser().resolve() for path in closed]
    names = [str(path.relative_to(folder)) for path in inside if path.is_relative_to(folder)]
    params = {"root": str(folder), "closed": names}
    return tuple(ToolSpec(name, _MODULE, params) for name in (WRITE, EDIT, DELETE))


@dataclass(slots=True)
class WritableTree:
    """A folder that an agent may change.

    Attributes:
        closed: Paths in it that are closed beside those that always are; "." closes all of it.
    """

    root: Path
    closed: tuple[str, ...] = ()
    limits: WriteLimits = WriteLimits()
    _changes: int = field(default=0, init=False)
    _bytes: int = field(default=0, init=False)

    def write(self, path: str, content: str) -> str:
        """Make a file, or give one another content; folders on the way are made."""
        data = self._encoded(content)
        with self._workspace() as workspace:
            parts = self._open_parts(path)
            before = self._mode(workspace, path)
            self._count(len(data))
            self._replace(workspace, parts, data, before)
        return f"{path}: {'written anew' if before is not None else 'made'}, {len(data):,} bytes"

    def edit(self, path: str, old: str, new: str) -> str:
        """Replace the one place of a file that reads `old`."""
        with self._workspace() as workspace:
            parts = self._open_parts(path)
            mode = self._mode(workspace, path)
            text = self._text(workspace, path)
            place = text.find(old)
            if place < 0 or text.find(old, place + 1) >= 0:
                found = "not" if place < 0 else "more than once"
                raise ToolRefused(f"the text stands {found} in the file; it must stand there once")
            data = self._encoded(text[:place] + new + text[place + len(old) :])
            self._count(len(data))
            self._replace(workspace, parts, data, mode)
        return f"{path}: changed, {len(data):,} bytes"

    def delete(self, path: str) -> str:
        """Delete a file; folders stay."""
        with self._workspace() as workspace:
            parts = self._open_parts(path)
            if self._mode(workspace, path) is None:
                raise ToolRefused("there is no such file in the workspace")
            self._count(0)
            with _folder(workspace, parts[:-1], make=False) as folder, _told_as_refusal():
                os.unlink(parts[-1], dir_fd=folder)
        return f"{path}: deleted"

    def _workspace(self) -> Workspace:
        workspace = open_workspace(self.root, follow=False)
        if isinstance(workspace, Unreadable):
            raise ToolRefused(workspace.detail)
        return workspace

    def _open_parts(self, path: str) -> list[str]:
        """The names along a path that may be written."""
        parts = parts_of(path)
        if isinstance(parts, Unreadable):
            raise ToolRefused(parts.detail)
        if len(parts) > self.limits.max_depth + 1:
            raise ToolRefused(f"the path has more than {self.limits.max_depth} folders")
        for part in parts:
            if not part.isprintable() or unicodedata.normalize("NFC", part) != part:
                raise ToolRefused("a name has characters that look like others, or like nothing")
            if part != part.strip() or part.endswith("."):
                raise ToolRefused("a name begins or ends with a space, or ends with a dot")
        if is_closed(parts, self.closed):
            raise ToolRefused("that path is closed: no agent writes there")
        return parts

    def _mode(self, workspace: Workspace, path: str) -> int | None:
        """The permissions of the file at the path; None where there is none."""
        opened = workspace.open(path, max_bytes=1 << 62)
        if isinstance(opened, Unreadable):
            if opened.code is UnreadableCode.MISSING:
                return None
            raise ToolRefused(opened.detail)
        with opened:
            return S_IMODE(os.fstat(opened.fileno()).st_mode) & 0o777

    def _text(self, workspace: Workspace, path: str) -> str:
        opened = workspace.open(path, max_bytes=self.limits.max_file_bytes)
        if isinstance(opened, Unreadable):
            raise ToolRefused(opened.detail)
        with opened:
            content = opened.read(self.limits.max_file_bytes + 1)
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            raise ToolRefused("the file is not text in UTF-8") from None

    def _encoded(self, content: str) -> bytes:
        if "\0" in content:
            raise ToolRefused("only text can be written, and the content has a NUL character")
        try:
            data = content.encode("utf-8")
        except UnicodeEncodeError:
            raise ToolRefused("the content has half of a character") from None
        if len(data) > self.limits.max_file_bytes:
            most = self.limits.max_file_bytes
            raise ToolRefused(f"the file would have {len(data):,} bytes, more than {most:,}")
        return data

    def _count(self, size: int) -> None:
        if self._changes >= self.limits.max_changes or self._bytes + size > self.limits.max_bytes:
            raise ToolRefused("you have changed as much as one task may change")
        self._changes += 1
        self._bytes += size

    def _replace(self, workspace: Workspace, parts: Sequence[str], data: bytes, mode: int | None) -> None:
        name = f".omoi-{uuid4().hex}.tmp"
        with _folder(workspace, parts[:-1], make=True) as folder, _told_as_refusal():
            descriptor = os.open(name, _NEW_FILE, 0o666, dir_fd=folder)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    if mode is not None:
                        os.fchmod(file.fileno(), mode)
                os.rename(name, parts[-1], src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
                raise


def is_closed(parts: Sequence[str], closed: Sequence[str] = ()) -> bool:
    """Whether a path lies in what no agent writes, however its letters are written."""
    path = "/" + "/".join(map(_plain, parts)) + "/"
    inside = any(f"{name}/" in path for name in CLOSED)
    own = ("/" if name == "." else "/" + "/".join(map(_plain, name.split("/"))) + "/" for name in closed)
    return inside or any(path.startswith(name) for name in own)


def _plain(name: str) -> str:
    """A name as file systems that forgive differences read it."""
    plain = unicodedata.normalize("NFKC", name).casefold().partition(":")[0].rstrip(" .") or name
    return ".git" if _GIT_IN_EIGHT_LETTERS.fullmatch(plain) else plain


@contextmanager
def _folder(workspace: Workspace, parts: Sequence[str], *, make: bool) -> Iterator[int]:
    """A descriptor of a folder of the workspace, reached through no link."""
    with _told_as_refusal():
        current = workspace.descriptor(["."])
    try:
        for name in parts:
            with _told_as_refusal():
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(name, dir_fd=current)
                below = os.open(name, FOLDER_FLAGS, dir_fd=current)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


_FAULTS_OF_OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EBADF})


@contextmanager
def _told_as_refusal() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FAULTS_OF_OURS:
            raise
        raise ToolRefused(f"the path cannot be written ({error.strerror})") from None
