"""Documents as people write them: the built-in policy accepts the good and refuses unfilled templates."""

from __future__ import annotations

from pathlib import Path

import pytest

from omoi_os.domain.claims import Claims
from omoi_os.domain.evidence import DocumentFacts
from omoi_os.domain.phases import Phase
from omoi_os.domain.policy import built_in_policy
from omoi_os.domain.rules import Artifact, Measured, TaskFacts, gate_findings
from omoi_os.domain.verdict import Finding, GateStatus, Outcome, decide
from omoi_os.evidence.documents import read_document

DOCUMENTS = Path(__file__).parent / "documents"
GOOD = sorted((DOCUMENTS / "good").iterdir())
TEMPLATES = sorted((DOCUMENTS / "templates").iterdir())


def findings(path: Path) -> tuple[Finding, ...]:
    """What the requirements gate finds in a document, without the tasks."""
    with path.open("rb") as file:
        facts = read_document(file)
    assert isinstance(facts, DocumentFacts), facts
    measured = Measured(Artifact("id", "requirements_document"), facts, Claims(), path.name)
    policy = built_in_policy(Phase.REQUIREMENTS).without_tasks()
    return gate_findings(policy, TaskFacts(False), {"requirements_document": measured})


def test_the_corpus_is_large_enough_to_say_something() -> None:
    assert len(GOOD) >= 12
    assert len(TEMPLATES) >= 8


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_a_document_that_says_what_is_asked_passes(path: Path) -> None:
    found = findings(path)
    assert decide(found).status is GateStatus.PASSED, [item.sentence() for item in found]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_fails_for_both_of_its_unfilled_sections(path: Path) -> None:
    found = findings(path)
    assert decide(found).status is GateStatus.FAILED
    sections = [item for item in found if ".required_sections." in item.criterion]
    # The headings are there: it is what stands below them that must not count.
    assert [(item.outcome, item.code) for item in sections] == [(Outcome.FAIL, "section_unfilled")] * 2


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
@pytest.mark.parametrize("section", ["scope", "acceptance_criteria"])
def test_each_section_of_a_good_document_is_needed(path: Path, section: str, tmp_path: Path) -> None:
    name = f"requirements_document.required_sections.{section}"
    [finding] = [item for item in findings(path) if item.criterion == name]
    heading = finding.found.split("“")[1].split("”")[0]
    without = tmp_path / path.name
    without.write_text(path.read_text().replace(heading, "Remarks"))
    [finding] = [item for item in findings(without) if item.criterion == name]
    if finding.outcome is Outcome.PASS:  # another heading of the document says the same
        assert heading not in finding.found
    else:
        assert finding.code == "section_missing"
