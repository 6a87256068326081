"""`omoi policy` and `omoi init` as people and scripts meet them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import omoi

NINETY = "version: 1\nphases: {implementation: {criteria: {test_coverage: {min_percentage: 90}}}}\n"


def test_a_mistake_ends_with_2_and_a_line_for_each(tmp_path: Path) -> None:
    (tmp_path / "omoi.yaml").write_text("version: 1\nfases: {}\nphases: {design: {judge: off}}\n")
    done = omoi("policy", "check", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first.endswith("omoi.yaml:2: there is no key 'fases' here; write phases")
    assert 'omoi.yaml:3: YAML reads a bare off as true or false; write "off" in quotes' in second


def test_a_valid_file_is_named_with_its_digest(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(NINETY)
    named = omoi("policy", "check", "mine.yaml", cwd=tmp_path)
    assert (named.returncode, named.stderr) == (0, "")
    assert "mine.yaml is a valid policy; its digest is " in named.stdout
    by_setting = omoi("policy", "check", cwd=tmp_path, OMOI_POLICY="mine.yaml")
    assert by_setting.stdout.split()[-1] == named.stdout.split()[-1]


def test_without_a_file_the_built_in_policy_holds_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    nothing = omoi("policy", "check", cwd=tmp_path)
    assert (nothing.returncode, nothing.stderr) == (0, "")
    assert "the built-in policy holds" in nothing.stdout
    missing = omoi("policy", "check", "missing.yaml", cwd=tmp_path)
    assert missing.returncode == 2
    assert "cannot be read (No such file or directory)" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_a_file_cannot_steer_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "omoi.yaml").write_text('version: 1\n"\\e[31mred": 1\n')
    done = omoi("policy", "check", cwd=tmp_path)
    assert done.returncode == 2
    assert "\x1b" not in done.stderr


def test_a_phase_is_explained_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "omoi.yaml").write_text(NINETY)
    done = omoi("policy", "explain", "--phase", "implementation", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "line coverage of at least 90 %" in done.stdout
    assert "changed code comes with a new or extended test that asserts" in done.stdout
    unknown = omoi("policy", "explain", "--phase", "holiday", cwd=tmp_path)
    assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 1)


def test_a_weaker_policy_ends_with_1_and_a_stronger_one_with_0(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text("version: 1\n")
    (tmp_path / "new.yaml").write_text(NINETY)
    stronger = omoi("policy", "diff", "old.yaml", "new.yaml", cwd=tmp_path)
    assert (stronger.returncode, stronger.stderr) == (0, "")
    assert "at least 90 % instead of 80" in stronger.stdout
    weaker = omoi("policy", "diff", "new.yaml", "old.yaml", cwd=tmp_path)
    assert weaker.returncode == 1
    assert "weaker    implementation: test_coverage.min_percentage" in weaker.stdout
    same = omoi("policy", "diff", "new.yaml", "new.yaml", cwd=tmp_path)
    assert (same.returncode, same.stdout) == (0, "Both ask for the same.\n")


def test_a_broken_file_is_not_compared(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text("version: 1\n")
    (tmp_path / "new.yaml").write_text("version: 9\n")
    done = omoi("policy", "diff", "old.yaml", "new.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")


def test_the_schema_is_json(tmp_path: Path) -> None:
    done = omoi("policy", "schema", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["properties"]["phases"]


def test_init_writes_a_valid_file_once_and_never_again(tmp_path: Path) -> None:
    assert omoi("init", cwd=tmp_path).returncode == 0
    assert omoi("policy", "check", cwd=tmp_path).returncode == 0
    (tmp_path / "omoi.yaml").write_text("mine")
    again = omoi("init", cwd=tmp_path)
    assert again.returncode == 2
    assert "nothing is overwritten" in again.stderr
    assert (tmp_path / "omoi.yaml").read_text() == "mine"


@pytest.mark.parametrize("path", ["missing/omoi.yaml", "dangling.yaml", "."])
def test_init_writes_nowhere_else(tmp_path: Path, path: str) -> None:
    (tmp_path / "dangling.yaml").symlink_to(tmp_path / "target.yaml")
    done = omoi("init", path, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert not (tmp_path / "target.yaml").exists()
