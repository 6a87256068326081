"""Which names belong into a snapshot: what git tracks or would track, or all of a plain folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from omoi_os.domain.evidence import Unreadable, UnreadableCode
from omoi_os.evidence.beneath import FOLDER_FLAGS
from omoi_os.evidence.git import Origin
from omoi_os.evidence.git_index import failed, read_head
from omoi_os.evidence.git_layout import find_layout, read_refs
from omoi_os.evidence.git_quarantine import Quarantine, quarantine
from omoi_os.evidence.limits import GIB, MIB, Deadline, ReadLimits
from omoi_os.evidence.paths import SKIPPED_FOLDERS, open_workspace

_LISTED_BYTES = 256 * MIB
# An index of a megabyte names about ten thousand files.
_REMEMBERED_BYTES = MIB
_MOST_HEADS = 8
_PLAIN = frozenset({UnreadableCode.NO_REPOSITORY, UnreadableCode.GIT_FAILED})


@dataclass(frozen=True, slots=True)
class SnapshotLimits:
    """Bounds of one snapshot; over any of them there is none.

    Attributes:
        max_files: Files, links and whatever else has a name.
        max_depth: Folders above a file, counted from the workspace's root.
        max_seconds: Wall-clock time of everything, with all attempts.
    """

    max_files: int = 50_000
    max_bytes: int = 2 * GIB
    max_depth: int = 64
    max_seconds: float = 60.0


class NotTaken(Exception):
    """There is no snapshot, and `reason` says why."""

    def __init__(self, reason: Unreadable) -> None:
        super().__init__(reason.detail)
        self.reason = reason


class Changed(Exception):
    """Something moved in the workspace while it was read; the message is its path."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The names that a snapshot is made of, sorted by folder; none is a link to follow.

    Attributes:
        top: The folder that the names are relative to: the workspace, or the repository around it.
        inside: The workspace under `top`; "." where it is the same.
        names: Regular files, and whatever else stands where one could be.
        may_be_gone: Those of `names` that need not exist: git knows them, or a worker named them.
        repositories: Folders that are repositories of their own.
        extras: Those of `names` that git ignores.
        origin: The repository, or why there is none to compare with.
    """

    top: Path
    inside: str
    names: tuple[str, ...]
    origin: Origin | Unreadable
    may_be_gone: frozenset[str] = frozenset()
    repositories: frozenset[str] = frozenset()
    extras: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be listed.

    Attributes:
        workspace: Absolute and without links.
        also: Paths in the workspace that are evidence, whether or not git ignores them.
        store: The folder of all snapshots, which belongs into none.
    """

    workspace: Path
    also: tuple[str, ...]
    store: Path | None
    limits: SnapshotLimits
    clock: Deadline = field(compare=False)

    def store_under(self, top: Path) -> str:
        """The store as a prefix of names, with a slash at its end; "" where it lies elsewhere."""
        if self.store is None or not self.store.is_relative_to(top):
            return ""
        return f"{self.store.relative_to(top).as_posix()}/"


type Again = Callable[[], Listing | None]
"""Lists once more; None where something else is there than the first time could have seen."""


@contextmanager
def listed(wanted: Wanted) -> Iterator[tuple[Listing, Again]]:
    """The names of a workspace, by git where it can tell, and otherwise all of them.

    A repository that git cannot read is listed like a plain folder: that is more and never less. A file that
    git neither tracks nor lists (a FIFO, say) is not named.

    Raises:
        NotTaken: The workspace is over a bound.
    """
    if wanted.store is not None and wanted.workspace.is_relative_to(wanted.store):
        detail = "the workspace lies in the folder that snapshots are kept in"
        raise NotTaken(Unreadable(UnreadableCode.NO_WORKSPACE, detail, "Set OMOI_WORKSPACES to another."))
    origin = _origin(wanted.workspace)
    if isinstance(origin, Origin):
        limits = ReadLimits(max_bytes=_LISTED_BYTES, max_seconds=wanted.clock.left)
        with quarantine(origin.layout, origin.refs, limits) as git:
            found = _first(git, origin, wanted)
            if not isinstance(found, Unreadable):
                repository, listing = found
                yield listing, repository.again
                return
        origin = found
    yield (
        _listing(wanted, Listing(wanted.workspace, ".", tuple(_walk(wanted)), origin)),
        lambda: _anew(wanted),
    )


def _anew(wanted: Wanted) -> Listing:
    with listed(wanted) as (listing, _):
        return listing


def _listing(wanted: Wanted, found: Listing) -> Listing:
    prefix = "" if found.inside == "." else f"{found.inside}/"
    named = {prefix + path for path in map(_clean, wanted.also) if path}
    ours = wanted.store_under(found.top)
    # A file there that git tracks (a README, say) would otherwise look as if it were deleted.
    tracked = found.may_be_gone
    kept = {name for name in found.names if name in tracked or not (ours and name.startswith(ours))}
    extras = named - kept - found.repositories
    names = kept | extras
    for name in names:
        if name.count("/") > wanted.limits.max_depth:
            raise _too_deep(wanted.limits)
    if len(names) + len(found.repositories) > wanted.limits.max_files:
        raise _too_many(wanted.limits)
    return Listing(
        found.top,
        found.inside,
        tuple(sorted(names, key=_by_folder)),
        found.origin,
        found.may_be_gone | extras,
        found.repositories,
        frozenset(extras),
    )


def _by_folder(name: str) -> tuple[str, str]:
    folder, _, last = name.rpartition("/")
    return folder, last


def _clean(path: str) -> str:
    """A path as it would be listed; "" for one that cannot be, or that leads into a git directory.

    Files of the worker's choice under `.git` would make the snapshot a repository with a configuration.
    """
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if path.startswith("/") or ".." in parts or "\0" in path or any(map(_is_git, parts)):
        return ""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return ""
    return "/".join(parts)


def _is_git(name: str) -> bool:
    return name.casefold() == ".git"


# Git


def _origin(workspace: Path) -> Origin | Unreadable:
    layout = find_layout(workspace)
    if isinstance(layout, Unreadable):
        return layout
    if not workspace.is_relative_to(layout.top):
        detail = "the workspace is reached through a symbolic link"
        return Unreadable(UnreadableCode.GIT_FAILED, detail, "Name the folder itself.")
    refs = read_refs(layout)
    if isinstance(refs, Unreadable):
        return refs
    return Origin(layout, refs, workspace.relative_to(layout.top).as_posix())


@dataclass(frozen=True, slots=True)
class _Head:
    """A commit: as an index, and the names in it."""

    index: bytes
    files: frozenset[str]
    submodules: frozenset[str]


_heads: dict[tuple[Path, str, str], _Head] = {}


@dataclass(frozen=True, slots=True)
class _Repository:
    """Lists a repository twice. What a commit names cannot change, so only files are looked for anew."""

    git: Quarantine
    origin: Origin
    wanted: Wanted
    head: _Head

    def listing(self) -> Listing:
        inside = self.origin.inside
        others = _names(self.git, "ls-files", "-z", "--others", "--exclude-standard", "--", inside)
        # A repository inside the workspace is listed with a slash at its end.
        inner = {name.rstrip("/") for name in others if name.endswith("/")}
        known = self.head.files | set(_attributes(inside))
        names = known | {name for name in others if not name.endswith("/")}
        repositories = self.head.submodules | inner
        found = Listing(self.origin.layout.top, inside, tuple(names), self.origin, known, repositories)
        return _listing(self.wanted, found)

    def again(self) -> Listing | None:
        if _origin(self.wanted.workspace) != self.origin or not self.git.is_up_to_date():
            return None
        listing = _told(self.listing, self.wanted)
        return None if isinstance(listing, Unreadable) else listing


def _first(
    git: Quarantine | Unreadable, origin: Origin, wanted: Wanted
) -> tuple[_Repository, Listing] | Unreadable:
    if isinstance(git, Unreadable):
        return git

    def ask() -> tuple[_Repository, Listing]:
        repository = _Repository(git, origin, wanted, _of_head(git, origin))
        return repository, repository.listing()

    return _told(ask, wanted)


def _told[Answer](ask: Callable[[], Answer], wanted: Wanted) -> Answer | Unreadable:
    """What git says, or why it cannot."""
    try:
        return ask()
    except NotTaken as none:
        if none.reason.code in _PLAIN:
            return none.reason
        if none.reason.code is UnreadableCode.TOO_SLOW:
            raise too_slow(wanted.limits) from none
        raise


def _of_head(git: Quarantine, origin: Origin) -> _Head:
    """What the commit that is checked out names, and git's index of it. It is remembered by its id."""
    index = git.home / "git" / "index"
    key = (origin.layout.common, origin.refs.head, origin.inside)
    if (known := _heads.get(key)) is not None:
        index.write_bytes(known.index)
        return known
    head = _read_head(git, origin, index)
    if len(head.index) <= _REMEMBERED_BYTES:
        if len(_heads) >= _MOST_HEADS:
            _heads.clear()
        _heads[key] = head
    return head


def _read_head(git: Quarantine, origin: Origin, index: Path) -> _Head:
    if problem := read_head(git, origin.refs):
        raise NotTaken(problem)
    tracked: set[str] = set()
    submodules: set[str] = set()
    for line in _names(git, "ls-files", "-z", "--stage", "--", origin.inside):
        about, _, name = line.partition("\t")
        (submodules if about.startswith("160000") else tracked).add(name)
    return _Head(index.read_bytes(), frozenset(tracked), frozenset(submodules))


def _names(git: Quarantine, *command: str) -> list[str]:
    answer = git.run(*command)
    if isinstance(answer, Unreadable):
        raise NotTaken(answer)
    if answer.code:
        raise NotTaken(failed("git cannot list the files", answer))
    return [os.fsdecode(name) for name in answer.stdout.split(b"\0") if name]


def _attributes(inside: str) -> Iterable[str]:
    """Files around the workspace that say which line ends git compares inside."""
    parts = [] if inside == "." else inside.split("/")
    return ("/".join([*parts[:depth], ".gitattributes"]) for depth in range(len(parts)))


# Plain folders


def _walk(wanted: Wanted) -> Iterator[str]:
    opened = open_workspace(wanted.workspace, follow=False)
    if isinstance(opened, Unreadable):
        raise NotTaken(opened)
    with opened as workspace:
        descriptor = workspace.descriptor(["."])
        try:
            yield from islice(_below(descriptor, "", wanted), wanted.limits.max_files + 1)
        finally:
            os.close(descriptor)


def _below(folder: int, prefix: str, wanted: Wanted) -> Iterator[str]:
    """Names under a folder. Recursion is bounded by the depth."""
    if prefix.count("/") > wanted.limits.max_depth:
        raise _too_deep(wanted.limits)
    if wanted.clock.passed:
        raise too_slow(wanted.limits)
    ours = wanted.store_under(wanted.workspace)
    folders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is_git(entry.name):
                continue
            if not entry.is_dir(follow_symlinks=False):
                yield prefix + entry.name
            elif entry.name not in SKIPPED_FOLDERS and f"{prefix}{entry.name}/" != ours:
                folders.append(entry.name)
    for name in folders:
        below = _enter(folder, name, prefix + name)
        try:
            yield from _below(below, f"{prefix}{name}/", wanted)
        finally:
            os.close(below)


def _enter(folder: int, name: str, path: str) -> int:
    try:
        return os.open(name, FOLDER_FLAGS, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Changed(path) from error
    except PermissionError as error:
        raise cannot_open(path, error) from error


# Refusals


def _too_many(limits: SnapshotLimits) -> NotTaken:
    return _over(UnreadableCode.TOO_MANY, f"the workspace has more than {limits.max_files:,} files")


def too_large(limits: SnapshotLimits) -> NotTaken:
    return _over(UnreadableCode.TOO_LARGE, f"the workspace has more than {limits.max_bytes:,} bytes")


def too_slow(limits: SnapshotLimits) -> NotTaken:
    detail = f"reading the workspace takes more than {limits.max_seconds:g} seconds"
    return _over(UnreadableCode.TOO_SLOW, detail)


def _too_deep(limits: SnapshotLimits) -> NotTaken:
    detail = f"the workspace has more than {limits.max_depth} folders inside each other"
    return _over(UnreadableCode.TOO_DEEP, detail)


def _over(code: UnreadableCode, detail: str) -> NotTaken:
    fix = "Let git ignore what is generated, or give the ticket a smaller folder as its workspace."
    return NotTaken(Unreadable(code, detail, fix))


def cannot_open(path: str, error: OSError) -> NotTaken:
    detail = f"{shown(path)} cannot be opened ({error.strerror})"
    return NotTaken(Unreadable(UnreadableCode.CANNOT_BE_OPENED, detail, "Let the reviewer read it."))


def shown(path: str) -> str:
    """A name out of the workspace as it may be printed."""
    return path[:200] if path.isprintable() else ascii(path[:200])[1:-1]
