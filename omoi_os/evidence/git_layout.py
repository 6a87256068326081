"""Where a workspace keeps its git data, and its refs, read without running git and without its config."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from omoi_os.domain.evidence import Unreadable, UnreadableCode
from omoi_os.evidence.limits import MIB

_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REF = re.compile(r"refs/(?!replace/)[^\x00-\x20\x7f~^:?*\[\\]+")
_MAX_REFS = 50_000
_MAX_SMALL = 4096
_MAX_PACKED = 16 * MIB
_SYMBOLIC_DEPTH = 5


@dataclass(frozen=True, slots=True)
class Layout:
    """The git data of one working tree.

    Attributes:
        top: The folder that holds `.git`.
        git_dir: Holds HEAD; for a linked worktree it is not `common`.
        common: Holds refs and objects.
    """

    top: Path
    git_dir: Path
    common: Path


@dataclass(frozen=True, slots=True)
class Refs:
    """Names and the ids that they stand for; `branch` is the ref that HEAD names, if it names one."""

    ids: dict[str, str]
    head: str
    branch: str | None


def find_layout(workspace: Path) -> Layout | Unreadable:
    """Finds the working tree around a folder, following no symbolic link."""
    start = workspace.resolve()
    for folder in (start, *start.parents):
        dot_git = folder / ".git"
        kind = _kind(dot_git)
        if kind == "folder":
            return _checked(folder, dot_git, dot_git)
        if kind == "file":
            return _linked(folder, dot_git)
        if kind:
            return _odd("the workspace's .git is a symbolic link or a special file")
        if folder == start and _looks_like_git_dir(folder):
            return Unreadable(
                UnreadableCode.GIT_FAILED,
                "the workspace is a bare repository, which has no files to compare",
                "Name a folder that was made with `git clone` or `git worktree add`.",
            )
    return Unreadable(
        UnreadableCode.NO_REPOSITORY,
        "the workspace is not inside a git repository",
        "Run `git init` and commit the starting point, or attach a diff.",
    )


def _linked(folder: Path, dot_git: Path) -> Layout | Unreadable:
    text = read_small(dot_git) or ""
    if not text.startswith("gitdir: "):
        return _odd("the workspace's .git file names no git directory")
    git_dir = Path(os.path.normpath(folder / text.removeprefix("gitdir: ").rstrip("\n")))
    if _kind(git_dir) != "folder":
        return _odd("the git directory that the workspace's .git file names is not there")
    common_text = read_small(git_dir / "commondir")
    if common_text is None:
        return _submodule(folder, git_dir)
    # Without its link back, a .git file could point the review at any repository of the operator.
    back = read_small(git_dir / "gitdir") or ""
    if Path(os.path.normpath(git_dir / back.strip())).resolve() != dot_git.resolve():
        return _odd("the git directory that the workspace's .git file names belongs to another worktree")
    common = Path(os.path.normpath(git_dir / common_text.strip()))
    if git_dir.parent.parent != common:
        return _odd("the worktree's common directory is not the one around it")
    return _checked(folder, git_dir, common)


def _submodule(folder: Path, git_dir: Path) -> Layout | Unreadable:
    around = [parent / ".git" / "modules" for parent in folder.parents]
    if not any(git_dir.is_relative_to(modules) for modules in around):
        return _odd("the workspace's .git file points outside the repository around it")
    return _checked(folder, git_dir, git_dir)


def _checked(top: Path, git_dir: Path, common: Path) -> Layout | Unreadable:
    for part in (git_dir, common, common / "objects", common / "refs"):
        if _kind(part) != "folder":
            return _odd(f"{part.name} in the git directory is missing or a symbolic link")
    return Layout(top, git_dir, common)


def _odd(detail: str) -> Unreadable:
    return Unreadable(
        UnreadableCode.GIT_FAILED, detail, "Repair the repository (`git fsck`, `git worktree repair`)."
    )


def _kind(path: Path) -> str:
    """ "folder", "file", "other", or "" when nothing is there; a link is "other"."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return ""
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "other"


def _looks_like_git_dir(folder: Path) -> bool:
    kinds = (_kind(folder / "HEAD"), _kind(folder / "objects"), _kind(folder / "refs"))
    return kinds == ("file", "folder", "folder")


def read_small(path: Path, max_bytes: int = _MAX_SMALL) -> str | None:
    """A small regular file as text; None where there is none, or it is a link, or larger."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        data = file.read(max_bytes + 1)
    return data.decode("utf-8", "surrogateescape") if len(data) <= max_bytes else None


def read_refs(layout: Layout) -> Refs | Unreadable:
    """HEAD and every ref of the repository; replacement refs are left out, since they change history."""
    texts = _loose(layout.common)
    packed = _packed(layout.common)
    if texts is None or packed is None:
        return Unreadable(
            UnreadableCode.TOO_MANY,
            f"the repository has more than {_MAX_REFS} refs",
            "Delete refs that nobody uses.",
        )
    ids = dict(packed)
    for name in texts:
        found = _resolve(texts[name], texts, packed)
        if found:
            ids[name] = found
    head_text = (read_small(layout.git_dir / "HEAD") or "").strip()
    branch = head_text.removeprefix("ref: ") if head_text.startswith("ref: ") else None
    head = _resolve(head_text, texts, packed)
    if head is None:
        return _no_head(branch)
    return Refs(ids, head, branch)


def _no_head(branch: str | None) -> Unreadable:
    if branch == "refs/heads/.invalid":
        detail, fix = (
            "the repository keeps its refs as reftable, which is not read here",
            "Attach a diff instead.",
        )
    elif branch:
        detail, fix = "the repository has no commit yet", "Commit the starting point first."
    else:
        detail, fix = "the repository's HEAD is broken", "Check out a branch."
    return Unreadable(UnreadableCode.GIT_FAILED, detail, fix)


def _resolve(text: str, loose: dict[str, str], packed: dict[str, str]) -> str | None:
    for _ in range(_SYMBOLIC_DEPTH):
        if _ID.fullmatch(text):
            return text
        name = text.removeprefix("ref: ")
        if name == text:
            return None
        text = loose.get(name) or packed.get(name) or ""
    return None


def _packed(common: Path) -> dict[str, str] | None:
    if not _kind(common / "packed-refs"):
        return {}
    text = read_small(common / "packed-refs", _MAX_PACKED)
    if text is None:
        return None
    found = {}
    for line in text.splitlines():
        oid, _, name = line.partition(" ")
        if _ID.fullmatch(oid) and _REF.fullmatch(name):
            found[name] = oid
    return found if len(found) <= _MAX_REFS else None


def _loose(common: Path) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for folder, _, files in os.walk(common / "refs", followlinks=False):
        for file in files:
            path = Path(folder, file)
            name = path.relative_to(common).as_posix()
            text = read_small(path) if _REF.fullmatch(name) else None
            if text is not None:
                found[name] = text.strip()
        if len(found) > _MAX_REFS:
            return None
    return found
