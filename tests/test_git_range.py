"""A git range is read from a workspace that may be hostile: nothing in it runs, nothing in it changes."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import subprocess
import time
from pathlib import Path

import pytest

from omoi_os.domain.evidence import ChangeFacts, Unreadable, UnreadableCode
from omoi_os.evidence.git import GitDiff, open_range
from omoi_os.evidence.git_process import Bounds, run
from omoi_os.evidence.gitdiff import read_diff
from omoi_os.evidence.limits import Deadline, ReadLimits

_IDENTITY = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


def _git(where: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *arguments],
        cwd=where,
        env={**os.environ, **_IDENTITY},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _commit(root: Path, files: dict[str, str], message: str = "work") -> str:
    _write(root, files)
    _git(root, "add", "-A")
    _git(root, "commit", "-q", "-m", message)
    return _git(root, "rev-parse", "HEAD")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    root.mkdir()
    _git(root, "init", "-q", "-b", "main")
    _commit(root, {"src/app.py": "a = 1\n", "tests/test_app.py": "def test_a():\n    assert a == 1\n"})
    return root


def _range(root: Path, base: str | None = None, **options: object) -> GitDiff:
    found = open_range(root, base, **options)  # type: ignore[arg-type]
    assert isinstance(found, GitDiff), found
    return found


def _facts(root: Path, base: str | None = None) -> ChangeFacts:
    facts = read_diff(io.BytesIO(_range(root, base).diff))
    assert isinstance(facts, ChangeFacts), facts
    return facts


def _problem(root: Path, base: str | None = None, **options: object) -> Unreadable:
    found = open_range(root, base, **options)  # type: ignore[arg-type]
    assert isinstance(found, Unreadable), found
    assert found.fix
    return found


def test_committed_staged_unstaged_and_untracked_work_is_all_seen(repo: Path) -> None:
    base = _git(repo, "rev-parse", "HEAD")
    _git(repo, "checkout", "-q", "-b", "work")
    _commit(repo, {"src/committed.py": "x = 1\n", ".gitignore": "ignored.py\n"})
    _write(repo, {"src/staged.py": "x = 1\n"})
    _git(repo, "add", "src/staged.py")
    _write(repo, {"src/app.py": "a = 2\n", "src/untracked.py": "x = 1\n", "ignored.py": "x = 1\n"})
    (repo / "tests/test_app.py").unlink()
    found = _range(repo)
    assert (found.base, found.base_name, found.head_name) == (base, "merge base with main", "WORKTREE")
    facts = _facts(repo)
    assert facts.code_files == ("src/app.py", "src/committed.py", "src/staged.py", "src/untracked.py")
    assert facts.deleted_test_files == ("tests/test_app.py",)


def test_a_named_head_is_compared_without_the_working_tree(repo: Path) -> None:
    base = _git(repo, "rev-parse", "HEAD")
    head = _commit(repo, {"src/second.py": "x = 1\n"})
    _write(repo, {"src/third.py": "x = 1\n"})
    found = _range(repo, base, head="main")
    assert (found.base, found.head) == (base, head)
    assert b"second.py" in found.diff
    assert b"third.py" not in found.diff


def test_a_base_that_moved_on_is_compared_from_the_common_commit(repo: Path) -> None:
    start = _git(repo, "rev-parse", "HEAD")
    _git(repo, "checkout", "-q", "-b", "work")
    _commit(repo, {"src/mine.py": "x = 1\n"})
    _git(repo, "checkout", "-q", "main")
    _commit(repo, {"src/theirs.py": "x = 1\n"})
    _git(repo, "checkout", "-q", "work")
    assert _range(repo, "main").base == start
    assert _facts(repo, "main").code_files == ("src/mine.py",)


def test_the_remote_main_branch_is_the_first_choice(repo: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    _git(tmp_path, "clone", "-q", str(repo), str(clone))
    _commit(clone, {"src/new.py": "x = 1\n"})
    assert _range(clone).base_name == "merge base with origin/HEAD"
    assert _facts(clone).code_files == ("src/new.py",)


def test_main_itself_is_compared_with_its_last_commit(repo: Path) -> None:
    _write(repo, {"src/app.py": "a = 2\n"})
    assert _range(repo).base_name == "last commit"
    _git(repo, "checkout", "-q", "src/app.py")
    problem = _problem(repo)
    assert problem.code is UnreadableCode.EMPTY
    assert "base" in problem.fix


def test_a_named_base_without_changes_is_an_empty_diff(repo: Path) -> None:
    assert _facts(repo, "HEAD").is_empty


def test_a_branch_without_any_main_asks_for_a_base(repo: Path) -> None:
    _git(repo, "branch", "-m", "main", "trunk")
    _write(repo, {"src/app.py": "a = 2\n"})
    assert "no main branch" in _problem(repo).detail
    assert _facts(repo, "HEAD").code_files == ("src/app.py",)


@pytest.mark.parametrize(
    "name",
    [
        "-x",
        "--output=/tmp/x",
        "a..b",
        "HEAD@{1}",
        "a\nb",
        "a b",
        "",
        "a:b",
        "x" * 300,
        "HEAD^{/fix}",
        "\x00",
        "$(id)",
    ],
)
def test_a_base_that_is_no_plain_name_is_refused(repo: Path, name: str) -> None:
    assert "plain name" in _problem(repo, name).detail
    assert "plain name" in _problem(repo, None, head=name).detail


@pytest.mark.parametrize("name", ["HEAD", "main", "HEAD~0", "refs/heads/main", "v1"])
def test_a_base_may_be_a_branch_a_tag_or_an_ancestor(repo: Path, name: str) -> None:
    _git(repo, "tag", "-a", "v1", "-m", "first")
    _git(repo, "pack-refs", "--all")
    _write(repo, {"src/app.py": "a = 2\n"})
    assert _facts(repo, name).code_files == ("src/app.py",)
    assert _facts(repo, _git(repo, "rev-parse", "--short", "HEAD")).code_files == ("src/app.py",)


def test_an_unknown_base_is_named(repo: Path) -> None:
    assert "'nowhere'" in _problem(repo, "nowhere").detail


def test_a_linked_worktree_is_read(repo: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    _git(repo, "worktree", "add", "-q", "-b", "side", str(linked))
    _commit(linked, {"src/side.py": "x = 1\n"})
    _write(linked, {"src/more.py": "x = 1\n"})
    assert _facts(linked).code_files == ("src/more.py", "src/side.py")


def test_a_git_file_that_points_at_another_repository_is_refused(repo: Path, tmp_path: Path) -> None:
    thief = tmp_path / "thief"
    thief.mkdir()
    (thief / ".git").write_text(f"gitdir: {repo / '.git'}\n")
    assert "outside" in _problem(thief).detail
    linked = tmp_path / "linked"
    _git(repo, "worktree", "add", "-q", str(linked))
    (thief / ".git").write_text(f"gitdir: {repo / '.git' / 'worktrees' / 'linked'}\n")
    assert "another worktree" in _problem(thief).detail


def test_a_linked_git_folder_is_refused(repo: Path, tmp_path: Path) -> None:
    thief = tmp_path / "thief"
    thief.mkdir()
    (thief / ".git").symlink_to(repo / ".git")
    assert "symbolic link" in _problem(thief).detail


def test_a_folder_inside_a_repository_is_compared_alone(repo: Path) -> None:
    _write(repo, {"src/app.py": "a = 2\n", "tests/test_new.py": "x\n", "s*/x.py": "x\n"})
    assert _facts(repo / "src").code_files == ("src/app.py",)
    assert _facts(repo / "s*").code_files == ("s*/x.py",)


def test_links_are_recorded_and_not_followed(repo: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.py"
    secret.write_text("SECRET = 1\n")
    (repo / "src/link.py").symlink_to(secret)
    (repo / "away").symlink_to(tmp_path)
    diff = _range(repo).diff
    assert b"SECRET" not in diff
    assert b"new file mode 120000" in diff


def test_a_folder_that_became_a_link_counts_as_deleted(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    _write(tmp_path / "elsewhere", {"test_app.py": "SECRET\n"})
    (repo / "tests/test_app.py").unlink()
    (repo / "tests").rmdir()
    (repo / "tests").symlink_to(tmp_path / "elsewhere")
    facts = _facts(repo)
    assert facts.deleted_test_files == ("tests/test_app.py",)
    assert facts.other_files == ("tests",)
    assert b"SECRET" not in _range(repo).diff


def test_files_and_folders_may_change_places(repo: Path) -> None:
    _commit(repo, {"lib/x.py": "x = 1\n"})
    (repo / "src/app.py").unlink()
    (repo / "lib/x.py").unlink()
    (repo / "lib").rmdir()
    _write(repo, {"src/app.py/inner.py": "a = 1\n", "lib": "text\n"})
    facts = _facts(repo)
    assert facts.code_files == ("lib/x.py", "src/app.py", "src/app.py/inner.py")


def test_a_pipe_or_a_device_is_not_opened(repo: Path) -> None:
    os.mkfifo(repo / "pipe.py")
    _write(repo, {"src/app.py": "a = 2\n"})
    assert _facts(repo).code_files == ("src/app.py",)
    (repo / "src/app.py").unlink()
    os.mkfifo(repo / "src/app.py")
    assert _problem(repo).code is UnreadableCode.GIT_FAILED


def test_index_bits_hide_nothing(repo: Path) -> None:
    _git(repo, "update-index", "--assume-unchanged", "src/app.py")
    _git(repo, "update-index", "--skip-worktree", "tests/test_app.py")
    _write(repo, {"src/app.py": "a = 2\n", "tests/test_app.py": "pass\n"})
    facts = _facts(repo)
    assert facts.code_files == ("src/app.py",)
    assert facts.removed_assertions == 1


@pytest.mark.parametrize(
    "line",
    [
        "* -diff",
        "*.py binary",
        "*.py diff=x filter=x",
        "* working-tree-encoding=UTF-16",
        "* -text ident",
        "* export-ignore",
    ],
)
@pytest.mark.parametrize("place", [".gitattributes", "src/.gitattributes", ".git/info/attributes"])
def test_attributes_hide_no_text(repo: Path, line: str, place: str) -> None:
    _write(repo, {place: f"[attr]cloak -diff binary\n{line}\n" if "/" not in place else f"{line}\n"})
    _write(repo, {"src/app.py": "a = 'seen'\n", "tests/test_app.py": "gone\x00\n"})
    diff = _range(repo).diff
    assert b"+a = 'seen'" in diff
    assert b"-    assert a == 1" in diff, "not even a NUL makes a test file binary"


def test_a_replaced_commit_changes_no_history(repo: Path) -> None:
    base = _git(repo, "rev-parse", "HEAD")
    _git(repo, "checkout", "-q", "-b", "work")
    head = _commit(repo, {"src/new.py": "x = 1\n"})
    _git(repo, "replace", "-f", base, head)
    assert _facts(repo, base).code_files == ("src/new.py",)


def test_a_repository_inside_the_workspace_counts_as_code(repo: Path) -> None:
    nested = repo / "vendor"
    nested.mkdir()
    _git(nested, "init", "-q", "-b", "main")
    _commit(nested, {"hidden.py": "x = 1\n"})
    assert _facts(repo).code_files == ("vendor",)


def test_a_submodule_that_asks_to_be_ignored_is_seen(repo: Path) -> None:
    nested = repo / "vendor"
    nested.mkdir()
    _git(nested, "init", "-q", "-b", "main")
    _commit(nested, {"hidden.py": "x = 1\n"})
    _write(repo, {".gitmodules": '[submodule "v"]\n\tpath = vendor\n\turl = x\n\tignore = all\n'})
    _git(repo, "add", "-A")
    _git(repo, "commit", "-q", "-m", "module")
    _commit(nested, {"hidden.py": "x = 2\n"})
    assert _facts(repo, "HEAD").code_files == ("vendor",)


def _script(root: Path, canary: Path) -> Path:
    script = root / "evil.sh"
    script.write_text(f'#!/bin/sh\necho ran >> "{canary}"\ncat\n')
    script.chmod(0o755)
    return script


_HOOKS = ("post-index-change", "pre-commit", "fsmonitor-watchman", "reference-transaction", "post-checkout")
_ATTACKS = [
    ("fsmonitor", "[core]\n\tfsmonitor = {script}\n", ""),
    (
        "fsmonitor v2",
        "[core]\n\tfsmonitor = {script}\n\tfsmonitorHookVersion = 2\n\tuntrackedCache = true\n",
        "",
    ),
    ("external diff", "[diff]\n\texternal = {script}\n", ""),
    ("diff driver", '[diff "x"]\n\tcommand = {script}\n', "* diff=x\n"),
    ("textconv", '[diff "x"]\n\ttextconv = {script}\n', "* diff=x\n"),
    (
        "clean filter",
        '[filter "x"]\n\tclean = {script}\n\tsmudge = {script}\n\trequired = true\n',
        "* filter=x\n",
    ),
    ("process filter", '[filter "x"]\n\tprocess = {script}\n\trequired = true\n', "* filter=x\n"),
    ("hooks path", "[core]\n\thooksPath = {folder}/hooks\n", ""),
    ("pager", "[core]\n\tpager = {script}\n[pager]\n\tdiff = {script}\n", ""),
    ("include", '[include]\n\tpath = {folder}/more\n[includeIf "gitdir:**"]\n\tpath = {folder}/more\n', ""),
    ("alias", "[alias]\n\tdiff-index = !{script}\n\tupdate-index = !{script}\n\tread-tree = !{script}\n", ""),
    ("editor", "[core]\n\teditor = {script}\n\taskPass = {script}\n[credential]\n\thelper = {script}\n", ""),
    ("alternate refs", "[core]\n\talternateRefsCommand = {script}\n", ""),
    ("merge driver", '[merge "x"]\n\tdriver = {script}\n', "* merge=x\n"),
]


@pytest.mark.parametrize(("name", "config", "attributes"), _ATTACKS, ids=[one[0] for one in _ATTACKS])
def test_nothing_that_a_config_names_is_executed(
    repo: Path, tmp_path: Path, name: str, config: str, attributes: str
) -> None:
    canary = tmp_path / "canary"
    script = _script(tmp_path, canary)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for folder in (hooks, repo / ".git" / "hooks"):
        folder.mkdir(exist_ok=True)
        for hook in _HOOKS:
            (folder / hook).write_bytes(script.read_bytes())
            (folder / hook).chmod(0o755)
    (tmp_path / "more").write_text(f"[core]\n\tfsmonitor = {script}\n[diff]\n\texternal = {script}\n")
    with (repo / ".git" / "config").open("a") as file:
        file.write(config.format(script=script, folder=tmp_path))
    _write(repo, {".gitattributes": attributes, "src/app.py": "a = 2\n", "src/new.py": "x = 1\n"})
    assert _facts(repo).code_files == ("src/app.py", "src/new.py")
    assert not canary.exists()


def test_the_canary_sings_when_plain_git_runs(repo: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    _git(repo, "config", "core.fsmonitor", str(_script(tmp_path, canary)))
    _git(repo, "status")
    assert canary.exists(), "the attack of the other tests works at all"


def test_a_submodule_runs_nothing_either(repo: Path, tmp_path: Path) -> None:
    nested = repo / "vendor"
    nested.mkdir()
    _git(nested, "init", "-q", "-b", "main")
    _commit(nested, {"hidden.py": "x = 1\n", ".gitattributes": "* filter=x\n"})
    _commit(repo, {})
    canary = tmp_path / "canary"
    script = _script(tmp_path, canary)
    with (nested / ".git" / "config").open("a") as file:
        file.write(
            f'[core]\n\tfsmonitor = {script}\n[filter "x"]\n\tclean = {script}\n\tprocess = {script}\n'
        )
    _write(nested, {"hidden.py": "x = 2\n"})
    _write(repo, {"src/app.py": "a = 2\n"})
    assert _facts(repo, "HEAD").code_files == ("src/app.py",)
    assert not canary.exists()


def test_a_promisor_remote_is_never_called(repo: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    script = _script(tmp_path, canary)
    blob = _git(repo, "rev-parse", "HEAD:src/app.py")
    with (repo / ".git" / "config").open("a") as file:
        file.write(
            f"[core]\n\tsshCommand = {script}\n\trepositoryformatversion = 1\n"
            "[extensions]\n\tpartialClone = origin\n"
            f'[remote "origin"]\n\turl = ext::{script}\n\tpromisor = true\n\tuploadpack = {script}\n'
            "[protocol]\n\tallow = always\n"
        )
    (repo / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    _write(repo, {"src/app.py": "a = 2\n"})
    problem = _problem(repo)
    assert problem.code is UnreadableCode.GIT_FAILED
    assert "fsck" in problem.fix
    assert not canary.exists()


def test_a_git_program_inside_the_workspace_is_not_run(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "canary"
    script = _script(repo, canary)
    script.rename(repo / "git")
    monkeypatch.setenv("PATH", f"{repo}{os.pathsep}.{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(repo)
    assert _facts(repo).other_files == ("git",)
    assert not canary.exists()


def test_variables_of_the_operator_are_not_inherited(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "canary"
    script = _script(tmp_path, canary)
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(script))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(script))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    _write(repo, {"src/app.py": "a = 2\n"})
    assert _facts(repo).code_files == ("src/app.py",)
    assert not canary.exists()


def _listing(root: Path) -> dict[str, tuple[int, int, str]]:
    seen = {}
    for path in [root, *sorted(root.rglob("*"))]:
        about = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(about.st_mode) else ""
        seen[str(path)] = (about.st_mtime_ns, about.st_mode, digest)
    return seen


@pytest.mark.parametrize("packed", [False, True])
def test_nothing_is_written_into_the_workspace(repo: Path, *, packed: bool) -> None:
    _git(repo, "checkout", "-q", "-b", "work")
    _commit(repo, {"src/old.py": "x = 1\n" * 50})
    if packed:
        _git(repo, "gc", "-q")
    # The copy is an object that the store already has: git would renew its time stamp.
    _write(repo, {"src/copy.py": "x = 1\n" * 50, "src/app.py": "a = 2\n"})
    for path in repo.rglob("*"):
        os.utime(path, ns=(10**18, 10**18))
    before = _listing(repo)
    assert "src/copy.py" in _facts(repo).code_files
    assert _listing(repo) == before


def test_nothing_is_left_in_the_temporary_folder(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    _write(repo, {"src/app.py": "a = 2\n"})
    _facts(repo)
    _problem(repo, "nowhere")
    assert list(scratch.iterdir()) == []


def test_a_folder_without_a_repository_is_named(tmp_path: Path) -> None:
    assert "not inside a git repository" in _problem(tmp_path).detail
    assert _problem(tmp_path / "nowhere").code is UnreadableCode.NO_WORKSPACE


def test_a_repository_without_a_commit_is_named(tmp_path: Path) -> None:
    _git(tmp_path, "init", "-q")
    assert "no commit yet" in _problem(tmp_path).detail


def test_a_bare_repository_is_named(tmp_path: Path) -> None:
    _git(tmp_path, "init", "-q", "--bare")
    assert "bare" in _problem(tmp_path).detail


def test_a_missing_git_is_named(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "not on the PATH" in _problem(repo).detail


def test_a_shallow_clone_without_a_common_commit_says_so(repo: Path, tmp_path: Path) -> None:
    _commit(repo, {"src/two.py": "x = 1\n"})
    _git(repo, "checkout", "-q", "-b", "old", "HEAD~1")
    _commit(repo, {"src/three.py": "x = 1\n"})
    clone = tmp_path / "clone"
    _git(
        tmp_path, "clone", "-q", "--depth=1", "--no-single-branch", "-b", "old", f"file://{repo}", str(clone)
    )
    assert "shallow" in _problem(clone, "origin/main").detail


def test_histories_without_a_common_commit_are_named(repo: Path) -> None:
    _git(repo, "checkout", "-q", "--orphan", "other")
    _commit(repo, {"src/x.py": "x = 1\n"})
    assert "no commit in common" in _problem(repo).detail


def test_a_corrupt_object_is_named(repo: Path) -> None:
    tree = _git(repo, "rev-parse", "HEAD^{tree}")
    path = repo / ".git" / "objects" / tree[:2] / tree[2:]
    path.chmod(0o644)
    path.write_bytes(b"broken")
    problem = _problem(repo)
    assert problem.code is UnreadableCode.GIT_FAILED
    assert "git cannot" in problem.detail


def test_a_broken_head_is_named(repo: Path) -> None:
    (repo / ".git" / "HEAD").write_text("nonsense\n")
    assert "HEAD is broken" in _problem(repo).detail


def test_a_repository_with_sha256_is_read(tmp_path: Path) -> None:
    _git(tmp_path, "init", "-q", "-b", "main", "--object-format=sha256")
    _commit(tmp_path, {"a.py": "a = 1\n"})
    _write(tmp_path, {"a.py": "a = 2\n"})
    assert len(_range(tmp_path).base) == 64
    assert _facts(tmp_path).code_files == ("a.py",)


def test_odd_file_names_are_read(repo: Path) -> None:
    _write(repo, {'src/ä "q".py': "x\n", "src/-x.py": "x\n", "src/:(top)y.py": "x\n", "src/a b.py": "x\n"})
    assert _facts(repo).code_files == ("src/-x.py", "src/:(top)y.py", "src/a b.py", 'src/ä "q".py')


def test_a_colon_and_a_quote_in_the_folder_s_name_do_no_harm(tmp_path: Path) -> None:
    root = tmp_path / 'a:b "c'
    root.mkdir()
    _git(root, "init", "-q", "-b", "main")
    _commit(root, {"a.py": "a = 1\n"})
    _write(root, {"a.py": "a = 2\n"})
    assert _facts(root).code_files == ("a.py",)


def test_too_much_is_refused_before_it_is_copied(repo: Path) -> None:
    with (repo / "big.bin").open("wb") as file:
        file.truncate(1 << 40)
    assert _problem(repo).code is UnreadableCode.TOO_LARGE


def test_an_answer_over_the_limit_is_refused(repo: Path) -> None:
    _write(repo, {"src/app.py": "a = 2\n" * 100})
    assert _problem(repo, limits=ReadLimits(max_bytes=700)).code is UnreadableCode.TOO_LARGE


def test_the_time_limit_holds(repo: Path) -> None:
    _write(repo, {"src/app.py": "a = 2\n"})
    assert _problem(repo, limits=ReadLimits(max_seconds=0)).code is UnreadableCode.TOO_SLOW


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")
@pytest.mark.parametrize("tail", ["wait", "exit 0", "yes"])
def test_a_limit_ends_the_whole_process_group(tmp_path: Path, tail: str) -> None:
    note = tmp_path / "pid"
    command = ["sh", "-c", f"sleep 60 & echo $! > '{note}'; {tail}"]
    bounds = Bounds(max_bytes=100_000, deadline=Deadline(0.5))
    found = run(command, env={"PATH": os.environ["PATH"]}, cwd=tmp_path, stdin=b"", bounds=bounds)
    assert isinstance(found, Unreadable)
    child = int(note.read_text())
    until = time.monotonic() + 5
    while _alive(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _alive(child)
