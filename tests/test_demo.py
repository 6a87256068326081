"""The demo: a ticket must get from requirements to done as told, from anywhere, with nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from omoi_os.bootstrap import Services
from omoi_os.cli import samples
from omoi_os.cli.demo import pipeline
from omoi_os.cli.demo.command import tell
from omoi_os.cli.demo.record import Differs, Record
from omoi_os.cli.demo.script import BASE, script
from omoi_os.cli.demo.told import Told
from omoi_os.cli.exits import Exit
from omoi_os.cli.signals import Held
from omoi_os.domain.judging.criteria import BUILT_IN_CRITERIA
from omoi_os.domain.judging.quotes import TextSources, flaw_of_quote
from omoi_os.domain.phases import Phase
from omoi_os.services.task_templates import PHASE_TASK_TEMPLATES
from omoi_os.services.tickets import NewTicket
from tests.command import COMMAND, environment, hears_ctrl_c, servers_under

CHECKPOINTS = (
    "1 of 6: requirements",
    "create_requirements_doc is done",
    "PASSED: the work may leave requirements",
    "- covers_ticket: met, “from that time on it is not opened any more” in requirements_document",
    "to design, by omoi",
    "2 of 6: design",
    "“the review is over and the gate is open …”",
    "BLOCKED: the work may not leave design yet",
    "FAIL design_document.required_sections.decisions: no such heading",
    "A rule failed, so no judge was asked.",
    "fix_design, made by the review: design_document.required_sections.decisions",
    "PASSED: the work may leave design",
    "resolved: design_document.required_sections.decisions",
    "refused: `review` is not the code of this review",
    "to implementation, by omoi",
    "3 of 6: implementation",
    "coverage is 95 %.”",
    "BLOCKED: the work may not leave implementation yet",
    "note test_coverage.claims: 95 % is claimed and 73.07 % was measured",
    "fix_implementation, made by the review: code_changes.must_have_tests",
    "PASSED: the work may leave implementation",
    "resolved: code_changes.must_have_tests",
    "4 of 6: testing",
    "PASSED: the work may leave testing",
    "passed, but stale: the workspace changed",
    "refused: the gate of PHASE_TESTING is being reviewed",
    "PASSED: the work may leave testing",
    "a person moves the ticket to deployment",
    "5 of 6: deployment",
    "PASSED: the work may leave deployment",
    "to done, by omoi",
    "6 of 6: done",
    "8 reviews, and 31 model calls, 13 of them by judges.",
    "All of it came out as it must",
    "omoi up",
)


@dataclass(frozen=True, slots=True)
class Ran:
    """A demo that ran to its end."""

    code: int
    lines: list[str]
    complaints: str
    seconds: float
    left: list[str]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """It, with settings that must not matter: its database and models are its own."""
    folder = tmp_path_factory.mktemp("demo")
    temporary = folder / "temporary"
    temporary.mkdir()
    settings = {
        "OMOI_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "OMOI_HOME": "/nowhere",
        "OMOI_JUDGE_MODEL": "openai/none",
        "OMOI_JUDGE_USD_PER_DAY": "0",
        "OMOI_AGENT_TIMEOUT": "nonsense",
    }
    started = time.monotonic()
    done = subprocess.run(
        [*COMMAND, "demo"],
        cwd=folder,
        env=environment(TMPDIR=str(temporary), **settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    left = [path.name for path in temporary.iterdir()] + servers_under(temporary)
    left += [path.name for path in folder.iterdir() if path != temporary]
    lines = done.stdout.splitlines()
    return Ran(done.returncode, lines, done.stderr, time.monotonic() - started, left)


@pytest.mark.timeout(300)
def test_a_ticket_gets_from_requirements_to_done_as_the_story_says(ran: Ran) -> None:
    assert (ran.code, ran.complaints) == (0, "")
    # Folded lines are joined, so that no width matters.
    rest = re.sub(r"\s+", " ", " ".join(ran.lines))
    for checkpoint in CHECKPOINTS:
        before, found, rest = rest.partition(checkpoint)
        assert found, f"{checkpoint!r} does not follow {before[:200]!r}"


@pytest.mark.timeout(300)
def test_it_leaves_nothing_behind(ran: Ran) -> None:
    assert ran.left == []


@pytest.mark.timeout(300)
def test_its_lines_fit_a_page_and_end_where_their_text_does(ran: Ran) -> None:
    assert max(map(len, ran.lines)) <= 100
    begin, end = (next(n for n, line in enumerate(ran.lines) if line.startswith(f"{k} of 6")) for k in (1, 6))
    blocks = ran.lines[begin:end]
    assert [line for line in blocks if line != line.rstrip()] == []


@pytest.mark.timeout(300)
def test_what_is_done_meanwhile_is_told(ran: Ran) -> None:
    shown = [line for line in ran.lines if re.match(r" *\d+\.\d s ", line)]
    assert any("an agent does fix_design" in line for line in shown)
    assert any("a review of design is judging" in line for line in shown)


@pytest.mark.parametrize(
    ("number", "seen"),
    [(signal.SIGINT, "workspace/docs/requirements.md"), (signal.SIGTERM, "home/pg/PG_VERSION")],
)
def test_a_demo_that_is_interrupted_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals, seen: str
) -> None:
    with subprocess.Popen(
        [*COMMAND, "demo"],
        cwd=tmp_path,
        env=environment(TMPDIR=str(tmp_path)),
        preexec_fn=hears_ctrl_c,  # noqa: PLW1509 it only sets a signal
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        deadline = time.monotonic() + 90
        while not servers_under(tmp_path / ".") or not list(tmp_path.glob(f"omoi-demo-*/{seen}")):
            assert time.monotonic() < deadline, "it was never seen"
            assert running.poll() is None
            time.sleep(0.02)
        os.kill(running.pid, number)
        _, complaints = running.communicate(timeout=30)
    assert running.returncode == 128 + number
    assert complaints == ""
    assert list(tmp_path.iterdir()) == []
    assert servers_under(tmp_path) == []


# The pieces


class _Chapters:
    def __init__(self, problem: str) -> None:
        self.problem = problem

    def chapters(self) -> Iterator[str]:
        yield "1 of 2: one"
        if self.problem:
            raise Differs(self.problem)
        yield "2 of 2: two"


def told() -> Told:
    return Told(Console(width=100, record=True, highlight=False))


@pytest.mark.parametrize(("problem", "code"), [("", Exit.PASSED), ("the gate did not open", Exit.BLOCKED)])
def test_a_story_that_comes_out_otherwise_ends_with_a_sentence(problem: str, code: Exit) -> None:
    here = told()
    assert tell(_Chapters(problem), here) is code
    text = here.out.export_text()
    assert ("The story came out otherwise: the gate did not open." in text) == bool(problem)
    assert ("2 of 2" in text) != bool(problem)


def test_what_does_not_come_is_waited_for_only_so_long(services: Services) -> None:
    ticket = services.tickets.create(NewTicket("Let links expire"))
    record = Record(services, ticket.id, told(), Held(), patience=0.2)
    with pytest.raises(Differs, match=r"review 1 of design did not come within 0\.2 seconds"):
        record.verdict(Phase.DESIGN, 1)


def test_the_pipeline_reports_only_on_files_that_it_ran(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    samples.begin(BASE, tree, "work")
    work = script().work["implement_feature"]
    pipeline.run(work, tree)
    assert not (tree / "coverage.xml").exists()
    samples.copy(work.folder, tree)
    (tree / "src/shortlinks/store.py").write_text("# changed\n")
    pipeline.run(work, tree)
    assert not (tree / "coverage.xml").exists()
    samples.copy(work.folder, tree)
    pipeline.run(work, tree)
    assert (tree / "coverage.xml").exists()


def test_every_task_has_a_part_in_the_script_and_every_criterion_a_quote() -> None:
    tasks = {task["task_type"] for templates in PHASE_TASK_TEMPLATES.values() for task in templates}
    assert tasks | {"fix_design", "fix_implementation"} == {*script().work, *script().outside}
    asked = {criterion.id for criteria in BUILT_IN_CRITERIA.values() for criterion in criteria}
    assert asked == {*script().quotes}


def test_every_quote_stands_in_what_is_handed_in(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    samples.begin(BASE, tree, "work")
    parts = [*script().work.values(), *script().outside.values()]
    texts: dict[str, str] = {}
    for work in parts:
        if work.folder:
            samples.copy(work.folder, tree)
        pipeline.run(work, tree)
        texts |= {item["type"]: (tree / item["path"]).read_text() for item in work.artifacts}
    texts |= {path: (tree / path).read_text() for path in ("src/shortlinks/store.py", "tests/test_store.py")}
    for criterion, shown in script().quotes.items():
        assert flaw_of_quote(shown.quote, shown.where, TextSources(texts)) == "", criterion
