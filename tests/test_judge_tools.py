"""What an agent can see of the work under review, and that it is all it can see."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from omoi_os.judge.tools import ToolLimits, ToolRefused, Tree, reading_tools

SECRET = "outside, never to be read"

# Swaps a directory and a link to the outside, without a pause, until it is ended.
SWAPPER = """
import os, sys
here, hold, link = (sys.argv[1] + tail for tail in ("", ".hold", ".link"))
while True:
    os.rename(here, hold); os.rename(link, here)
    os.rename(here, link); os.rename(hold, here)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root, outside = tmp_path / "workspace", tmp_path / "outside"
    (root / "docs").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.md").write_text(SECRET)
    (outside / "second.md").write_text(SECRET)
    (root / "docs" / "plan.md").write_text("# Plan\nScope: all\nscope again\n")
    (root / "notes.txt").write_text("one\ntwo\nthree")
    (root / "image.png").write_bytes(b"\x89PNG\0\1scope")
    (root / "link.md").symlink_to(outside / "secret.md")
    (root / "linked").symlink_to(outside)
    os.link(outside / "second.md", root / "hard.md")
    os.mkfifo(root / "pipe")
    return Tree(root)


def limited(tree: Tree, limits: ToolLimits) -> Tree:
    return Tree(tree.root, limits)


def test_files_are_listed_by_path(tree: Tree) -> None:
    assert tree.files(".MD").split("\n") == ["docs/plan.md", "hard.md", "link.md"]
    assert "notes.txt" in tree.files()
    assert tree.files(".rs") == "(no such file)"


def test_what_a_path_must_contain_is_no_pattern(tree: Tree) -> None:
    started = time.monotonic()
    assert tree.files("**/" * 100 + "x") == "(no such file)"
    assert tree.files("(a+)+$") == "(no such file)"
    assert time.monotonic() - started < 1


def test_lines_are_numbered_and_counted(tree: Tree) -> None:
    assert tree.read("notes.txt", 2, 1).split("\n") == ["notes.txt: lines 2 to 2 of 3", "     2| two"]
    assert tree.read("docs/plan.md").startswith("docs/plan.md: lines 1 to 3 of 3\n     1| # Plan\n")
    assert "there is no line 9" in tree.read("notes.txt", 9)


def test_a_search_names_file_and_line(tree: Tree) -> None:
    assert tree.search("SCOPE").split("\n") == ["docs/plan.md:2: Scope: all", "docs/plan.md:3: scope again"]
    assert tree.search("scope", ".txt") == "(no hit)"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../outside/secret.md",
        "docs/../../outside/secret.md",
        "link.md",
        "linked/secret.md",
        "hard.md",
        "pipe",
        "docs",
        "missing.md",
        "",
        ".",
        "a\0b",
        "a\\b",
        "/proc/self/environ",
        "image.png",
        "x" * 5_000,
    ],
)
def test_what_is_not_a_text_of_the_workspace_is_refused(tree: Tree, path: str) -> None:
    with pytest.raises(ToolRefused) as refused:
        tree.read(path)
    assert SECRET not in str(refused.value)


def test_a_search_sees_nothing_outside(tree: Tree) -> None:
    assert tree.search("never to be read") == "(no hit)"
    assert tree.search("scope", ".png") == "(no hit)"


def test_nothing_leaks_while_a_folder_is_swapped_for_a_link(tree: Tree) -> None:
    (tree.root / "docs.link").symlink_to(tree.root.parent / "outside")
    (tree.root / "docs" / "secret.md").write_text("inside")
    swapper = subprocess.Popen([sys.executable, "-c", SWAPPER, str(tree.root / "docs")])
    seen = set()
    try:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            try:
                seen.add(tree.read("docs/secret.md"))
            except ToolRefused:
                continue
    finally:
        swapper.kill()
        swapper.wait()
    assert seen  # else the race was never run
    assert not [text for text in seen if SECRET in text]


def test_a_root_that_became_a_link_is_refused(tree: Tree, tmp_path: Path) -> None:
    (params,) = {spec.params["root"] for spec in reading_tools(tree.root)}
    tree.root.rename(tmp_path / "moved")
    tree.root.symlink_to(tmp_path / "outside")
    with pytest.raises(ToolRefused):
        Tree(Path(str(params))).read("secret.md")


def test_a_long_answer_says_that_it_is_full(tree: Tree) -> None:
    (tree.root / "long.txt").write_text("word " * 10 + "\n" * 5 + "x" * 9_000 + "\n" + "line\n" * 3_000)
    answer = limited(tree, ToolLimits(max_chars=1_000, max_line=100)).read("long.txt", 1, 3_000)
    assert len(answer) < 1_200
    assert answer.endswith("ask for the lines after the last one shown)")
    assert "x" * 101 not in answer


def test_every_answer_is_shorter_than_what_the_library_cuts_off(tree: Tree) -> None:
    (tree.root / "wide.txt").write_text(("y" * 4_000 + "\n") * 400)
    for answer in (tree.read("wide.txt", 1, 2_000), tree.search("y"), tree.files()):
        assert len(answer) < 25_000


def test_a_file_that_is_too_large_is_refused(tree: Tree) -> None:
    with pytest.raises(ToolRefused, match="more than 10"):
        limited(tree, ToolLimits(max_file_bytes=10)).read("docs/plan.md")


def test_a_tree_of_too_many_files_is_refused_and_not_shown_in_part(tree: Tree) -> None:
    with pytest.raises(ToolRefused, match="more than 2"):
        limited(tree, ToolLimits(max_files=2)).files()


def test_a_search_stops_and_says_so(tree: Tree) -> None:
    (tree.root / "many.txt").write_text("hit\n" * 1_000)
    assert limited(tree, ToolLimits(max_hits=3)).search("hit").endswith("(stopped after 3 hits)")
    assert "took too long" in limited(tree, ToolLimits(max_seconds=-1)).search("hit")
