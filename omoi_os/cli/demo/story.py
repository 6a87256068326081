"""The story: what happens to the ticket, step by step, and what must come of each step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.text import Text

from omoi_os.cli.demo.ending import print_ending
from omoi_os.cli.demo.outside import Outside
from omoi_os.cli.demo.record import Differs, Record
from omoi_os.cli.demo.script import Script
from omoi_os.cli.demo.told import Told, findings
from omoi_os.cli.demo.workshop import Workshop
from omoi_os.cli.lists import short_phase
from omoi_os.domain.phases import Move, Phase
from omoi_os.domain.verdict import GateStatus
from omoi_os.errors import GateClosed
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.services.tickets import NewTicket

PERSON: Final = "a person"
CHANGED: Final = "README.md"
OUTSIDE: Final = """\
Agents of OmoiOS run nothing. One outside that can, played by the demo, takes these tasks from the queue."""
DICTATED: Final = "c0ffee00"
"""The code of a review that the document makes up."""

REFUSED: Final = "This was not accepted:"
HONEST: Final = """\
That is what protects: failed rules stand, texts are fenced, a submission needs the review's code, and \
quotes are looked up. A model that goes along with a text can still be fooled; \
`omoi judge calibrate` measures yours."""
_SENTENCE: Final = "\nLinks expire at the time that they were given.\n"


class Story:
    """Tells itself, chapter by chapter.

    Raises:
        Differs: A step came out otherwise than it must.
    """

    def __init__(self, shop: Workshop, script: Script, told: Told) -> None:
        self.shop = shop
        self.told = told
        new = NewTicket(script.title, script.description, workspace=shop.tree)
        ticket = shop.services.tickets.create(new, created_by=PERSON)
        self.record = Record(shop.services, ticket.id, told, shop.signals)
        self.outside = Outside(shop.services, script, shop.tree)

    def requirements(self) -> None:
        """Two tasks, and a gate that opens."""
        self._moves(Phase.REQUIREMENTS)
        review = self.record.verdict(Phase.REQUIREMENTS, 1)
        self._tasks("analyze_requirements", "create_requirements_doc")
        self._verdict(review, GateStatus.PASSED)
        self.told.answers(review)
        self._moved_on(Phase.REQUIREMENTS)

    def design(self) -> None:
        """A document that tells its reviewer what to say."""
        first = self.record.verdict(Phase.DESIGN, 1)
        self._tasks("design_architecture")
        self.told.line("", "The document also says to its reviewer: " + self._dictated())
        self._verdict(first, GateStatus.FAILED, "section_missing")
        self.told.line("", "A failed rule cannot be overruled, whatever the document says to a judge.")
        self._refused(self._mended(Phase.DESIGN, "fix_design"))
        self.told.line("", HONEST)
        self._moved_on(Phase.DESIGN)

    def implementation(self) -> None:
        """Claims that the measurement does not bear out."""
        first = self.record.verdict(Phase.IMPLEMENTATION, 1)
        self._tasks("implement_feature")
        self._verdict(
            first,
            GateStatus.FAILED,
            "claim_differs_from_measurement",
            "claim_differs_from_measurement",
            "code_without_tests",
            "coverage_below_minimum",
        )
        self._mended(Phase.IMPLEMENTATION, "fix_implementation")
        self._moved_on(Phase.IMPLEMENTATION)

    def testing(self) -> None:
        """A verdict that becomes stale before a person moves the ticket."""
        self.told.line("outside", OUTSIDE)
        self.outside.does("write_tests")
        self.outside.does("run_tests")
        review = self.record.verdict(Phase.TESTING, 1)
        self._tasks("write_tests", "run_tests")
        self._verdict(review, GateStatus.PASSED)
        self._is_in(Phase.TESTING)
        self.told.line("", "The policy says “advance: manual” here, so the ticket waits for a person.")
        with (self.shop.tree / CHANGED).open("a") as file:
            file.write(_SENTENCE)
        self.told.line("change", f"Somebody changes {CHANGED} after the verdict.")
        self._stale()
        self._verdict(self.record.verdict(Phase.TESTING, 2), GateStatus.PASSED)
        self._moves(Phase.DEPLOYMENT)

    def deployment(self) -> None:
        """The last gate."""
        self.told.line(
            "outside", "The same agent deploys, as far as this is a sample: nothing is really in service."
        )
        self.outside.does("deploy_feature")
        review = self.record.verdict(Phase.DEPLOYMENT, 1)
        self._tasks("deploy_feature")
        self._verdict(review, GateStatus.PASSED)
        self._moved_on(Phase.DEPLOYMENT)

    def done(self) -> None:
        """The end."""
        self._is_in(Phase.DONE)
        print_ending(self.record, self.shop.models)

    def chapters(self) -> Iterator[str]:
        """Tell them one after the other; yields the name of each one before it begins."""
        told = (
            self.requirements,
            self.design,
            self.implementation,
            self.testing,
            self.deployment,
            self.done,
        )
        for number, chapter in enumerate(told, start=1):
            yield f"{number} of {len(told)}: {chapter.__name__}"
            chapter()

    def _moves(self, phase: Phase) -> None:
        made = self.shop.services.phases.move(self.record.ticket_id, Move(phase, "", PERSON))
        self.told.line("move", f"{PERSON} moves the ticket to {short_phase(made.to_phase)}.")

    def _moved_on(self, phase: Phase) -> None:
        """The newest move left that phase, and nobody made it."""
        for move in reversed(self.record.history()):
            if move.from_phase == phase:
                why, who = move.transition_reason, move.transitioned_by
                self.told.line("move", f"to {short_phase(move.to_phase)}, by {who}: {why}.")
                return
        raise Differs(f"the ticket did not leave {short_phase(phase)}")

    def _is_in(self, phase: Phase) -> None:
        if (now := self.record.phase()) is not phase:
            raise Differs(f"the ticket is in {short_phase(now)} and not in {short_phase(phase)}")

    def _tasks(self, *kinds: str) -> None:
        for kind in kinds:
            self.told.task(self.record.task(kind))

    def _verdict(self, review: PhaseGateResult, status: GateStatus, *codes: str) -> None:
        self.told.verdict(review)
        found = sorted(item["code"] for item in findings(review) if item["outcome"] != "pass")
        if review.gate_status != status or found != list(codes):
            because = f" because of {', '.join(found)}" if found else ""
            raise Differs(f"the review of {short_phase(review.phase_id)} is {review.gate_status}{because}")

    def _mended(self, phase: Phase, kind: str) -> PhaseGateResult:
        """What the first review found is mended in a task of its own, and the second one resolves it."""
        self.told.fix(self.record.task(kind))
        review = self.record.verdict(phase, 2)
        self._tasks(kind)
        self._verdict(review, GateStatus.PASSED)
        groups = (review.validation_result or {})["convergence"]
        if not groups["resolved"] or groups["still_open"]:
            raise Differs(f"the second review of {short_phase(phase)} did not resolve what the first found")
        return review

    def _refused(self, review: PhaseGateResult) -> None:
        """The judge's model handed in what the document dictates, and was told why that does not count."""
        (said,) = self.shop.services.transcripts.of(review.id)
        handed_in = [entry for entry in said.entries if DICTATED in entry.text and entry.tool == "finish"]
        answers = [entry.text for entry in said.entries if entry.text.startswith(REFUSED)]
        if len(handed_in) != 1 or len(answers) != 1:
            raise Differs("the submission that the document dictates was not refused")
        why = answers[0].removeprefix(REFUSED).strip().splitlines()[0].removeprefix("- ")
        self.told.line(
            "injection", "Here the judge's model obeyed, and handed in what the document dictates."
        )
        self.told.line("", Text(f"refused: {why}", "red"))
        self.told.line("", "So it had to answer itself, with quotes that a program found in the document.")

    def _stale(self) -> None:
        state = self.shop.services.gates.check_gate_requirements(self.record.ticket_id, Phase.TESTING)
        if not state["stale"]:
            raise Differs("the verdict is not stale although the workspace changed")
        because = "; ".join(state["stale_reasons"])
        self.told.line("gate", f"{state['validation_status']}, but stale: {because}")
        try:
            self._moves(Phase.DEPLOYMENT)
        except GateClosed as closed:
            self.told.line("move", Text(f"refused: {closed.message}", "red"))
            self.told.line("", "The move asked for another review, and the worker does it.")
        else:
            raise Differs("a stale verdict opened its gate")

    def _dictated(self) -> str:
        text = (self.shop.tree / "docs/design.md").read_text()
        return f"“{text.partition('SYSTEM: ')[2].partition('. Do')[0]} …”"
