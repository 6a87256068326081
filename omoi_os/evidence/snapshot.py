"""A read-only copy of a workspace, so that everything of one review is read from the same bytes.

The worker goes on writing while it is reviewed. A report that is read now and a diff that is made a second
later may belong to two states, of which neither would pass.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from omoi_os.domain.evidence import Unreadable, UnreadableCode
from omoi_os.evidence.git import GitDiff, Origin, base_among, open_range_of_snapshot
from omoi_os.evidence.git_index import Kept
from omoi_os.evidence.limits import Deadline
from omoi_os.evidence.paths import open_workspace
from omoi_os.evidence.snapshot_list import (
    Changed,
    Listing,
    NotTaken,
    SnapshotLimits,
    Wanted,
    listed,
    shown,
)
from omoi_os.evidence.snapshot_scan import NOTHING, UNKNOWN, Entry, Kind, Scan, digest_of
from omoi_os.evidence.snapshot_store import Held, Writer, hold

ATTEMPTS: Final = 3
"""Times that a workspace which changes meanwhile is read again from the beginning."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A name that a snapshot does not hold: a link, a repository inside, a file with several names …"""

    path: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A workspace as it was at one moment. Remove it, or use it in a `with` statement.

    Attributes:
        root: The copy; files are 0444, or 0555 where the worker's were executable, and folders 0555.
        digest: Of all names, kinds and contents, with those that are left out.
        left_out: Sorted by path; as many as there are, within the bound of files.
        head: The commit that was checked out, where there is a repository.
    """

    root: Path
    digest: str
    files: int
    size: int
    left_out: tuple[LeftOut, ...]
    head: str | None
    _held: Held
    _origin: Origin | Unreadable
    _kept: Kept

    def change(self, base: str | None = None) -> GitDiff | Unreadable:
        """What differs between the point where the work began and the files of this snapshot.

        Args:
            base: As for `open_range`.
        """
        if isinstance(self._origin, Unreadable):
            return self._origin
        for left_out in self.left_out:
            if problem := _unlike_git(left_out, self._kept):
                return problem
        return open_range_of_snapshot(self._origin, self._held.tree, self._kept, base)

    def base(self, named: str | None = None) -> str | Unreadable:
        """The id of the commit that `change` compares with, by the refs as they were then."""
        if isinstance(self._origin, Unreadable):
            return self._origin
        return base_among(self._origin.layout, self._origin.refs, named)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        remove_snapshot(self)


def take_snapshot(
    workspace: Path,
    into: Path,
    *,
    also: Sequence[str] = (),
    limits: SnapshotLimits = SnapshotLimits(),  # noqa: B008 frozen
) -> Snapshot | Unreadable:
    """Copy what git tracks or would track, or all files of a plain folder but those of tools.

    Nothing in the workspace is executed or written, and no link is followed. Over a bound there is no
    snapshot, and neither while the workspace does not hold still: a part of it could look like the whole.

    Args:
        workspace: Absolute and resolved.
        into: A folder that is made, named by the review's id; its parent holds all snapshots and is never
            copied itself.
        also: Evidence that is copied though git ignores it, as it does most reports.

    Raises:
        SnapshotInUse: A process holds `into`.
    """
    wanted = Wanted(workspace, tuple(also), into.parent.resolve(), limits, Deadline(limits.max_seconds))

    def attempt() -> Snapshot:
        held = hold(into)
        try:
            return _take(wanted, held)
        except BaseException:
            held.remove()
            raise

    return _held_still(attempt)


def workspace_digest(
    workspace: Path,
    *,
    also: Sequence[str] = (),
    store: Path | None = None,
    limits: SnapshotLimits = SnapshotLimits(),  # noqa: B008 frozen
) -> str | Unreadable:
    """The digest that a snapshot taken now would have; every file is read, and nothing is copied.

    Args:
        also: As for the snapshot.
        store: The folder of all snapshots, which is not looked at.
    """
    own = store.resolve() if store else None
    wanted = Wanted(workspace, tuple(also), own, limits, Deadline(limits.max_seconds))
    return _held_still(lambda: digest_of(_read(wanted, None)[1]))


def remove_snapshot(snapshot: Snapshot) -> None:
    """Delete the copy; a second call does nothing."""
    snapshot._held.remove()


def _held_still[Found](attempt: Callable[[], Found]) -> Found | Unreadable:
    moved = ""
    for _ in range(ATTEMPTS):
        try:
            return attempt()
        except NotTaken as none:
            return none.reason
        except Changed as change:
            moved = shown(str(change))
    return Unreadable(
        UnreadableCode.WORKSPACE_CHANGED,
        f"{moved} changed during each of {ATTEMPTS} attempts to read the workspace",
        "Wait until nobody works there, or let git ignore what is written all the time.",
    )


def _take(wanted: Wanted, held: Held) -> Snapshot:
    with Writer(held.tree) as writer:
        listing, entries = _read(wanted, writer)
        repositories = {entry.path: entry.text for entry in entries if entry.kind is Kind.REPOSITORY}
        # For git an empty folder is a submodule that is not checked out, and none is one that was deleted.
        for path in (*repositories, *([] if listing.inside == "." else [listing.inside])):
            writer.make(path)
        writer.seal()
    kept = [entry for entry in entries if entry.kind.is_kept]
    return Snapshot(
        root=held.tree / listing.inside,
        digest=digest_of(entries),
        files=len(kept),
        size=sum(entry.size for entry in kept),
        left_out=tuple(sorted((_left_out(one) for one in entries if not one.kind.is_kept), key=_path)),
        head=listing.origin.refs.head if isinstance(listing.origin, Origin) else None,
        _held=held,
        _origin=listing.origin,
        _kept=Kept(
            frozenset(map(os.fsencode, listing.extras)),
            {
                os.fsencode(one.path): one.text
                for one in entries
                if one.kind is Kind.LINK and one.path not in listing.extras
            },
            {os.fsencode(path): text for path, text in repositories.items() if text != NOTHING},
        ),
    )


def _read(wanted: Wanted, writer: Writer | None) -> tuple[Listing, list[Entry]]:
    with listed(wanted) as (listing, again):
        opened = open_workspace(listing.top, follow=False)
        if isinstance(opened, Unreadable):
            raise NotTaken(opened)
        with opened as workspace:
            scan = Scan(listing, workspace, wanted.limits, wanted.clock, writer)
            entries = scan.read()
            scan.check(entries)
        if again() != listing:
            raise Changed("the list of files")
    return listing, entries


def _left_out(entry: Entry) -> LeftOut:
    return LeftOut(entry.path, entry.kind)


def _path(left_out: LeftOut) -> str:
    return left_out.path


def _unlike_git(left_out: LeftOut, kept: Kept) -> Unreadable | None:
    """Why there is no change: git would look at a file that is not here, and see it as deleted."""
    name = shown(left_out.path)
    if os.fsencode(left_out.path) in kept.extras:
        return None
    match left_out.kind:
        case Kind.HARD_LINK:
            detail, fix = f"{name} has several names (hard links)", "Put a copy of the file in its place."
            return Unreadable(UnreadableCode.OUTSIDE_WORKSPACE, detail, fix)
        case Kind.SPECIAL:
            detail, fix = f"{name} is no regular file", "Delete it, or put the file back."
            return Unreadable(UnreadableCode.NOT_A_REGULAR_FILE, detail, fix)
        case Kind.REPOSITORY if kept.repositories.get(os.fsencode(left_out.path)) == UNKNOWN:
            detail, fix = (
                f"{name} is a repository that cannot be read",
                "Commit something in it, or delete it.",
            )
            return Unreadable(UnreadableCode.GIT_FAILED, detail, fix)
        case _:
            return None
