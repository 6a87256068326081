"""An index of what is on disk, built from HEAD in quarantine: of a working tree, or of a snapshot of one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from omoi_os.domain.evidence import Unreadable, UnreadableCode
from omoi_os.evidence.git_layout import Refs
from omoi_os.evidence.git_process import Output
from omoi_os.evidence.git_quarantine import Quarantine

_CHANGED: Final = ("--modified", "--deleted", "--others")
_PUT: Final = ("update-index", "--add", "--remove", "--replace", "-z")
_LINK, _REPOSITORY = b"120000", b"160000"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the files of a snapshot do not show, and a change does.

    Attributes:
        extras: Files that are in the snapshot though git ignores them.
        links: Where each symbolic link leads.
        repositories: The commit of each repository inside the workspace.
    """

    extras: frozenset[bytes]
    links: Mapping[bytes, bytes]
    repositories: Mapping[bytes, bytes]


def index_tree(git: Quarantine, refs: Refs, inside: str, kept: Kept | None) -> Unreadable | None:
    """Fill the quarantine's index with the files of its tree.

    Args:
        inside: The folder that counts; everything else is taken from HEAD.
        kept: Where the tree is a snapshot, what it does not show by itself.
    """
    index = _Index(git, refs)
    return index.read_head() or index.add_changes(inside, kept) or (index.add_kept(kept) if kept else None)


@dataclass(frozen=True, slots=True)
class _Index:
    git: Quarantine
    refs: Refs

    def read_head(self) -> Unreadable | None:
        if problem := read_head(self.git, self.refs):
            return problem
        # Its exit code only says that files differ; a real failure shows in the next step.
        answer = self.git.run("update-index", "-q", "--refresh")
        return answer if isinstance(answer, Unreadable) else None

    def add_changes(self, inside: str, kept: Kept | None) -> Unreadable | None:
        # What a snapshot holds was chosen when it was taken, by the workspace's ignore files.
        ignored = ("--exclude-standard",) if kept is None else ()
        answer = self.git.run("ls-files", "-z", *_CHANGED, *ignored, "--", inside)
        if isinstance(answer, Unreadable):
            return answer
        if answer.code:
            return failed("git cannot list the changed files", answer)
        extras = frozenset() if kept is None else kept.extras
        # A repository inside the workspace is listed with a slash at its end.
        names = sorted({name.rstrip(b"/") for name in answer.stdout.split(b"\0") if name} - extras)
        problem = self._too_much(names)
        if problem is not None or not names:
            return problem
        beyond = [name for name in names if self._is_beyond_link(name)]
        gone = b"".join(b"0 %s\t%s\0" % (b"0" * len(self.refs.head), name) for name in beyond)
        stay = b"".join(name + b"\0" for name in names if name not in set(beyond))
        return self._put("--index-info", gone) or self._put("--stdin", stay)

    def add_kept(self, kept: Kept) -> Unreadable | None:
        ids = self._write_links(list(kept.links.values()))
        if isinstance(ids, Unreadable):
            return ids
        links = zip(kept.links, ids, strict=True)
        entries = [b"%s %s\t%s\0" % (_LINK, id_, name) for name, id_ in links]
        entries += [b"%s %s\t%s\0" % (_REPOSITORY, id_, name) for name, id_ in kept.repositories.items()]
        return self._put("--index-info", b"".join(entries)) if entries else None

    def _write_links(self, targets: Sequence[bytes]) -> list[bytes] | Unreadable:
        """Git keeps a link as a blob that holds its target."""
        if not targets:
            return []
        folder = self.git.home / "links"
        folder.mkdir()
        paths = [folder / str(number) for number in range(len(targets))]
        for path, target in zip(paths, targets, strict=True):
            path.write_bytes(target)
        given = b"".join(bytes(path) + b"\n" for path in paths)
        answer = self.git.run(
            "hash-object", "-w", "--no-filters", "--stdin-paths", stdin=given, objects=False
        )
        if isinstance(answer, Unreadable):
            return answer
        return failed("git cannot keep the links", answer) if answer.code else answer.stdout.split()

    def _put(self, where: str, entries: bytes) -> Unreadable | None:
        answer = self.git.run(*_PUT, where, stdin=entries, objects=False)
        if isinstance(answer, Unreadable):
            return answer
        return failed("git cannot read the changed files", answer) if answer.code else None

    def _is_beyond_link(self, name: bytes) -> bool:
        # A folder that became a link: for git its files are gone, whatever the link leads to.
        parts = name.decode("utf-8", "surrogateescape").split("/")[:-1]
        folder = self.git.tree
        for part in parts:
            folder = folder / part
            if folder.is_symlink():
                return True
        return False

    def _too_much(self, names: list[bytes]) -> Unreadable | None:
        limits = self.git.limits
        if len(names) > limits.max_items:
            return Unreadable(
                UnreadableCode.TOO_MANY,
                f"more than {limits.max_items} files changed",
                "Ignore generated files.",
            )
        size = 0
        for name in names:
            path = self.git.tree / name.decode("utf-8", "surrogateescape")
            try:
                size += path.lstat().st_size
            except OSError:
                continue
        if size > limits.max_bytes:
            # A sparse or huge file would be copied to the temporary folder before the diff is cut.
            return Unreadable(
                UnreadableCode.TOO_LARGE,
                f"the changed files have more than {limits.max_bytes} bytes",
                "Ignore large generated files.",
            )
        return None


def read_head(git: Quarantine, refs: Refs) -> Unreadable | None:
    """An index of HEAD, which knows nothing of the files yet."""
    answer = git.run("read-tree", refs.head)
    if isinstance(answer, Unreadable):
        return answer
    return failed("git cannot read the files of HEAD", answer) if answer.code else None


def failed(what: str, answer: Output) -> Unreadable:
    """`what` went wrong, with git's own words."""
    said = f" ({answer.complaint})" if answer.complaint else ""
    missing = re.search(r"unable to read|missing|bad object|corrupt|not a valid object", answer.complaint)
    fix = (
        "Fetch the missing objects, or check the repository with `git fsck`."
        if missing
        else "Try `git status`."
    )
    return Unreadable(UnreadableCode.GIT_FAILED, what + said, fix)
