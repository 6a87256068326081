"""The demo: three tickets that must come out as told, from anywhere, with nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from omoi_os.bootstrap import Services
from omoi_os.cli import samples
from omoi_os.domain.phases import Phase
from omoi_os.models.task import Task
from omoi_os.services.tickets import NewTicket
from tests.command import COMMAND, environment, omoi, servers_under


def _review(services: Services, tree: Path, name: str) -> tuple[str, dict[str, str]]:
    """The answer, and what was found by code, for a sample's ticket."""
    sample = samples.load(name)
    ticket = services.tickets.create(NewTicket(sample.title, phase_id=Phase.IMPLEMENTATION, workspace=tree))
    with services.db.get_session() as session:
        session.add(
            Task(
                ticket_id=ticket.id,
                phase_id=Phase.IMPLEMENTATION,
                task_type="work",
                status="completed",
                result=sample.result,
            )
        )
    result = services.gates.validate_gate(ticket.id, Phase.IMPLEMENTATION)
    findings = (result.validation_result or {})["findings"]
    unmet = {
        item["criterion"]: f"{item['code']}: {item['found']}"
        for item in findings
        if item["outcome"] != "pass"
    }
    return result.gate_status, unmet


def test_the_demo_passes_one_ticket_blocks_one_and_catches_one_liar(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    # It must not touch the operator's database or settings, so it has to work with useless ones.
    settings = {"OMOI_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing", "OMOI_HOME": "/nowhere"}
    done = omoi("demo", cwd=tmp_path, TMPDIR=str(temporary), **settings)
    assert (done.returncode, done.stderr) == (0, "")
    answers = [
        line.split(":")[0] for line in done.stdout.splitlines() if line.startswith(("PASSED:", "BLOCKED:"))
    ]
    assert answers == ["PASSED", "BLOCKED", "BLOCKED"]
    assert "All 3 came out as they must." in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert list(temporary.glob("omoi-demo-*")) == []
    assert servers_under(temporary) == []
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_interrupted_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [*COMMAND, "demo"],
        cwd=tmp_path,
        env=environment(TMPDIR=str(tmp_path)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        deadline = time.monotonic() + 30
        while not servers_under(tmp_path / ".") or not list(tmp_path.glob("omoi-demo-*/home/pg/PG_VERSION")):
            assert time.monotonic() < deadline, "the server was never seen"
            assert running.poll() is None
            time.sleep(0.02)
        os.kill(running.pid, number)
        _, complaints = running.communicate(timeout=30)
    assert running.returncode == 128 + number
    assert complaints == ""
    assert list(tmp_path.glob("omoi-demo-*")) == []
    assert servers_under(tmp_path) == []


@pytest.mark.parametrize("name", samples.ORDER)
def test_a_sample_says_itself_what_its_review_finds(services: Services, tmp_path: Path, name: str) -> None:
    samples.build(name, tmp_path / name)
    status, unmet = _review(services, tmp_path / name, name)
    sample = samples.load(name)
    assert status == sample.answer
    assert sorted(said.split(":")[0] for said in unmet.values()) == sample.reasons


def test_the_blocked_sample_has_exactly_two_reasons(services: Services, tmp_path: Path) -> None:
    samples.build("invoice-rounding", tmp_path / "tree")
    _, unmet = _review(services, tmp_path / "tree", "invoice-rounding")
    assert set(unmet) == {"code_changes.must_have_tests", "test_coverage.min_percentage"}


def test_the_liar_is_shown_the_claimed_and_the_measured_number(services: Services, tmp_path: Path) -> None:
    samples.build("short-links", tmp_path / "tree")
    _, unmet = _review(services, tmp_path / "tree", "short-links")
    assert "97 %" in unmet["test_coverage.claims"]
    assert "73.07 %" in unmet["test_coverage.claims"]


def test_the_reports_of_a_liar_that_were_measured_well_would_pass(services: Services, tmp_path: Path) -> None:
    # The counterpart: the same ticket with work that bears the claims out.
    tree = tmp_path / "tree"
    samples.build("short-links", tree)
    report = tree / "coverage.xml"
    report.write_text(report.read_text().replace('hits="0"', 'hits="1"'))
    test = tree / "tests" / "test_store.py"
    test.write_text(
        test.read_text().replace("    store.open(name, now=50)", "    assert store.open(name, now=50)")
    )
    status, unmet = _review(services, tree, "short-links")
    # 100 % beside a claim of 97 is a difference too, told and not blocking.
    assert status in {"passed", "inconclusive"}
    assert "code_changes.must_have_tests" not in unmet
    assert "code_changes.claims" not in unmet


def test_a_sample_is_the_same_commits_on_every_machine(tmp_path: Path) -> None:
    heads = []
    for name in ("one", "two"):
        samples.build("rate-limiter", tmp_path / name)
        heads.append((tmp_path / name / ".git/refs/heads/retry-after").read_text())
    assert heads[0] == heads[1]


def test_no_sample_holds_a_path_or_name_of_the_machine_that_ran_it() -> None:
    for path in samples.FOLDER.rglob("*.txt"):
        text = path.read_text()
        assert not re.search(r"(?<![.\w])/(tmp|home|root|work|var|usr)\b", text), path
        assert os.uname().nodename not in text, path
