"""Git in quarantine: a directory of our own stands in for a `.git` that an agent could write.

A repository's config is a list of programs to run (fsmonitor, filters, diff drivers, hooks, ssh).
So none of it is used: git runs with a fresh git directory, a config written here, an index built
from HEAD (the workspace's index can mark files as "unchanged"), and the workspace's objects
as a read-only alternate. Only plumbing is called, and none that starts git inside a submodule.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from omoi_os.domain.evidence import Unreadable, UnreadableCode
from omoi_os.evidence.git_layout import Layout, Refs, read_small
from omoi_os.evidence.git_process import Bounds, Output, find_git, run, safe_path
from omoi_os.evidence.languages import CODE_EXTENSIONS
from omoi_os.evidence.limits import MIB, Deadline, ReadLimits

_CONFIG = """\
[core]
\tbare = false
\trepositoryformatversion = {version}
\tfsmonitor = false
\tuntrackedCache = false
\thooksPath = /dev/null
\tattributesFile = /dev/null
\texcludesFile = /dev/null
\tpager = cat
\tcommitGraph = false
\tmultiPackIndex = false
\tcompression = 0
\tsafecrlf = false
\tautocrlf = false
\tbigFileThreshold = 64m
[protocol]
\tallow = never
[gc]
\tauto = 0
[submodule]
\trecurse = false
"""
# Attributes of the repository rank below this file. A filter or an encoding would change the text,
# `-diff` and `binary` would hide it. Line ends (`text`, `eol`) stay as the repository says.
_ATTRIBUTES = "* !filter !working-tree-encoding !ident !diff !merge\n"
_MAX_EXCLUDE = MIB
_COPIED = ("shallow", "info/exclude")


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Runs git for one read; `home` is deleted afterwards.

    Attributes:
        tree: The files that are looked at: the working tree of `layout`, or a snapshot of it.
    """

    git: str
    home: Path
    layout: Layout
    tree: Path
    limits: ReadLimits
    deadline: Deadline
    env: dict[str, str]

    def run(self, *arguments: str, stdin: bytes = b"", objects: bool = True) -> Output | Unreadable:
        """Runs one git command.

        Args:
            objects: Lends the workspace's objects. They stay out where objects are written: git
                renews the time stamp of an object that it already finds, in the workspace too.
        """
        env = dict(self.env)
        if objects:
            env["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = _quoted(self.layout.common / "objects")
        return run(
            [self.git, "--no-pager", *arguments],
            env=env,
            cwd=self.tree,
            stdin=stdin,
            bounds=Bounds(self.limits.max_bytes, self.deadline),
        )

    def is_up_to_date(self) -> bool:
        """Whether the files of the repository that were copied here are still the same there."""
        return all(
            read_small(self.layout.common / name, _MAX_EXCLUDE)
            == read_small(self.home / "git" / name, _MAX_EXCLUDE)
            for name in _COPIED
        )


@contextmanager
def quarantine(
    layout: Layout, refs: Refs, limits: ReadLimits, *, tree: Path | None = None
) -> Iterator[Quarantine | Unreadable]:
    """A git directory outside the workspace that knows its refs and objects, and none of its settings.

    Args:
        tree: A copy of the working tree, to be looked at in its place.
    """
    tree = tree or layout.top
    git = find_git(layout.top)
    if git is None:
        yield Unreadable(
            UnreadableCode.GIT_FAILED, "git is not on the PATH", "Install git, or attach a diff."
        )
        return
    with TemporaryDirectory(prefix="omoi-git-") as folder:
        home = Path(folder)
        _fill(home / "git", layout, refs)
        env = _environment(home, layout, tree)
        yield Quarantine(git, home, layout, tree, limits, Deadline(limits.max_seconds), env)


def _fill(git_dir: Path, layout: Layout, refs: Refs) -> None:
    for part in ("objects", "refs", "info"):
        (git_dir / part).mkdir(parents=True)
    sha256 = len(refs.head) == 64
    config = _CONFIG.format(version=1 if sha256 else 0)
    if sha256:
        config += "[extensions]\n\tobjectFormat = sha256\n"
    _write(git_dir / "config", config)
    _write(git_dir / "HEAD", f"{refs.head}\n")
    _write(git_dir / "packed-refs", "".join(f"{refs.ids[name]} {name}\n" for name in sorted(refs.ids)))
    extensions = sorted({*CODE_EXTENSIONS, *(one.upper() for one in CODE_EXTENSIONS)})
    _write(git_dir / "info" / "attributes", _ATTRIBUTES + "".join(f"*.{one} diff\n" for one in extensions))
    for name in _COPIED:
        text = read_small(layout.common / name, _MAX_EXCLUDE)
        if text is not None:
            _write(git_dir / name, text)


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))


def _environment(home: Path, layout: Layout, tree: Path) -> dict[str, str]:
    """Everything that git may see; nothing is inherited but the safe part of PATH."""
    return {
        "PATH": safe_path(layout.top),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "LC_ALL": "C",
        "GIT_DIR": str(home / "git"),
        "GIT_WORK_TREE": str(tree),
        "GIT_INDEX_FILE": str(home / "git" / "index"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_ALLOW_PROTOCOL": "",
    }


def _quoted(path: Path) -> str:
    # The variable is a list: a colon or a quote in a folder's name would split it.
    escaped = os.fspath(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
