"""A snapshot is a workspace as it was at one moment, whatever the workspace does to prevent it."""

from __future__ import annotations

import mmap
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omoi_os.domain.evidence import ChangeFacts, Unreadable, UnreadableCode
from omoi_os.domain.policy import EvidenceKind, RequiredArtifact
from omoi_os.domain.rules import Artifact
from omoi_os.errors import SnapshotInUse
from omoi_os.evidence.git import GitDiff, open_range
from omoi_os.evidence.measure import measure_all
from omoi_os.evidence.snapshot import (
    Snapshot,
    remove_snapshot,
    take_snapshot,
    workspace_digest,
)
from omoi_os.evidence.snapshot_list import SnapshotLimits
from omoi_os.evidence.snapshot_scan import Entry, Kind, digest_of
from omoi_os.evidence.snapshot_store import LOCK, sweep
from omoi_os.settings import Settings
from tests.repository import commit, git, repository

# Swaps a directory and a link to the outside, without a pause, until it is ended.
SWAPPER = """
import os, sys
here, hold, link = sys.argv[1], sys.argv[2] + "/hold", sys.argv[2] + "/link"
while True:
    os.rename(here, hold); os.rename(link, here)
    os.rename(here, link); os.rename(hold, here)
"""

# Writes a file anew, each time with another byte.
REWRITER = """
import itertools, os, sys
file = os.open(sys.argv[1], os.O_WRONLY)
size = os.fstat(file).st_size
for count in itertools.count(1):
    os.pwrite(file, bytes([count % 255 + 1]) * size, 0)
"""

# Takes a snapshot, says so, and waits to be killed.
HOLDER = """
import sys, time
from pathlib import Path
from omoi_os.evidence.snapshot import take_snapshot
held = take_snapshot(Path(sys.argv[1]), Path(sys.argv[2]))
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def repo(workspace: Path) -> Path:
    repository(
        workspace,
        {
            "src/app.py": "a = 1\n",
            "src/gone.py": "x = 1\n",
            "tests/test_app.py": "def test_a():\n    assert a == 1\n",
            ".gitignore": "*.log\ncoverage.xml\nbuild/\n",
        },
    )
    return workspace


@pytest.fixture(params=["repository", "plain"])
def tree(request: pytest.FixtureRequest, workspace: Path) -> Path:
    """The same files, in a repository and in a plain folder."""
    files = {"src/app.py": "a = 1\n", "docs/plan.md": "# Plan\n", "top.txt": "top\n"}
    if request.param == "repository":
        repository(workspace, files)
    write(workspace, files)
    return workspace


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def taken(root: Path, store: Path, name: str = "one", **options: object) -> Snapshot:
    found = take_snapshot(root, store / name, **options)  # type: ignore[arg-type]
    assert isinstance(found, Snapshot), found
    assert workspace_digest(root, store=store, **options) == found.digest  # type: ignore[arg-type]
    return found


def refused(root: Path, store: Path, **options: object) -> Unreadable:
    found = take_snapshot(root, store / "one", **options)  # type: ignore[arg-type]
    assert isinstance(found, Unreadable), found
    again = workspace_digest(root, store=store, **options)  # type: ignore[arg-type]
    assert isinstance(again, Unreadable)
    assert again.code == found.code
    assert not (store / "one").exists()
    assert found.fix.endswith(".")
    return found


def contents(snapshot: Snapshot) -> dict[str, str]:
    paths = (path for path in snapshot.root.rglob("*") if not path.is_dir())
    return {path.relative_to(snapshot.root).as_posix(): path.read_text() for path in paths}


def left_out(snapshot: Snapshot) -> dict[str, str]:
    return {one.path: one.kind.value for one in snapshot.left_out}


# What is in it


def test_a_snapshot_holds_what_git_tracks_and_what_it_would_track(repo: Path, store: Path) -> None:
    commit(repo, {"src/committed.py": "x = 1\n"}, branch="work")
    write(repo, {"src/staged.py": "staged\n", "src/new.py": "new\n", "src/app.py": "a = 2\n"})
    git(repo, "add", "src/staged.py")
    write(repo, {"debug.log": "noise\n", "build/out.py": "x\n", "src/staged.py": "staged, then changed\n"})
    (repo / "src/gone.py").unlink()
    (repo / "empty").mkdir()
    with taken(repo, store) as snapshot:
        assert contents(snapshot) == {
            ".gitignore": "*.log\ncoverage.xml\nbuild/\n",
            "src/app.py": "a = 2\n",
            "src/committed.py": "x = 1\n",
            "src/new.py": "new\n",
            "src/staged.py": "staged, then changed\n",
            "tests/test_app.py": "def test_a():\n    assert a == 1\n",
        }
        assert snapshot.files == 6
        assert snapshot.size == sum(map(len, contents(snapshot).values()))
        assert snapshot.left_out == ()
        assert snapshot.head == git(repo, "rev-parse", "HEAD").strip()


def test_a_plain_folder_is_taken_without_the_folders_of_tools(workspace: Path, store: Path) -> None:
    write(workspace, {"a/b/c.txt": "c", "node_modules/x.js": "x", "a/__pycache__/y.pyc": "y", ".env": "e"})
    write(workspace, {"a/b/.git/config": "[core]\n", "z/.git": "gitdir: elsewhere\n"})
    (workspace / "empty").mkdir()
    with taken(workspace, store) as snapshot:
        assert contents(snapshot) == {"a/b/c.txt": "c", ".env": "e"}
        assert snapshot.head is None
        change = snapshot.change()
        assert isinstance(change, Unreadable)
        assert change.code is UnreadableCode.NO_REPOSITORY


def test_an_empty_folder_gives_an_empty_snapshot(workspace: Path, store: Path) -> None:
    with taken(workspace, store) as snapshot:
        assert (contents(snapshot), snapshot.files, snapshot.size) == ({}, 0, 0)


def test_a_file_that_head_tracks_is_taken_though_it_is_ignored_now(repo: Path, store: Path) -> None:
    git(repo, "rm", "-q", "--cached", "src/app.py")
    write(repo, {".gitignore": "*.py\n"})
    with taken(repo, store) as snapshot:
        assert "src/app.py" in contents(snapshot)


def test_a_folder_inside_a_repository_is_taken_alone(repo: Path, store: Path) -> None:
    write(repo, {"src/new.py": "new\n", "tests/test_new.py": "x\n", ".gitattributes": "* text=auto\n"})
    with taken(repo / "src", store) as snapshot:
        assert sorted(contents(snapshot)) == ["app.py", "gone.py", "new.py"]
        assert code_files(snapshot) == ("src/new.py",)


def test_named_evidence_is_taken_though_git_ignores_it(repo: Path, store: Path) -> None:
    write(repo, {"coverage.xml": "<coverage/>", "build/junit.xml": "<testsuite/>", "src/app.py": "a = 2\n"})
    with taken(repo, store) as snapshot:
        assert "coverage.xml" not in contents(snapshot)
        without = snapshot.digest
    named = ("coverage.xml", "./build//junit.xml", "no/such.xml", "src/app.py", "../x", "/etc/passwd", "")
    with taken(repo, store, also=named) as snapshot:
        assert contents(snapshot)["coverage.xml"] == "<coverage/>"
        assert "build/junit.xml" in contents(snapshot)
        assert code_files(snapshot) == ("src/app.py",), "what git ignores is no part of the change"
        assert snapshot.digest != without


@pytest.mark.parametrize("name", [".git/config", ".GIT/HEAD", "src/.git/config"])
def test_no_file_of_a_git_directory_can_be_named(repo: Path, store: Path, name: str) -> None:
    write(repo, {"src/.git/config": "[core]\n\tfsmonitor = evil\n"})
    with taken(repo, store, also=(name,)) as snapshot:
        assert name not in contents(snapshot)


def test_what_is_no_plain_file_is_left_out_and_listed(tree: Path, store: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("SECRET")
    (tree / "link.txt").symlink_to(tmp_path / "secret.txt")
    (tree / "folder_link").symlink_to(tmp_path)
    (tree / "dangling").symlink_to("nowhere")
    (tree / "hard.txt").hardlink_to(tmp_path / "secret.txt")
    (tree / "top.txt").unlink()
    os.mkfifo(tree / "top.txt")
    with taken(tree, store) as snapshot:
        assert sorted(contents(snapshot)) == ["docs/plan.md", "src/app.py"]
        assert left_out(snapshot) == {
            "dangling": "link",
            "folder_link": "link",
            "hard.txt": "hard link",
            "link.txt": "link",
            "top.txt": "special file",
        }


def test_a_socket_is_left_out(workspace: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with taken(workspace, store) as snapshot:
            assert left_out(snapshot) == {"socket": "special file"}


def test_odd_names_are_taken_as_they_are(tree: Path, store: Path) -> None:
    names = [
        b"a\nb.txt",
        b"\xff\xfe.txt",
        "ä".encode(),
        b" ",
        b"-x",
        b'q"q',
        b"back\\slash",
        b":(top)",
        b"\x1b",
    ]
    for name in names:
        Path(os.fsdecode(bytes(tree) + b"/" + name)).write_bytes(name)
    with taken(tree, store) as snapshot:
        found = {
            os.fsencode(path.name): path.read_bytes() for path in snapshot.root.iterdir() if path.is_file()
        }
    assert found | {b"top.txt": b"top\n"} == {**dict(zip(names, names, strict=True)), b"top.txt": b"top\n"}


def test_a_snapshot_can_only_be_read(tree: Path, store: Path) -> None:
    (tree / "src/app.py").chmod(0o775)
    before = os.umask(0o077)
    try:
        snapshot = taken(tree, store)
    finally:
        os.umask(before)
    with snapshot:
        paths = [snapshot.root, *snapshot.root.rglob("*")]
        modes = {
            path.relative_to(snapshot.root).as_posix(): stat.S_IMODE(path.lstat().st_mode) for path in paths
        }
    assert modes == {
        ".": 0o555,
        "docs": 0o555,
        "docs/plan.md": 0o444,
        "src": 0o555,
        "src/app.py": 0o555,
        "top.txt": 0o444,
    }
    assert stat.S_IMODE(store.stat().st_mode) == 0o700


def test_a_store_inside_the_workspace_is_not_copied(tree: Path) -> None:
    store = tree / "state" / "workspaces"
    with taken(tree, store, "one") as first:
        before = contents(first)
        with taken(tree, store, "two") as second:
            assert contents(second) == before
            assert first.digest == second.digest
    assert sorted(before) == ["docs/plan.md", "src/app.py", "top.txt"]


def test_a_tracked_file_in_the_store_is_no_deleted_one(repo: Path) -> None:
    commit(repo, {"workspaces/README.md": "Snapshots\n", "workspaces/.gitignore": "!*\n"})
    write(repo, {"workspaces/left/tree/x.py": "x\n", "src/app.py": "a = 2\n"})
    with taken(repo, repo / "workspaces") as snapshot:
        assert code_files(snapshot) == ("src/app.py",)
        assert "workspaces/README.md" in contents(snapshot)
        assert "workspaces/left/tree/x.py" not in contents(snapshot)


def test_a_workspace_inside_the_store_is_refused(store: Path) -> None:
    write(store, {"ticket/a.txt": "a"})
    assert "snapshots" in refused(store / "ticket", store).detail


def test_a_workspace_behind_a_link_is_refused(tree: Path, store: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(tree)
    assert refused(tmp_path / "alias", store).code is UnreadableCode.NO_WORKSPACE
    assert refused(tmp_path / "alias" / "src", store).code is UnreadableCode.NO_WORKSPACE
    assert refused(tmp_path / "nothing", store).code is UnreadableCode.NO_WORKSPACE


@pytest.mark.parametrize("damage", ["no commit", "broken head", "no objects", "link"])
def test_a_repository_that_git_cannot_read_is_taken_whole(
    repo: Path, store: Path, tmp_path: Path, damage: str
) -> None:
    write(repo, {"noise.log": "noise"})
    match damage:
        case "no commit":
            shutil.rmtree(repo / ".git")
            git(repo, "init", "-q")
        case "broken head":
            (repo / ".git/HEAD").write_text("nonsense\n")
        case "no objects":
            shutil.rmtree(repo / ".git/objects")
            (repo / ".git/objects").mkdir()
        case _:
            (repo / ".git").rename(tmp_path / "away")
            (repo / ".git").symlink_to(tmp_path / "away")
    with taken(repo, store) as snapshot:
        assert {"noise.log", "src/app.py"} <= contents(snapshot).keys()
        assert not any(".git" in Path(path).parts for path in contents(snapshot))
        change = snapshot.change()
    assert isinstance(change, Unreadable)
    assert change.code is UnreadableCode.GIT_FAILED


# The change


def code_files(snapshot: Snapshot, base: str | None = None) -> tuple[str, ...]:
    required = RequiredArtifact("code_changes", EvidenceKind.CHANGES)
    measured = measure_all([(required, Artifact("1", "code_changes"))], snapshot, base=base)["code_changes"]
    assert isinstance(measured.facts, ChangeFacts), measured.facts
    return measured.facts.code_files


def diff_of(found: GitDiff | Unreadable) -> bytes:
    assert isinstance(found, GitDiff), found
    return found.diff


@pytest.fixture
def busy(repo: Path, tmp_path: Path) -> Path:
    """Every kind of change that git knows, at once."""
    commit(repo, {"src/committed.py": "x = 1\n", "kept.py": "k\n", "folder/x.py": "x\n", "mode.py": "m\n"})
    (repo / "old_link").symlink_to("kept.py")
    module, missing = repo / "module", repo / "missing"
    for one in (module, missing):
        one.mkdir()
        repository(one, {"inner.py": "x = 1\n"})
    commit(repo, {})
    commit(repo, {"src/later.py": "x = 1\n"}, branch="work")
    commit(module, {"inner.py": "x = 2\n"})
    shutil.rmtree(missing)
    (repo / "nested").mkdir()
    repository(repo / "nested", {"hidden.py": "x = 1\n"})
    write(repo, {"src/app.py": "a = 2\r\n", "src/new.py": "new = 1\n", "x.log": "ignored\n"})
    write(repo, {".gitattributes": "*.py text\n", "tests/test_new.py": "def test_n():\n    assert True\n"})
    (repo / "mode.py").chmod(0o755)
    (repo / "src/gone.py").unlink()
    (repo / "old_link").unlink()
    (repo / "old_link").symlink_to("src")
    (repo / "new_link.py").symlink_to(tmp_path)
    shutil.rmtree(repo / "folder")
    (repo / "folder").symlink_to("src")
    return repo


def test_the_change_of_a_snapshot_is_the_change_of_its_workspace(busy: Path, store: Path) -> None:
    live = diff_of(open_range(busy, None))
    with taken(busy, store) as snapshot:
        assert left_out(snapshot) == {
            "folder": "link",
            "module": "repository",
            "nested": "repository",
            "new_link.py": "link",
            "old_link": "link",
        }
        assert diff_of(snapshot.change()) == live
        for base in ("main", "HEAD~1", git(busy, "rev-parse", "HEAD").strip()):
            assert diff_of(snapshot.change(base)) == diff_of(open_range(busy, base))
        assert isinstance(snapshot.change("a..b"), Unreadable)


def test_the_change_is_that_of_the_snapshot_whatever_the_workspace_does_later(
    busy: Path, store: Path
) -> None:
    before = diff_of(open_range(busy, None))
    with taken(busy, store) as snapshot:
        for path in (busy / "src").iterdir():
            path.write_text("assert 'other'\n")
        shutil.rmtree(busy / "nested")
        (busy / "old_link").unlink()
        commit(busy, {"src/last.py": "x\n"})
        assert diff_of(snapshot.change()) == before
        assert "last" not in "".join(contents(snapshot))


def test_a_submodule_that_is_not_checked_out_is_unchanged(repo: Path, store: Path) -> None:
    (repo / "module").mkdir()
    repository(repo / "module", {"inner.py": "x = 1\n"})
    commit(repo, {})
    shutil.rmtree(repo / "module")
    (repo / "module").mkdir()
    with taken(repo, store) as snapshot:
        assert diff_of(snapshot.change("HEAD")) == b""
        assert left_out(snapshot) == {"module": "repository"}


def test_a_moved_submodule_changes_the_digest(busy: Path, store: Path) -> None:
    before = workspace_digest(busy)
    commit(busy / "module", {"inner.py": "x = 3\n"})
    assert workspace_digest(busy) != before


@pytest.mark.parametrize("kind", ["hard link", "fifo", "repository"])
def test_there_is_no_change_where_git_would_take_a_file_for_deleted(
    repo: Path, store: Path, tmp_path: Path, kind: str
) -> None:
    match kind:
        case "hard link":
            (tmp_path / "second.py").hardlink_to(repo / "src/app.py")
        case "fifo":
            (repo / "src/app.py").unlink()
            os.mkfifo(repo / "src/app.py")
        case _:
            (repo / "src" / "inner").mkdir()
            git(repo / "src" / "inner", "init", "-q")
    with taken(repo, store) as snapshot:
        change = snapshot.change()
    assert isinstance(change, Unreadable)
    assert "src/" in change.detail
    assert change.fix.endswith(".")


def test_documents_and_reports_are_measured_in_the_snapshot(repo: Path, store: Path) -> None:
    write(repo, {"docs/requirements.md": "# Scope\n\nText\n"})
    required = RequiredArtifact("requirements_document", EvidenceKind.DOCUMENT)
    artifact = Artifact("1", "requirements_document", path="docs/requirements.md")
    with taken(repo, store) as snapshot:
        live = measure_all([(required, artifact)], str(repo))
        (repo / "docs/requirements.md").unlink()
        assert measure_all([(required, artifact)], snapshot) == live


_HOOKS = ("post-index-change", "fsmonitor-watchman", "reference-transaction", "post-checkout")
_CONFIG = """
[core]
\tfsmonitor = {0}
\thooksPath = {1}
\tsshCommand = {0}
\talternateRefsCommand = {0}
[filter "x"]
\tclean = {0}
\tsmudge = {0}
\tprocess = {0}
\trequired = true
[diff]
\texternal = {0}
[diff "x"]
\tcommand = {0}
\ttextconv = {0}
[alias]
\tls-files = !{0}
\tread-tree = !{0}
"""


def test_nothing_that_a_config_names_is_executed(repo: Path, store: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    script = tmp_path / "evil.sh"
    script.write_text(f'#!/bin/sh\necho ran >> "{canary}"\ncat\n')
    script.chmod(0o755)
    for hook in _HOOKS:
        shutil.copy(script, repo / ".git/hooks" / hook)
    (repo / "nested").mkdir()
    repository(repo / "nested", {"x.py": "x\n"})
    for one in (repo, repo / "nested"):
        with (one / ".git/config").open("a") as file:
            file.write(_CONFIG.format(script, repo / ".git/hooks"))
    write(repo, {".gitattributes": "* filter=x diff=x\n", "src/app.py": "a = 2\n", "src/new.py": "x = 1\n"})
    with taken(repo, store) as snapshot:
        assert code_files(snapshot) == ("nested", "src/app.py", "src/new.py")
        assert contents(snapshot)["src/app.py"] == "a = 2\n"
    assert not canary.exists()


def test_nothing_is_written_into_the_workspace(repo: Path, store: Path) -> None:
    def look() -> dict[str, tuple[int, int]]:
        paths = [repo, *repo.rglob("*")]
        return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_ctime_ns) for path in paths}

    write(repo, {"src/app.py": "a = 2\n", "src/new.py": "x = 1\n"})
    before = look()
    with taken(repo, store) as snapshot:
        snapshot.change()
    assert look() == before


# Bounds


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (SnapshotLimits(max_files=2), UnreadableCode.TOO_MANY),
        (SnapshotLimits(max_bytes=16), UnreadableCode.TOO_LARGE),
        (SnapshotLimits(max_depth=0), UnreadableCode.TOO_DEEP),
        (SnapshotLimits(max_seconds=0), UnreadableCode.TOO_SLOW),
    ],
    ids=lambda value: value.value if isinstance(value, UnreadableCode) else "",
)
def test_over_a_bound_there_is_no_snapshot(
    tree: Path, store: Path, limits: SnapshotLimits, code: UnreadableCode
) -> None:
    assert refused(tree, store, limits=limits).code is code


def test_exactly_at_the_bounds_there_is_one(tree: Path, store: Path) -> None:
    with taken(tree, store, limits=SnapshotLimits(max_files=3, max_bytes=17, max_depth=1)) as snapshot:
        assert (snapshot.files, snapshot.size) == (3, 17)


def test_a_sparse_file_is_refused_before_it_is_read(tree: Path, store: Path) -> None:
    with (tree / "big.bin").open("wb") as file:
        file.truncate(1 << 40)
    assert refused(tree, store).code is UnreadableCode.TOO_LARGE


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_not_left_out_in_silence(tree: Path, store: Path) -> None:
    (tree / "src/app.py").chmod(0)
    assert refused(tree, store).code is UnreadableCode.CANNOT_BE_OPENED


# Races


@pytest.fixture
def swapper(tree: Path, tmp_path: Path) -> Iterator[None]:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "app.py").write_text("SECRET")
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    process = subprocess.Popen([sys.executable, "-c", SWAPPER, str(tree / "src"), str(tmp_path)])
    yield
    process.kill()
    process.wait()


@pytest.mark.usefixtures("swapper")
def test_a_folder_that_is_swapped_with_a_link_leaks_nothing(tree: Path, store: Path) -> None:
    seen: set[str] = set()
    for _ in range(30):
        found = take_snapshot(tree, store / "one")
        if isinstance(found, Unreadable):
            assert found.code is UnreadableCode.WORKSPACE_CHANGED
            seen.add("changed")
        else:
            with found:
                assert "SECRET" not in "".join(contents(found).values())
                seen.add("taken")
    assert seen


@pytest.fixture
def rewritten(tree: Path) -> Iterator[Path]:
    """A file of one repeated number, which another process raises without a pause."""
    path = tree / "live.bin"
    path.write_bytes(bytes(16 << 20))
    process = subprocess.Popen([sys.executable, "-c", REWRITER, str(path)])
    while not path.read_bytes()[0]:
        time.sleep(0.01)
    yield path
    process.kill()
    process.wait()


def test_a_file_that_never_holds_still_gives_no_snapshot(rewritten: Path, tree: Path, store: Path) -> None:
    found = take_snapshot(tree, store / "one")
    if isinstance(found, Snapshot):
        with found:
            assert len(set((found.root / "live.bin").read_bytes())) == 1, "it is not torn"
        pytest.skip("the writer did not get its turn")
    assert (found.code, "live.bin" in found.detail) == (UnreadableCode.WORKSPACE_CHANGED, True)
    assert not (store / "one").exists()
    assert any(_copied(rewritten) > 1 for _ in range(50)), "a plain copy would be torn"


def _copied(path: Path) -> int:
    """How many states of the file a copy by pieces holds."""
    with path.open("rb") as file:
        return len({byte for piece in iter(lambda: file.read(1 << 20), b"") for byte in set(piece)})


@pytest.mark.parametrize("what", ["write", "new", "delete", "rename"])
def test_two_moments_are_never_mixed(tree: Path, store: Path, what: str) -> None:
    """A file that was read already changes while another one is read: each alone is whole, both are not."""
    (tree / "zz").mkdir()
    (tree / "zz" / "slow.bin").write_bytes(os.urandom(64 << 20))
    done = threading.Event()

    def meddle() -> None:
        until = time.monotonic() + 20
        while not (store / "one/tree/zz/slow.bin").exists() and time.monotonic() < until:
            time.sleep(0.0005)
        match what:
            case "write":
                (tree / "docs/plan.md").write_text("# Other\n")
            case "new":
                (tree / "docs/new.md").write_text("# New\n")
            case "delete":
                (tree / "docs/plan.md").unlink()
            case _:
                (tree / "docs").rename(tree / "papers")
        done.set()

    thread = threading.Thread(target=meddle)
    thread.start()
    snapshot = taken(tree, store)
    thread.join()
    with snapshot:
        live = {path.relative_to(tree) for path in tree.rglob("*.md")}
        assert done.is_set()
        assert {path.relative_to(snapshot.root) for path in snapshot.root.rglob("*.md")} == live
        for path in live:
            assert (snapshot.root / path).read_bytes() == (tree / path).read_bytes()


def test_a_mapped_file_changes_without_a_sign_and_the_digest_sees_it(tree: Path) -> None:
    path = tree / "src/app.py"
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[0] = ord("b")
        before, digest = path.stat(), workspace_digest(tree)
        mapped[0] = ord("c")
        after = path.stat()
        assert workspace_digest(tree) != digest
    if (before.st_mtime_ns, before.st_ctime_ns) != (after.st_mtime_ns, after.st_ctime_ns):
        pytest.skip("this file system notices; others do not, so nothing is remembered by its times")


# The digest


def test_the_digest_is_framed_and_knows_no_order() -> None:
    one, two = Entry("a", Kind.FILE, 1, b"x" * 32), Entry("b", Kind.FILE, 2, b"y" * 32)
    assert digest_of([one, two]) == digest_of([two, one])
    digests = {
        digest_of(entries)
        for entries in (
            [],
            [one],
            [two],
            [one, two],
            [Entry("a", Kind.EXECUTABLE, 1, b"x" * 32)],
            [Entry("a", Kind.LINK, 1, b"x" * 32)],
            [Entry("b", Kind.FILE, 1, b"x" * 32)],
            [Entry("a", Kind.FILE, 2, b"x" * 32)],
            [Entry("a", Kind.FILE, 1, b"y" * 32)],
            [Entry("a" + "x" * 32, Kind.FILE, 1, b"x" * 32)],
        )
    }
    assert len(digests) == 10


_NAMES = st.sampled_from(["a", "b", "a.txt", "d/a", "d/b", "d/e/f", "é"])
_TREES = st.dictionaries(_NAMES, st.tuples(st.binary(max_size=8), st.booleans()), max_size=5)


@settings(max_examples=40, deadline=None)
@given(first=_TREES, second=_TREES)
def test_trees_have_one_digest_exactly_when_they_are_equal(
    tmp_path_factory: pytest.TempPathFactory,
    first: dict[str, tuple[bytes, bool]],
    second: dict[str, tuple[bytes, bool]],
) -> None:
    folder = tmp_path_factory.mktemp("trees")
    digests = []
    for number, files in enumerate((first, second, dict(reversed(first.items())))):
        root = folder / str(number)
        root.mkdir()
        for name, (content, executable) in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o755 if executable else 0o644)
        with taken(root, folder / "store", str(number)) as snapshot:
            digests.append(snapshot.digest)
    assert (digests[0] == digests[1]) == (first == second)
    assert digests[0] == digests[2]
    shutil.rmtree(folder)


def test_an_ignored_file_or_a_touched_one_does_not_change_the_digest(repo: Path) -> None:
    before = workspace_digest(repo)
    write(repo, {"x.log": "noise\n"})
    os.utime(repo / "src/app.py", (1, 1))
    (repo / "src/app.py").chmod(0o600)
    assert workspace_digest(repo) == before
    git(repo, "commit", "-q", "--allow-empty", "-m", "nothing")
    assert workspace_digest(repo) == before
    (repo / "src/app.py").chmod(0o700)
    assert workspace_digest(repo) != before


# Removal


def test_a_removed_snapshot_leaves_nothing_and_removing_twice_is_harmless(tree: Path, store: Path) -> None:
    snapshot = taken(tree, store)
    remove_snapshot(snapshot)
    remove_snapshot(snapshot)
    assert [path.name for path in store.iterdir()] == [".gitignore"]


def test_two_snapshots_at_once_do_not_disturb_each_other(tree: Path, store: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        snapshots = list(pool.map(lambda number: taken(tree, store, f"r{number}"), range(8)))
    assert len({one.digest for one in snapshots}) == 1
    for one in snapshots:
        one.__exit__()
    assert [path.name for path in store.iterdir()] == [".gitignore"]


def test_a_snapshot_that_is_held_is_neither_taken_again_nor_swept(tree: Path, store: Path) -> None:
    with taken(tree, store) as snapshot:
        with pytest.raises(SnapshotInUse):
            take_snapshot(tree, store / "one")
        assert sweep(store, alive=lambda _: False, older_than=0) == []
        assert contents(snapshot)


@pytest.mark.parametrize("name", ["a/../b", ".hidden", "a b", "x" * 200, "ä"])
def test_a_name_that_is_no_plain_word_is_refused(tree: Path, store: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name"):
        take_snapshot(tree, store / f"{name}.")


@pytest.fixture
def killed(tree: Path, store: Path) -> Path:
    """What `kill -9` leaves of a snapshot."""
    command = [sys.executable, "-c", HOLDER, str(tree), str(store / "dead")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert sweep(store, alive=lambda _: False, older_than=0) == [], "its process is alive"
        process.send_signal(signal.SIGKILL)
    assert (store / "dead/tree/src/app.py").exists()
    return store / "dead"


def test_what_a_killed_process_left_is_swept(killed: Path, store: Path) -> None:
    assert sweep(store, alive=lambda name: name == "dead", older_than=0) == []
    assert sweep(store, alive=lambda _: False, older_than=3600) == []
    assert sweep(store, alive=lambda _: False, older_than=0) == ["dead"]
    assert not killed.exists()
    assert sweep(store, alive=lambda _: False, older_than=0) == []


def test_a_review_that_begins_again_replaces_what_its_crash_left(
    tree: Path, killed: Path, store: Path
) -> None:
    write(tree, {"src/new.py": "new\n"})
    with taken(tree, store, "dead") as snapshot:
        assert contents(snapshot)["src/new.py"] == "new\n"


def test_a_sweep_removes_only_snapshots_and_follows_no_link(
    killed: Path, store: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    write(precious, {"a/b.txt": "precious"})
    (precious / LOCK).touch()
    (killed / "tree").chmod(0o700)
    (killed / "tree" / "link").symlink_to(precious)
    (killed / "link").symlink_to(precious / "a" / "b.txt")
    (store / "linked").symlink_to(precious)
    write(store, {"README.md": "x", "foreign/file.txt": "x", "foreign/deep/file.txt": "x"})
    (store / "empty").mkdir()
    assert sweep(store, alive=lambda _: False, older_than=0) == ["dead"]
    assert (precious / "a/b.txt").read_text() == "precious"
    assert sorted(path.name for path in store.iterdir()) == [
        ".gitignore",
        "README.md",
        "empty",
        "foreign",
        "linked",
    ]


def test_eight_sweeps_and_eight_reviews_at_once_lose_no_snapshot(tree: Path, store: Path) -> None:
    stop = threading.Event()

    def sweeping() -> None:
        while not stop.is_set():
            sweep(store, alive=lambda _: False, older_than=0)

    def reviewing(number: int) -> None:
        for _ in range(5):
            found = take_snapshot(tree, store / f"r{number}")
            assert isinstance(found, Snapshot), found
            with found:
                assert (found.root / "src/app.py").read_text() == "a = 1\n"

    sweepers = [threading.Thread(target=sweeping) for _ in range(2)]
    for one in sweepers:
        one.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(reviewing, range(4)))
    finally:
        stop.set()
        for one in sweepers:
            one.join()
    assert [path.name for path in store.iterdir()] == [".gitignore"]


def test_a_store_that_does_not_exist_has_nothing_to_sweep(store: Path) -> None:
    assert sweep(store, alive=lambda _: False, older_than=0) == []


def test_snapshots_are_kept_in_the_home_unless_the_operator_says_otherwise(tmp_path: Path) -> None:
    assert Settings(home=tmp_path).snapshots == tmp_path / "workspaces"
    assert Settings(home=tmp_path, workspaces=tmp_path / "other").snapshots == tmp_path / "other"
