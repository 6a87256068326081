"""The bundled samples: each says itself what its review finds, and holds what a real run wrote."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from omoi_os.bootstrap import Services
from omoi_os.cli import samples
from omoi_os.domain.phases import Phase
from omoi_os.models.task import Task
from omoi_os.services.tickets import NewTicket


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
