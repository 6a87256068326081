from __future__ import annotations

import ctypes
import errno
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from omoi_os.domain.evidence import Unreadable, UnreadableCode
from omoi_os.evidence.beneath import Opener, by_component, by_kernel, kernel_opener, opener_for
from omoi_os.evidence.paths import Workspace, open_workspace

SECRET = "outside, never to be read"

# Swaps a directory and a link to the outside, without a pause, until it is ended.
SWAPPER = """
import itertools, os, sys
here, hold = sys.argv[1], sys.argv[1] + ".hold"
link = sys.argv[1] + ".link"
for _ in itertools.count():
    os.rename(here, hold); os.rename(link, here)
    os.rename(here, link); os.rename(hold, here)
"""


def _kernel_has_openat2(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        return opener_for(descriptor) is by_kernel
    finally:
        os.close(descriptor)


@pytest.fixture(params=[by_kernel, by_component], ids=["openat2", "by_component"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    chosen: Opener = request.param
    if chosen is by_kernel and not _kernel_has_openat2(tmp_path):
        pytest.skip("this kernel has no openat2, or its container profile forbids it")
    return chosen


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A workspace with every kind of thing that must not be opened, and a secret beside it."""
    root, outside = tmp_path / "workspace", tmp_path / "outside"
    (root / "docs" / "deep").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.md").write_text(SECRET)
    (root / "docs" / "plan.md").write_text("inside")
    (root / "docs" / "deep" / "plan.md").write_text("deep inside")
    (root / "empty.md").touch()
    (root / "link.md").symlink_to(outside / "secret.md")
    (root / "inner_link.md").symlink_to("docs/plan.md")
    (root / "linked").symlink_to(outside)
    (root / "inner_linked").symlink_to("docs")
    (root / "loop").symlink_to("loop")
    (root / "hard.md").hardlink_to(outside / "secret.md")
    os.mkfifo(root / "fifo.md")
    return root


@pytest.fixture
def workspace(tree: Path, opener: Opener) -> Iterator[Workspace]:
    opened = open_workspace(tree, opener=opener)
    assert isinstance(opened, Workspace)
    with opened:
        yield opened


def _code(workspace: Workspace, path: str, *, max_bytes: int = 1000) -> UnreadableCode:
    answer = workspace.open(path, max_bytes=max_bytes)
    assert isinstance(answer, Unreadable), path
    assert answer.detail
    assert answer.fix.endswith(".")
    return answer.code


@pytest.mark.parametrize(
    "path", ["docs/plan.md", "./docs/plan.md", "docs//plan.md", "docs/./plan.md"], ids=repr
)
def test_a_regular_file_in_the_workspace_is_read(workspace: Workspace, path: str) -> None:
    source = workspace.open(path, max_bytes=6)
    assert not isinstance(source, Unreadable)
    with source:
        assert source.read() == b"inside"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("", UnreadableCode.NOT_GIVEN),
        ("  ", UnreadableCode.NOT_GIVEN),
        ("no.md", UnreadableCode.MISSING),
        ("no/such/file.md", UnreadableCode.MISSING),
        ("docs/plan.md/x", UnreadableCode.MISSING),
        ("../outside/secret.md", UnreadableCode.OUTSIDE_WORKSPACE),
        ("docs/../../outside/secret.md", UnreadableCode.OUTSIDE_WORKSPACE),
        ("docs/../docs/plan.md", UnreadableCode.OUTSIDE_WORKSPACE),
        ("..", UnreadableCode.OUTSIDE_WORKSPACE),
        ("/etc/passwd", UnreadableCode.OUTSIDE_WORKSPACE),
        ("//etc/passwd", UnreadableCode.OUTSIDE_WORKSPACE),
        ("link.md", UnreadableCode.OUTSIDE_WORKSPACE),
        ("inner_link.md", UnreadableCode.OUTSIDE_WORKSPACE),
        ("linked/secret.md", UnreadableCode.OUTSIDE_WORKSPACE),
        ("inner_linked/plan.md", UnreadableCode.OUTSIDE_WORKSPACE),
        ("loop", UnreadableCode.OUTSIDE_WORKSPACE),
        ("loop/x", UnreadableCode.OUTSIDE_WORKSPACE),
        ("hard.md", UnreadableCode.OUTSIDE_WORKSPACE),
        ("docs", UnreadableCode.NOT_A_REGULAR_FILE),
        (".", UnreadableCode.NOT_A_REGULAR_FILE),
        ("fifo.md", UnreadableCode.NOT_A_REGULAR_FILE),
        ("docs\\plan.md", UnreadableCode.MALFORMED),
        ("docs/plan.md\0.txt", UnreadableCode.MALFORMED),
        ("docs/\ud800.md", UnreadableCode.MALFORMED),
        ("a" * 256, UnreadableCode.MALFORMED),
        ("é" * 128, UnreadableCode.MALFORMED),
        ("a/" * 2100 + "b", UnreadableCode.MALFORMED),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_path_that_is_not_a_plain_file_inside_is_refused(
    workspace: Workspace, path: str, code: UnreadableCode
) -> None:
    assert _code(workspace, path) == code


def test_the_kernel_alone_would_refuse_to_climb(tree: Path) -> None:
    if not _kernel_has_openat2(tree):
        pytest.skip("this kernel has no openat2, or its container profile forbids it")
    descriptor = os.open(tree, os.O_RDONLY)
    try:
        for parts in (["..", "outside", "secret.md"], ["", "etc", "passwd"], ["docs", "..", "..", "outside"]):
            with pytest.raises(OSError) as caught:
                by_kernel(descriptor, parts)
            assert caught.value.errno == errno.EXDEV
    finally:
        os.close(descriptor)


def test_a_socket_is_refused(workspace: Workspace, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.md")
        assert _code(workspace, "socket.md") == UnreadableCode.NOT_A_REGULAR_FILE


def test_a_device_is_refused(opener: Opener) -> None:
    opened = open_workspace(Path("/dev"), opener=opener)
    assert isinstance(opened, Workspace)
    with opened:
        assert _code(opened, "null") == UnreadableCode.NOT_A_REGULAR_FILE


def test_a_magic_link_of_proc_is_refused(opener: Opener, tree: Path) -> None:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system has no /proc")
    opened = open_workspace(Path("/proc/self"), opener=opener)
    assert isinstance(opened, Workspace)
    with opened, (tree / "docs" / "plan.md").open("rb") as held:
        assert _code(opened, f"fd/{held.fileno()}") == UnreadableCode.OUTSIDE_WORKSPACE
        assert _code(opened, "root/etc/passwd") == UnreadableCode.OUTSIDE_WORKSPACE


def test_a_file_over_the_limit_is_refused_before_it_is_read(workspace: Workspace) -> None:
    assert _code(workspace, "docs/plan.md", max_bytes=5) == UnreadableCode.TOO_LARGE


def test_a_file_without_permission_is_refused_with_the_reason(workspace: Workspace, tree: Path) -> None:
    (tree / "docs" / "plan.md").chmod(0)
    if os.access(tree / "docs" / "plan.md", os.R_OK):
        pytest.skip("this user reads everything")
    assert _code(workspace, "docs/plan.md") == UnreadableCode.MISSING


def test_refused_files_leave_no_descriptor_open(workspace: Workspace) -> None:
    before = os.open(".", os.O_RDONLY)
    os.close(before)
    for path in ("docs", "hard.md", "fifo.md", "docs/plan.md/x", "linked/x", "docs/deep/none.md"):
        assert isinstance(workspace.open(path, max_bytes=100), Unreadable)
    after = os.open(".", os.O_RDONLY)
    os.close(after)
    assert after == before


def test_a_fault_of_this_process_is_not_recorded_as_missing_evidence(workspace: Workspace) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open(".", os.O_RDONLY)
    os.close(probe)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
        with pytest.raises(OSError) as caught:
            workspace.open("docs/plan.md", max_bytes=100)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert caught.value.errno == errno.EMFILE


def test_a_closed_workspace_opens_nothing(workspace: Workspace) -> None:
    workspace.close()
    workspace.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        workspace.open("docs/plan.md", max_bytes=100)


def _refusing(answer: int, calls: list[int]) -> Opener:
    def refuse(*_: object) -> int:
        calls.append(answer)
        ctypes.set_errno(answer)
        return -1

    return kernel_opener(refuse)


@pytest.mark.parametrize("answer", [errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG])
def test_a_kernel_without_openat2_is_walked_by_component(tree: Path, answer: int) -> None:
    descriptor = os.open(tree, os.O_RDONLY)
    try:
        assert opener_for(descriptor, _refusing(answer, [])) is by_component
    finally:
        os.close(descriptor)


def test_a_rename_storm_ends_in_a_refusal_and_not_in_an_endless_loop(tree: Path) -> None:
    calls: list[int] = []
    opened = open_workspace(tree, opener=_refusing(errno.EAGAIN, calls))
    assert isinstance(opened, Workspace)
    with opened:
        assert _code(opened, "docs/plan.md") == UnreadableCode.OUTSIDE_WORKSPACE
    assert 2 <= len(calls) <= 100


@pytest.mark.parametrize("name", ["missing", "docs/plan.md", "nul\0"])
def test_a_root_that_is_not_a_directory_is_no_workspace(tree: Path, name: str) -> None:
    opened = open_workspace(tree / name)
    assert isinstance(opened, Unreadable)
    assert opened.code == UnreadableCode.NO_WORKSPACE


def test_the_root_may_be_a_link_because_the_operator_chose_it(tree: Path) -> None:
    (tree.parent / "alias").symlink_to(tree)
    opened = open_workspace(tree.parent / "alias")
    assert isinstance(opened, Workspace)
    with opened:
        source = opened.open("docs/plan.md", max_bytes=10)
        assert not isinstance(source, Unreadable)
        source.close()


def test_a_renamed_root_is_still_the_same_workspace(workspace: Workspace, tree: Path) -> None:
    tree.rename(tree.parent / "elsewhere")
    tree.symlink_to(tree.parent / "outside")
    assert _code(workspace, "secret.md") == UnreadableCode.MISSING
    source = workspace.open("docs/plan.md", max_bytes=10)
    assert not isinstance(source, Unreadable)
    source.close()


def test_three_thousand_reads_in_a_rename_race_never_leave_the_workspace(
    workspace: Workspace, tree: Path
) -> None:
    (tree / "race").mkdir()
    (tree / "race" / "secret.md").write_text("inside")
    (tree / "race.link").symlink_to(tree.parent / "outside")
    swapper = subprocess.Popen([sys.executable, "-c", SWAPPER, str(tree / "race")])
    seen: set[str] = set()
    try:
        while len(seen) < 2:
            seen |= {_read(workspace) for _ in range(3000)}
    finally:
        swapper.kill()
        swapper.wait()
    assert seen == {"inside", "refused"}


def _read(workspace: Workspace) -> str:
    source = workspace.open("race/secret.md", max_bytes=1000)
    if isinstance(source, Unreadable):
        return "refused"
    with source:
        return source.read().decode()


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["coverage.xml"], ["coverage.xml"]),
        (["**/coverage.xml"], ["coverage.xml", "packages/a/coverage.xml"]),
        (["junit*.xml"], ["junit-unit.xml", "junit.xml"]),
        (["*/*.xml"], ["docs/plan.xml"]),
        (["docs/**/*requirements*.md"], ["docs/REQUIREMENTS.md", "docs/x/y/my-requirements.v2.md"]),
        (["docs/*requirements*.md"], ["docs/REQUIREMENTS.md"]),
        (["docs/**"], ["docs/REQUIREMENTS.md", "docs/plan.xml", "docs/x/y/my-requirements.v2.md"]),
        (["junit.xm?", "coverage.xml"], ["coverage.xml", "junit.xml"]),
        (["junit.xml", "*.xml"], ["coverage.xml", "junit-unit.xml", "junit.xml"]),
        (["docs"], []),
        (["[a-z].xml"], []),
        (["(.*)"], []),
        ([], []),
    ],
    ids=repr,
)
def test_evidence_is_found_by_convention(tmp_path: Path, patterns: list[str], found: list[str]) -> None:
    for name in (
        "coverage.xml",
        "junit.xml",
        "junit-unit.xml",
        "docs/plan.xml",
        "docs/REQUIREMENTS.md",
        "docs/x/y/my-requirements.v2.md",
        "packages/a/coverage.xml",
        "node_modules/p/coverage.xml",
        ".venv/lib/coverage.xml",
        "src/__pycache__/coverage.xml",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with _opened(tmp_path) as workspace:
        assert workspace.find(patterns) == found
        assert workspace.find(patterns) == found


def _opened(root: Path) -> Workspace:
    opened = open_workspace(root)
    assert isinstance(opened, Workspace)
    return opened


def test_links_are_listed_and_not_entered(tree: Path) -> None:
    with _opened(tree) as workspace:
        assert workspace.find(["**/secret.md"]) == []
        assert workspace.find(["*.md", "linked"]) == [
            *("empty.md", "fifo.md", "hard.md", "inner_link.md", "link.md", "linked")
        ]


def test_a_tree_that_is_too_large_gives_no_list_at_all(tree: Path) -> None:
    with _opened(tree) as workspace:
        found = workspace.find(["**/plan.md"], max_files=12)
        assert found == ["docs/deep/plan.md", "docs/plan.md"]
        found = workspace.find(["**/plan.md"], max_files=11)
        assert isinstance(found, Unreadable)
        assert found.code == UnreadableCode.TOO_MANY


def test_the_walk_ends_at_its_depth(tree: Path) -> None:
    with _opened(tree) as workspace:
        assert workspace.find(["**/plan.md"], max_depth=0) == []
        assert workspace.find(["**/plan.md"], max_depth=1) == ["docs/plan.md"]
        assert workspace.find(["**/plan.md"], max_depth=9, skip={"deep"}) == ["docs/plan.md"]


def test_a_name_that_cannot_be_printed_is_refused_where_it_matches(tree: Path) -> None:
    Path(os.fsdecode(os.fsencode(tree) + b"/junit-\xff\x1b.xml")).touch()
    with _opened(tree) as workspace:
        assert workspace.find(["*.md"]) != []
        found = workspace.find(["junit*.xml"])
    assert isinstance(found, Unreadable)
    assert found.code == UnreadableCode.MALFORMED
    assert found.detail.isprintable()
