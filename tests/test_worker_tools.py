"""What an agent that works can change, and that it is all it can change."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from omoi_os.judge.tools import ToolRefused
from omoi_os.judge.writing import WritableTree, WriteLimits, is_closed, writing_tools
from tests.test_judge_tools import SWAPPER

OUTSIDE = "outside, never to be written"


@pytest.fixture
def tree(tmp_path: Path) -> WritableTree:
    root, outside = tmp_path / "workspace", tmp_path / "outside"
    (root / "docs").mkdir(parents=True)
    (root / ".git").mkdir()
    outside.mkdir()
    (outside / "file.md").write_text(OUTSIDE)
    (outside / "second.md").write_text(OUTSIDE)
    (root / "docs" / "plan.md").write_text("one\r\ntwo\ntwo and three\n")
    (root / "link.md").symlink_to(outside / "file.md")
    (root / "linked").symlink_to(outside)
    os.link(outside / "second.md", root / "hard.md")
    os.mkfifo(root / "pipe")
    return WritableTree(root)


def outside_is_as_it_was(tree: WritableTree) -> bool:
    outside = tree.root.parent / "outside"
    return {path.name: path.read_text() for path in outside.iterdir()} == {
        "file.md": OUTSIDE,
        "second.md": OUTSIDE,
    }


def leftovers(tree: WritableTree) -> list[Path]:
    return list(tree.root.rglob(".omoi-*"))


def test_a_file_is_made_with_the_folders_on_its_way(tree: WritableTree) -> None:
    assert tree.write("src/deep/a.py", "x = 1\n") == "src/deep/a.py: made, 6 bytes"
    assert (tree.root / "src/deep/a.py").read_text() == "x = 1\n"
    assert not leftovers(tree)


def test_a_file_that_is_there_gets_another_content_and_keeps_its_permissions(tree: WritableTree) -> None:
    plan = tree.root / "docs/plan.md"
    plan.chmod(0o4755)
    assert "written anew" in tree.write("docs/plan.md", "")
    assert plan.read_bytes() == b""
    assert plan.stat().st_mode & 0o7777 == 0o755


def test_an_edit_replaces_the_one_place_and_nothing_else(tree: WritableTree) -> None:
    tree.edit("docs/plan.md", "two and", "2 and")
    assert (tree.root / "docs/plan.md").read_bytes() == b"one\r\ntwo\n2 and three\n"
    (tree.root / "same.md").write_text("aaa")
    for path, old, found in (
        ("docs/plan.md", "four", "not"),
        ("docs/plan.md", "o", "more than once"),
        ("same.md", "aa", "more than once"),
    ):
        with pytest.raises(ToolRefused, match=f"stands {found} in"):
            tree.edit(path, old, "")


def test_an_edit_needs_text(tree: WritableTree) -> None:
    (tree.root / "image.png").write_bytes(b"\x89PNG")
    with pytest.raises(ToolRefused, match="UTF-8"):
        tree.edit("image.png", "PNG", "GIF")


def test_a_file_is_deleted_once(tree: WritableTree) -> None:
    assert tree.delete("docs/plan.md") == "docs/plan.md: deleted"
    with pytest.raises(ToolRefused, match="no such file"):
        tree.delete("docs/plan.md")


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/omoi-test", "../outside/file.md", "docs/../../outside/file.md", "./../outside/file.md"),
        *("link.md", "linked/file.md", "linked/new.md", "hard.md", "pipe", "docs", "docs/plan.md/x"),
        *("", ".", "a\0b", "a\\b", "\ud800", "/proc/self/mem", "x" * 300, "a/" * 20 + "b"),
        *("name\n", "na\u200bme", "\u202etxt.md", "cafe\u0301.md", " a.md", "a.md ", "a."),
        *(".git/config", ".git", "sub/.git/hooks/pre-commit", ".GIT/config", ".gIt/hooks/x", "GIT~1/config"),
        *(".git::$INDEX_ALLOCATION/config", "\uff0egit/config", ".omoi/pg/x", "omoi.yaml", "sub/OMOI.YML"),
        *(".github/workflows/ci.yml", ".GitHub/Workflows/x", ".openhands/plugins/p", ".agents/x"),
        *(".claude/settings.json", ".vscode/tasks.json", ".gitlab-ci.yml", "Jenkinsfile", ".envrc"),
    ],
)
def test_what_is_not_a_file_of_the_workspace_is_refused(tree: WritableTree, path: str) -> None:
    before = sorted(tree.root.rglob("*"))
    changes: list[Callable[[], str]] = [
        lambda: tree.write(path, "x"),
        lambda: tree.edit(path, "never", "always"),
        lambda: tree.delete(path),
    ]
    for change in changes:
        with pytest.raises(ToolRefused) as refused:
            change()
        assert OUTSIDE not in str(refused.value)
    assert outside_is_as_it_was(tree)
    assert not leftovers(tree)
    assert [path for path in sorted(tree.root.rglob("*")) if path not in before] in ([], [tree.root / "a"])


@pytest.mark.parametrize("path", [".gitignore", ".github/CODEOWNERS", "docs/git.md", "omoi.yaml.md", "é.md"])
def test_what_only_looks_closed_can_be_written(tree: WritableTree, path: str) -> None:
    tree.write(path, "x")
    assert (tree.root / path).read_text() == "x"


def test_what_the_operator_keeps_in_the_workspace_is_closed(tree: WritableTree, tmp_path: Path) -> None:
    (spec, *_) = writing_tools(tree.root, [tree.root / "state", tmp_path / "elsewhere"])
    assert spec.params["closed"] == ["state"]
    closing = WritableTree(tree.root, ("state",))
    with pytest.raises(ToolRefused, match="closed"):
        closing.write("State/policy.yaml", "x")
    assert closing.write("docs/state/x", "x")
    assert is_closed(["anything"], ["."])


def test_text_that_no_file_can_have_is_refused(tree: WritableTree) -> None:
    for content in ("a\0b", "\ud800"):
        with pytest.raises(ToolRefused):
            tree.write("a.md", content)
    assert not (tree.root / "a.md").exists()


def test_what_is_written_is_bounded_in_size_and_number(tree: WritableTree) -> None:
    small = WritableTree(tree.root, limits=WriteLimits(max_file_bytes=10, max_changes=2, max_bytes=15))
    with pytest.raises(ToolRefused, match="more than 10"):
        small.write("a.md", "é" * 6)
    small.write("a.md", "0123456789")
    with pytest.raises(ToolRefused, match="more than 10"):
        small.edit("a.md", "9", "90")
    with pytest.raises(ToolRefused, match="as much as"):
        small.write("b.md", "0123456789")
    small.delete("a.md")
    with pytest.raises(ToolRefused, match="as much as"):
        small.write("c.md", "")


def test_nothing_is_written_outside_while_a_folder_is_swapped_for_a_link(tree: WritableTree) -> None:
    (tree.root / "docs.link").symlink_to(tree.root.parent / "outside")
    swapper = subprocess.Popen([sys.executable, "-c", SWAPPER, str(tree.root / "docs")])
    written = 0
    try:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            try:
                tree.limits = WriteLimits(max_changes=10**9, max_bytes=10**12)
                tree.write("docs/file.md", f"{written}")
                written += 1
                tree.delete("docs/file.md")
            except ToolRefused:
                continue
    finally:
        swapper.kill()
        swapper.wait()
    assert written  # else the race was never run
    assert outside_is_as_it_was(tree)


def test_a_link_that_takes_a_files_place_is_replaced_and_not_written_through(tree: WritableTree) -> None:
    target, spare = tree.root / "docs" / "plan.md", tree.root / "docs" / "spare"
    program = (
        "import os, sys\n"
        "here, spare, outside = sys.argv[1:]\n"
        "while True:\n"
        "    try:\n        os.symlink(outside, spare); os.rename(spare, here)\n"
        "    except OSError:\n        pass\n"
    )
    linker = subprocess.Popen(
        [sys.executable, "-c", program, str(target), str(spare), str(tree.root.parent / "outside/file.md")]
    )
    tree.limits = WriteLimits(max_changes=10**9, max_bytes=10**12)
    try:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            try:
                tree.write("docs/plan.md", "inside")
            except ToolRefused:
                target.unlink(missing_ok=True)
    finally:
        linker.kill()
        linker.wait()
    assert outside_is_as_it_was(tree)


def test_a_root_that_became_a_link_is_refused(tree: WritableTree, tmp_path: Path) -> None:
    tree.root.rename(tmp_path / "moved")
    tree.root.symlink_to(tmp_path / "outside")
    with pytest.raises(ToolRefused):
        tree.write("file.md", "x")
    assert outside_is_as_it_was(tree)


def test_a_folder_that_may_not_be_written_is_a_refusal(tree: WritableTree) -> None:
    (tree.root / "docs" / "plan.md").unlink()
    (tree.root / "docs").rmdir()
    (tree.root / "docs").write_text("a file now")
    with pytest.raises(ToolRefused):
        tree.write("docs/plan.md", "x")
