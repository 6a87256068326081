"""A git range in a workspace becomes the bytes of a unified diff."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from omoi_os.domain.evidence import Unreadable, UnreadableCode
from omoi_os.evidence.git_index import Kept, failed, index_tree
from omoi_os.evidence.git_layout import Layout, Refs, find_layout, read_refs
from omoi_os.evidence.git_quarantine import Quarantine, quarantine
from omoi_os.evidence.limits import ReadLimits

WORKTREE = "WORKTREE"
_DEFAULT_BASES = (
    "refs/remotes/origin/HEAD",
    "refs/remotes/origin/main",
    "refs/remotes/origin/master",
    "refs/heads/main",
    "refs/heads/master",
)
_TRUNKS = ("refs/heads/main", "refs/heads/master")
_NAME = re.compile(r"(?!-)(?!.*(?:\.\.|@\{|\^\{))[^\x00-\x20\x7f-\x9f:?*\[\\\"'`$;|&<>(){}]{1,255}")
_ID = re.compile(rb"[0-9a-f]{40,64}")
_NAME_A_BASE = "Name the commit that the work started from as the base."
_MOST_BASES = 1024
_bases: dict[tuple[str, str, str | None, str | None, frozenset[tuple[str, str]]], str] = {}
# Whole files as context: only so can the reader tell an assertion from one in an open comment or string.
_CONTEXT = 1_000_000


@dataclass(frozen=True, slots=True)
class GitDiff:
    """What a range changes.

    Attributes:
        base: The full id of the commit that is compared with.
        base_name: Where it comes from, for people ("merge base with origin/main").
        head: The full id of the newer commit; for a working tree, of the commit below it.
        head_name: "WORKTREE", or the name that was asked for.
        diff: The unified diff, with paths relative to the repository.
    """

    base: str
    base_name: str
    head: str
    head_name: str
    diff: bytes


def open_range(
    workspace: Path,
    base: str | None,
    *,
    head: str = WORKTREE,
    limits: ReadLimits = ReadLimits(),  # noqa: B008 frozen
    context: int = _CONTEXT,
) -> GitDiff | Unreadable:
    """Compares a workspace with the point where its work began.

    The comparison starts at the merge base of `base` and `head`. Without a base, that is the merge
    base with origin's main branch or the local one; on main itself without a remote it is HEAD.
    Refs lie in the workspace, so whoever works there can move them: pass a commit id from a place
    of your own where that matters.

    "WORKTREE" means everything on disk: committed, staged, unstaged, and untracked files that git
    does not ignore. A workspace that is a folder inside a repository is compared alone.
    Nothing in the workspace is executed or written.
    """
    for name in (base, head):
        if name is not None and not _NAME.fullmatch(name):
            return _bad_name()
    if not workspace.is_dir():
        return Unreadable(
            UnreadableCode.NO_WORKSPACE, "the workspace is not a folder", "Name an existing folder."
        )
    layout = find_layout(workspace)
    if isinstance(layout, Unreadable):
        return layout
    refs = read_refs(layout)
    if isinstance(refs, Unreadable):
        return refs
    inside = workspace.resolve().relative_to(layout.top).as_posix()
    with quarantine(layout, refs, limits) as git:
        if isinstance(git, Unreadable):
            return git
        return _Range(git, refs, inside, context).read(base, head)


def base_of(
    workspace: Path,
    base: str | None,
    *,
    limits: ReadLimits = ReadLimits(),  # noqa: B008 frozen
) -> str | Unreadable:
    """The id of the commit with which `open_range` would compare the working tree."""
    layout = find_layout(workspace)
    if isinstance(layout, Unreadable):
        return layout
    refs = read_refs(layout)
    if isinstance(refs, Unreadable):
        return refs
    return base_among(layout, refs, base, limits=limits)


def base_among(
    layout: Layout,
    refs: Refs,
    base: str | None,
    *,
    limits: ReadLimits = ReadLimits(),  # noqa: B008 frozen
) -> str | Unreadable:
    """The same for refs as they were read once.

    It is remembered by the ids of all refs: what commits have in common never changes.
    """
    if base is not None and not _NAME.fullmatch(base):
        return _bad_name()
    key = (str(layout.top), refs.head, refs.branch, base, frozenset(refs.ids.items()))
    if (known := _bases.get(key)) is not None:
        return known
    with quarantine(layout, refs, limits) as git:
        if isinstance(git, Unreadable):
            return git
        start = _Range(git, refs, ".", 0).start(base, refs.head)
    if isinstance(start, Unreadable):
        return start
    if len(_bases) >= _MOST_BASES:
        _bases.clear()
    _bases[key] = start[0]
    return start[0]


@dataclass(frozen=True, slots=True)
class Origin:
    """The repository that a snapshot was taken from, as it was then: later commits do not count.

    Attributes:
        inside: The workspace in the repository; "." for the whole of it.
    """

    layout: Layout
    refs: Refs
    inside: str


def open_range_of_snapshot(
    origin: Origin,
    tree: Path,
    kept: Kept,
    base: str | None,
    *,
    limits: ReadLimits = ReadLimits(),  # noqa: B008 frozen
) -> GitDiff | Unreadable:
    """Like `open_range` to the working tree, whose files are read from a snapshot and from nowhere else.

    Of the workspace only commits and objects are read, which their ids name.

    Args:
        tree: Holds the files, under the names that they have in the repository.
        kept: What the files alone do not show.
    """
    if base is not None and not _NAME.fullmatch(base):
        return _bad_name()
    with quarantine(origin.layout, origin.refs, limits, tree=tree) as git:
        if isinstance(git, Unreadable):
            return git
        return _Range(git, origin.refs, origin.inside, _CONTEXT, kept).read(base, WORKTREE)


@dataclass(frozen=True, slots=True)
class _Range:
    git: Quarantine
    refs: Refs
    inside: str
    context: int
    kept: Kept | None = None

    def read(self, base: str | None, head: str) -> GitDiff | Unreadable:
        newer = self.refs.head if head == WORKTREE else self._commit(head)
        if isinstance(newer, Unreadable):
            return newer
        start = self.start(base, newer)
        if isinstance(start, Unreadable):
            return start
        older, name = start
        diff = self._worktree(older) if head == WORKTREE else self._diff(older, newer)
        if isinstance(diff, Unreadable):
            return diff
        if not diff and base is None:
            return Unreadable(
                UnreadableCode.EMPTY,
                f"nothing differs from the {name}, so there is nothing to compare",
                _NAME_A_BASE,
            )
        return GitDiff(older, name, newer, head, diff)

    def start(self, base: str | None, newer: str) -> tuple[str, str] | Unreadable:
        """The commit that is compared with, and its name for people."""
        return self._default_base(newer) if base is None else self._named_base(base, newer)

    def _default_base(self, newer: str) -> tuple[str, str] | Unreadable:
        for ref in _DEFAULT_BASES:
            if ref in self.refs.ids and ref != self.refs.branch:
                return self._merge_base(self.refs.ids[ref], newer, ref.split("/", 2)[2])
        if self.refs.branch in _TRUNKS:
            return self.refs.head, "last commit"
        return Unreadable(
            UnreadableCode.GIT_FAILED, "the repository has no main branch to compare with", _NAME_A_BASE
        )

    def _named_base(self, base: str, newer: str) -> tuple[str, str] | Unreadable:
        commit = self._commit(base)
        return commit if isinstance(commit, Unreadable) else self._merge_base(commit, newer, base)

    def _commit(self, name: str) -> str | Unreadable:
        answer = self.git.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if isinstance(answer, Unreadable):
            return answer
        found = answer.stdout.split()
        if answer.code or not found or not _ID.fullmatch(found[-1]):
            return Unreadable(
                UnreadableCode.GIT_FAILED, f"the repository has no commit called {name!r}", _NAME_A_BASE
            )
        return found[-1].decode()

    def _merge_base(self, older: str, newer: str, name: str) -> tuple[str, str] | Unreadable:
        answer = self.git.run("merge-base", "--end-of-options", older, newer)
        if isinstance(answer, Unreadable):
            return answer
        if answer.code == 0 and _ID.fullmatch(answer.stdout.strip()):
            return answer.stdout.strip().decode(), f"merge base with {name}"
        if answer.code != 1:
            return failed("git cannot read the history", answer)
        if (self.git.home / "git" / "shallow").exists():
            return Unreadable(
                UnreadableCode.GIT_FAILED,
                f"this is a shallow clone, and its history has no commit in common with {name}",
                "Run `git fetch --unshallow` first.",
            )
        return Unreadable(
            UnreadableCode.GIT_FAILED, f"the history has no commit in common with {name}", _NAME_A_BASE
        )

    def _worktree(self, older: str) -> bytes | Unreadable:
        problem = index_tree(self.git, self.refs, self.inside, self.kept)
        return problem if problem is not None else self._diff("--cached", older)

    def _diff(self, *between: str) -> bytes | Unreadable:
        answer = self.git.run(
            "diff-index" if between[0] == "--cached" else "diff-tree",
            *("-p", "-r", "--no-ext-diff", "--no-textconv", "--no-color", "-M", "--full-index"),
            *("--src-prefix=a/", "--dst-prefix=b/", "--submodule=short", "--ignore-submodules=none"),
            f"--unified={self.context}",
            *between,
            *("--", self.inside),
        )
        if isinstance(answer, Unreadable):
            return answer
        return failed("git cannot compare the files", answer) if answer.code else answer.stdout


def _bad_name() -> Unreadable:
    return Unreadable(
        UnreadableCode.GIT_FAILED,
        "the base or head is not the plain name of a branch, a tag or a commit",
        "Name a branch, a tag or a commit id.",
    )
