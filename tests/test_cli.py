"""`omoi` as people and scripts meet it: its answers, its exit codes, and what it says to a mistake."""

from __future__ import annotations

import io
import json
import os
import pty
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType
from rich.text import Text

from omoi_os.cli import samples
from omoi_os.cli.show import findings_blocks, findings_table, visible
from omoi_os.embedded import EmbeddedPostgres
from omoi_os.services.database import DatabaseService
from tests.command import COMMAND, environment, omoi, servers_under
from tests.evidence_texts import DESIGN, REQUIREMENTS, junit, lcov

type Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path, postgres: EmbeddedPostgres, db_service: DatabaseService) -> Run:
    """`omoi`, on the database of the tests."""

    def run(*arguments: str | Path, cwd: Path = tmp_path, **more: str) -> subprocess.CompletedProcess[str]:
        return omoi(*arguments, cwd=cwd, OMOI_DATABASE_URL=postgres.ensure(), **more)

    return run


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The samples' working trees, as they are."""
    folder = tmp_path_factory.mktemp("samples")
    for name in samples.ORDER:
        samples.build(name, folder / name)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def good(tmp_path: Path, built: Path) -> Path:
    """A working tree that passes, to be changed by the test."""
    return shutil.copytree(built / "rate-limiter", tmp_path / "good")


def verdict(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The JSON of `--json`, which says the same as the exit code."""
    assert done.stderr == ""
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["exit_code"] == done.returncode
    return said


def codes(said: dict[str, Any]) -> dict[str, str]:
    return {finding["criterion"]: finding["code"] for finding in said["findings"]}


# What it answers


def test_work_that_is_done_ends_with_0_and_one_line_that_says_so(run: Run, built: Path) -> None:
    done = run("review", built / "rate-limiter")
    assert (done.returncode, done.stderr) == (0, "")
    assert "PASSED: the work may leave implementation; 2 of 2 criteria are met." in done.stdout
    header = done.stdout.splitlines()[0].split()
    assert header == ["criterion", "found", "needed", "where", "what", "to", "do"]


def test_work_that_is_not_done_ends_with_1_and_both_reasons(run: Run, built: Path) -> None:
    done = run("review", ".", "--json", cwd=built / "invoice-rounding")
    said = verdict(done)
    assert done.returncode == 1
    assert said["gate_status"] == "failed"
    assert codes(said) == {
        "code_changes.must_have_tests": "code_without_tests",
        "test_coverage.min_percentage": "coverage_below_minimum",
    }
    assert len(said["blocking_reasons"]) == 2
    assert "43.58 %" in said["blocking_reasons"][1]


def test_a_folder_without_git_is_inconclusive_about_the_change(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lcov.info").write_text(lcov(covered=9, total=10))
    done = run("review", "--json")
    assert done.returncode == 3
    assert verdict(done)["gate_status"] == "inconclusive"


def test_an_empty_folder_does_not_pass(run: Run, tmp_path: Path) -> None:
    for phase in ("implementation", "deployment"):
        done = run("review", "--json", "--phase", phase)
        assert done.returncode == 1
        assert "artifact_missing" in codes(verdict(done)).values()


def test_a_base_that_does_not_exist_is_inconclusive_and_named(run: Run, good: Path) -> None:
    done = run("review", good, "--base", "nowhere", "--json")
    assert done.returncode == 3
    [change] = [item for item in verdict(done)["findings"] if item["criterion"].startswith("code_changes")]
    assert "nowhere" in change["found"]


def test_a_second_review_answers_from_the_first_unless_it_is_forced_or_something_changed(
    run: Run, good: Path
) -> None:
    first, second = (verdict(run("review", good, "--json")) for _ in range(2))
    forced = verdict(run("review", good, "--json", "--force"))
    (good / "notes.txt").write_text("a new file\n")
    changed = verdict(run("review", good, "--json"))
    assert {said["ticket_id"] for said in (second, forced, changed)} == {first["ticket_id"]}
    assert second["result_id"] == first["result_id"]
    assert len({first["result_id"], forced["result_id"], changed["result_id"]}) == 3
    assert first["inputs"]["workspace"] == forced["inputs"]["workspace"] != changed["inputs"]["workspace"]


def test_a_documents_phase_finds_its_document_by_name(run: Run, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/password-reset-requirements.md").write_text(REQUIREMENTS)
    (tmp_path / "docs/design.md").write_text(DESIGN)
    assert run("review", "-p", "requirements").returncode == 0
    assert run("review", "-p", "PHASE_DESIGN").returncode == 0


def test_the_last_phases_read_every_test_report_that_is_found(run: Run, tmp_path: Path) -> None:
    reports = tmp_path / "build" / "reports"
    reports.mkdir(parents=True)
    (reports / "junit-unit.xml").write_text(junit(passed=3))
    (reports / "junit-slow.xml").write_text(junit(passed=2))
    (tmp_path / "test-report.md").write_text("All of it was run on the staging machine.\n")
    (tmp_path / "deployment.md").write_text("Version 1.4.0 runs on staging.\n")
    (tmp_path / "smoke.xml").write_text(junit(passed=1))
    said = verdict(run("review", "-p", "testing", "--json"))
    assert said["gate_status"] == "passed"
    assert any("5 passed" in finding["found"] for finding in said["findings"])
    assert run("review", "-p", "deployment").returncode == 0
    (reports / "junit-slow.xml").write_text(junit(passed=2, failed=1))
    assert run("review", "-p", "testing").returncode == 1


def test_of_two_coverage_reports_one_is_read_and_the_other_can_be_chosen(run: Run, good: Path) -> None:
    (good / "lcov.info").write_text(lcov(covered=1, total=10))
    assert run("review", good).returncode == 0
    said = verdict(run("review", good, "--json", "-e", "test_coverage=lcov.info"))
    assert codes(said)["test_coverage.min_percentage"] == "coverage_below_minimum"


@pytest.mark.parametrize("name", ["two words", "Überprüfung 試験", "line\nbreak", "[red]x[bold]", "$(id);#"])
def test_a_folder_may_have_any_name(run: Run, good: Path, name: str) -> None:
    good = good.rename(good.with_name(name))
    done = run("review", good)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_exit_code_does_not_change_when_nobody_reads_the_output(
    postgres: EmbeddedPostgres, db_service: DatabaseService, built: Path
) -> None:
    for option in ((), ("--json",)):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [*COMMAND, "review", "rate-limiter", *option],
            cwd=built,
            env=environment(OMOI_DATABASE_URL=postgres.ensure()),
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
        os.close(writer)
        assert (done.returncode, done.stderr) == (0, b"")


# With nothing set up


def test_with_nothing_set_the_database_lies_beside_the_work_and_no_server_stays(good: Path) -> None:
    done = omoi("review", "--json", cwd=good)
    assert done.returncode == 0
    assert verdict(done)["gate_status"] == "passed"
    assert (good / ".omoi/.gitignore").read_text() == "*\n"
    assert servers_under(good) == []
    assert omoi("db", "upgrade", cwd=good).returncode == 0
    assert servers_under(good) == []


# What it says to a mistake


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("revue",), "omoi --help"),
        (("review", "--fase", "design"), "omoi --help"),
        (("review", "one", "two"), "omoi --help"),
        (("review", "nothing-here"), "nothing-here"),
        (("review", "a-file"), "a-file"),
        (("review", "nul\\x01\x01"), "omoi:"),
        (("review", "--phase", "implementaton"), "implementation"),
        (("review", "--phase", "done"), "no gate"),
        (("review", "--base", ""), "--base"),
        (("review", "--evidence", "coverage.xml"), "TYPE=PATH"),
        (("review", "--evidence", "test_coverage="), "TYPE=PATH"),
        (("review", "--evidence", "coverage=a-file"), "test_coverage"),
        (("review", "--evidence", "test_coverage=nothing.xml"), "no such file"),
        (("serve", "--host", "0.0.0.0"), "loopback"),  # noqa: S104 - it is refused
        (("serve", "--port", "70000"), "65535"),
        (("db", "dwngrade"), "upgrade"),
    ],
)
def test_a_mistake_is_answered_by_one_sentence_and_2(
    tmp_path: Path, arguments: tuple[str, ...], hint: str
) -> None:
    (tmp_path / "a-file").write_text("not a folder\n")
    done = omoi(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("omoi: ")
    assert done.stderr.count("\n") == 1
    assert done.stderr[:-1].isprintable()
    assert hint in done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("OMOI_PORT", "many", 2),
        ("OMOI_DATABASE_URL", "mysql://somewhere/else", 2),
        ("OMOI_DATABASE_URL", "postgresql://someone:hunter2@127.0.0.1:1/nothing", 5),
        ("OMOI_HOME", "/dev/null/omoi", 5),
    ],
)
def test_a_setting_that_does_not_work_is_told_without_a_traceback(
    tmp_path: Path, variable: str, value: str, code: int
) -> None:
    done = omoi("review", cwd=tmp_path, **{variable: value})
    assert done.returncode == code
    assert done.stderr.startswith("omoi: ")
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_a_port_that_is_taken_is_wrong_usage(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = omoi("serve", "--port", str(taken.getsockname()[1]), cwd=tmp_path)
    assert done.returncode == 2
    assert "choose another port" in done.stderr


def test_a_diff_is_not_chosen_where_git_knows_it(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "x.diff").write_text("")
    done = omoi("review", "-e", "code_changes=x.diff", cwd=tmp_path)
    assert done.returncode == 2
    assert "--base" in done.stderr


def test_the_version_and_the_help_are_answers_and_no_mistakes(tmp_path: Path) -> None:
    version = omoi("--version", cwd=tmp_path)
    assert (version.returncode, version.stdout.strip()) == (0, "0.1.0")
    for arguments in ((), ("--help",), ("review", "--help")):
        done = omoi(*arguments, cwd=tmp_path)
        assert done.returncode == 0
        assert "omoi" in done.stdout
    assert list(tmp_path.iterdir()) == []


# What reaches the terminal


HOSTILE = "a[bold]b\x1b[31mc\u202ed\ne\u2066f\x9bg"


def _hostile() -> list[dict[str, str]]:
    texts = dict.fromkeys(("criterion", "found", "needed", "artifact", "fix"), HOSTILE)
    return [
        {**texts, "outcome": "fail", "severity": "block"},
        {**texts, "outcome": "pass", "severity": "block"},
    ]


def _shown(width: int, what: RenderableType) -> str:
    written = io.StringIO()
    Console(width=width, file=written).print(what)
    return written.getvalue()


@pytest.mark.parametrize("width", [40, 80, 100, 160])
def test_a_reports_text_cannot_steer_the_terminal(width: int) -> None:
    shown = _shown(width, findings_blocks(_hostile())) + _shown(
        width, findings_table(_hostile(), max(width, 100))
    )
    assert "[bold]" in shown
    assert all(letter.isprintable() or letter == "\n" for letter in shown)


def test_what_cannot_be_shown_is_shown_as_an_escape() -> None:
    assert visible("a\x1b\u202e\n\u00a0\U000e0001b\udcff") == "a\\x1b\\u202e\\x0a \\ue0001b\\udcff"


def test_a_very_long_text_is_cut_in_the_table_and_whole_in_the_json() -> None:
    [finding, _] = _hostile()
    long = {**finding, "found": "x" * 100_000}
    assert len(_shown(100, findings_table([long], 100))) < 10_000


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_nothing_is_wider_than_the_terminal_and_nothing_is_lost(width: int) -> None:
    finding = {
        "criterion": "requirements_document.required_sections",
        "outcome": "fail",
        "severity": "block",
        "found": "word " * 30,
        "needed": "word " * 20,
        "artifact": "docs/a/very/long/path/to/requirements.md",
        "fix": "word " * 25,
    }
    shown = _shown(width, findings_table([finding], width) if width >= 100 else findings_blocks([finding]))
    assert max(map(len, shown.splitlines())) <= width
    assert shown.count("word") == 75
    assert "document" in shown.replace(" ", "")


def test_in_a_terminal_there_is_progress_and_without_colour_none_is_used(
    postgres: EmbeddedPostgres, db_service: DatabaseService, built: Path
) -> None:
    shown = _in_a_terminal(
        built / "rate-limiter", OMOI_DATABASE_URL=postgres.ensure(), NO_COLOR="1", TERM="xterm"
    )
    assert "measuring" in shown
    assert "PASSED" in shown
    assert "\x1b[32m" not in shown
    assert "\x1b[?25h" in shown  # the cursor is back


def _in_a_terminal(folder: Path, **more: str) -> str:
    main, other = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "review", "."],
        cwd=folder,
        env=environment(**more),
        stdin=other,
        stdout=other,
        stderr=other,
    ) as running:
        os.close(other)
        shown = b""
        try:
            while part := os.read(main, 4096):
                shown += part
        except OSError:
            pass  # the other side is closed: that is how a terminal ends
        assert running.wait(timeout=60) == 0
    os.close(main)
    return Text(shown.decode()).plain
