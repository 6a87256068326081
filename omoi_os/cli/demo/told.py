"""How the story looks: a block for each step, and what is being done while a reader waits."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.rule import Rule
from rich.status import Status
from rich.text import Text

from omoi_os.cli.show import answer, mark, progress, visible
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.models.task import Task

_LABEL: Final = 9
_FINDING: Final = re.compile(r"^- \[([0-9a-f]+)\] (\S+):", re.MULTILINE)


class Told:
    """Prints blocks of lines, each with a word in front that says whose it is."""

    def __init__(self, out: Console) -> None:
        self.out = out
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def heading(self, text: str) -> None:
        """Begin a block."""
        self.out.print()
        self.out.print(Rule(Text(text, "bold"), align="left", style="dim"))

    def line(self, whose: str, text: str | Text) -> None:
        """One line of a block, folded beside its first word."""
        said = Text(visible(text)) if isinstance(text, str) else text
        for number, part in enumerate(said.wrap(self.out, self.out.width - _LABEL - 2)):
            part.rstrip()
            label = Text((whose if number == 0 else "").ljust(_LABEL + 2), "dim")
            self.out.print(label + part, soft_wrap=True)

    def task(self, task: Task) -> None:
        """A task that is done, in the words of whoever did it."""
        said = (task.result or {}).get("summary", "")
        self.line("task", f"{task.task_type} is done: “{said}”")

    def fix(self, task: Task) -> None:
        """A task that a review made."""
        named = ", ".join(
            f"{criterion} [{id_}]" for id_, criterion in _FINDING.findall(task.description or "")
        )
        self.line("new task", f"{task.task_type}, made by the review: {named}")

    def verdict(self, review: PhaseGateResult) -> None:
        """What a review found, and who was asked."""
        self.line("review", answer(review))
        for finding in findings(review):
            if finding["outcome"] != "pass":
                said = f" {finding['criterion']}: {finding['found']}; needed: {finding['needed']}"
                self.line("", mark(finding) + Text(visible(said)))
        self.line("", asked(review))
        groups = (review.validation_result or {}).get("convergence") or {}
        for name, title in (("resolved", "resolved"), ("still_open", "still open")):
            if items := groups.get(name):
                listed = ", ".join(f"{item['criterion']} [{item['id']}]" for item in items)
                self.line("", f"{title}: {listed}")

    def answers(self, review: PhaseGateResult) -> None:
        """What the judge answered, with the quotes that were looked up."""
        for given in judged(review).get("answers", []):
            text = f"{given['criterion']}: {given['answer']}, “{given['quote']}” in {given['where']}"
            self.line("", f"- {text}")

    @contextmanager
    def waiting(self, what: str) -> Iterator[Callable[[str], None]]:
        """Show what is being done: in a terminal a line that changes, elsewhere a line for each change."""
        if Console(stderr=True).is_terminal:
            with progress(what) as status:
                yield lambda doing: _show(status, f"{what}: {doing}" if doing else what)
            return
        yield self._lines()

    def _lines(self) -> Callable[[str], None]:
        shown: list[str] = []

        def show(doing: str) -> None:
            if doing and doing not in shown:
                shown.append(doing)
                self.line(f"{self.seconds:5.1f} s", doing)

        return show


def findings(review: PhaseGateResult) -> list[dict[str, Any]]:
    """What a review found, as it is stored."""
    found: list[dict[str, Any]] = (review.validation_result or {}).get("findings", [])
    return found


def judged(review: PhaseGateResult) -> dict[str, Any]:
    """What came of asking a judge, as it is stored."""
    told: dict[str, Any] = (review.validation_result or {}).get("judge") or {}
    return told


def asked(review: PhaseGateResult) -> str:
    """Whether a judge was asked, and what it took."""
    told = judged(review)
    usage = told.get("usage")
    return f"{told['why']} It made {usage['llm_calls']} model calls." if usage else str(told["why"])


def _show(status: Status, text: str) -> None:
    status.update(Text(visible(text)))
