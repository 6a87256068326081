"""The stages of one review, each a function of what is there and of what the stage before found.

A review runs through them in one go, or as steps of the durable engine with a crash in between. What a stage
returns can be written as JSON, and the next one looks whether it still holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from omoi_os.domain.evidence import Unreadable
from omoi_os.domain.inputs import Inputs
from omoi_os.domain.phases import parse_phase
from omoi_os.domain.policy import PhasePolicy
from omoi_os.domain.rules import gate_findings
from omoi_os.domain.verdict import Finding, GateStatus, Verdict, decide
from omoi_os.domain.waivers import Waiver, waive
from omoi_os.errors import InvalidInput
from omoi_os.evidence.measure import measure_all
from omoi_os.evidence.snapshot import Snapshot
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.services.database import DatabaseService
from omoi_os.services.gate.ground import Ground, ground_now, reads_workspace, snapshot_of, wanted
from omoi_os.services.gate.judged import RULES_ALONE, Judged, JudgeTerms, Judging, conversation_of, readable
from omoi_os.services.gate.record import Basis, covering, details_of, inputs_of
from omoi_os.services.policies import PolicyService
from omoi_os.services.tickets import check_id, no_ticket
from omoi_os.store import collection, gates

DECIDED: Final = (GateStatus.PASSED, GateStatus.FAILED)
"""Verdicts that answer again while nothing changed; an inconclusive one may have been our trouble."""

type Source = Snapshot | Unreadable | None


@dataclass(frozen=True, slots=True)
class ReviewTerms:
    """How a review differs from the usual one.

    Attributes:
        policy: What to ask for instead of the policy in force.
        only: Ids of the only artifacts that are looked at.
        base: Commit to compare the workspace with, instead of the merge base with its main branch.
        validated_by: Who asked.
        force: Measure anew even if nothing changed since the last verdict.
    """

    policy: PhasePolicy | None = None
    only: Sequence[str] | None = None
    base: str | None = None
    validated_by: str = "rules"
    force: bool = False


@dataclass(frozen=True, slots=True)
class Review:
    """One question, under one policy."""

    question: gates.GateQuestion
    policy: PhasePolicy
    terms: ReviewTerms


@dataclass(frozen=True, slots=True)
class Measured:
    """What the rules found, and on what.

    Attributes:
        asks: Whether a judge is to be asked next.
        unjudged: Why not, where it is not.
        same_as: Id of the last verdict, where that was reached on the same.
    """

    ground: Ground
    inputs: Inputs
    rules: tuple[Finding, ...] = ()
    asks: bool = False
    unjudged: Judged = field(default=RULES_ALONE)
    same_as: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """As a step of the engine keeps it."""
        return {
            "workspace": self.ground.workspace,
            "base": self.ground.base,
            "inputs": self.inputs.as_dict(),
            "rules": [finding.as_dict() for finding in self.rules],
            "asks": self.asks,
            "unjudged": self.unjudged.as_dict(),
            "unjudged_findings": [finding.as_dict() for finding in self.unjudged.findings],
            "same_as": self.same_as,
        }

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> Self:
        """What `as_dict` wrote."""
        inputs = Inputs.from_dict(kept["inputs"])
        if inputs is None:
            raise ValueError("a step of another version measured this")
        return cls(
            Ground(kept["workspace"], kept["base"]),
            inputs,
            tuple(map(Finding.from_dict, kept["rules"])),
            kept["asks"],
            Judged.from_dict(kept["unjudged"], kept["unjudged_findings"]),
            kept["same_as"],
        )


class ReviewStages:
    """Reads, measures, asks and decides; nothing is recorded here.

    Args:
        store: The folder of all snapshots.
        judging: Asked where the rules leave a gate open; without it they decide alone.
    """

    def __init__(
        self,
        db: DatabaseService,
        *,
        policies: PolicyService,
        judging: Judging | None,
        store: Callable[[], Path],
    ) -> None:
        self.db = db
        self.policies = policies
        self.judging = judging
        self.store = store
        self._kept: set[str] = set()

    def review(self, ticket_id: str, phase_id: str, terms: ReviewTerms) -> Review:
        """The question that is asked of a gate.

        Raises:
            UnknownPhase, PhaseHasNoGate: The message lists what can be named.
            InvalidInput: The policy in `terms` is one of another phase.
        """
        phase = parse_phase(phase_id)
        policy = terms.policy or self.policies.of(phase)
        if policy.phase is not phase:
            raise InvalidInput(f"a policy of {policy.phase.value} cannot decide {phase.value}")
        question = gates.GateQuestion(ticket_id, phase, policy.artifact_types, terms.only)
        return Review(question, policy, terms)

    def read(self, question: gates.GateQuestion) -> gates.GateInput:
        """What is there now, with what completed tasks handed in collected."""
        check_id(question.ticket_id)
        with self.db.single_statements() as connection:
            given = gates.read_gate(connection, question)
            if given is not None and given.uncollected:
                collection.collect_quietly(connection, question.ticket_id, question.phase_id)
                given = gates.read_gate(connection, question)
        if given is None:
            raise no_ticket(question.ticket_id)
        if given.workspace_path is not None:
            # Refuses a policy that lies there.
            self.policies.of(question.phase_id, Path(given.workspace_path))
        return given

    def asks(self, review: Review) -> bool:
        """Whether a judge is asked if no rule fails."""
        return self.judging is not None and self.judging.would_ask(review.policy.judge)

    def takes_long(self, review: Review, given: gates.GateInput) -> bool:
        """Whether it reads a workspace, or may ask a judge."""
        return self.asks(review) or reads_workspace(review.policy, given)

    def inputs(self, policy: PhasePolicy, given: gates.GateInput, ground: Ground) -> Inputs:
        """The digests of what is there, on a ground that is known."""
        judge = self.judge_terms(policy)
        return inputs_of(policy, given, ground, covering(policy, given, ground, judge), judge)

    def inputs_now(self, review: Review, given: gates.GateInput) -> Inputs:
        """The digests of what is there now, the workspace too; takes as long as reading that."""
        ground = ground_now(review.policy, given, review.terms.base, self.store)
        return self.inputs(review.policy, given, ground)

    def stands(self, review: Review, given: gates.GateInput, measured: Measured) -> bool:
        """Whether the workspace still is what was measured; takes as long as reading it."""
        return measured.ground == ground_now(review.policy, given, review.terms.base, self.store)

    def judge_terms(self, policy: PhasePolicy) -> JudgeTerms:
        return JudgeTerms() if self.judging is None else self.judging.terms(policy.judge)

    def changes(self, review: Review, given: gates.GateInput) -> list[str]:
        """Why the last verdict says nothing about now; empty where it does."""
        if given.latest is None:
            return ["the ticket went back since"]
        before = given.latest.inputs
        if before is None:
            return ["that review came to nothing: it names nothing that it was reached on"]
        return self.inputs_now(review, given).changes_since(before)

    @contextmanager
    def source(self, review: Review, given: gates.GateInput, name: str) -> Iterator[tuple[Source, Ground]]:
        """What evidence is read from while the block runs: a snapshot called `name`, where one is needed."""
        base = review.terms.base
        with snapshot_of(review.policy, given, base, lambda: self.store() / name) as taken:
            yield taken

    def measure(
        self, review: Review, given: gates.GateInput, source: Source, ground: Ground, *, anew: bool = True
    ) -> Measured:
        """Measure the evidence, and decide by the rules.

        Args:
            anew: Also where the last verdict was reached on the same.
        """
        policy = review.policy
        inputs = self.inputs(policy, given, ground)
        if not anew and (same := _same(given, inputs)) is not None:
            return Measured(ground, inputs, same_as=same)
        facts = measure_all(wanted(policy, given), source, base=review.terms.base)
        rules = waive(gate_findings(policy, given.tasks, facts), self._waivers(policy, given, ground))
        unjudged = RULES_ALONE if self.judging is None else self.judging.unasked(policy, rules)
        if unjudged is None:
            return Measured(ground, inputs, rules, asks=True)
        return Measured(ground, inputs, rules, unjudged=unjudged)

    def judge(
        self,
        review: Review,
        given: gates.GateInput,
        measured: Measured,
        source: Source,
        opened: PhaseGateResult | None,
    ) -> Judged:
        """Ask the judge, which may take minutes; only where `measured.asks`.

        Args:
            opened: As `decision`.
        """
        if self.judging is None:
            return RULES_ALONE
        ground = readable(source, review.terms.base)
        named = None if opened is None else conversation_of(opened, measured.inputs)
        return self.judging.ask(review.policy, given, ground, measured.rules, named)

    def stop_judge(self, opened: PhaseGateResult, measured: Measured) -> None:
        """End what `judge` waits for, in whatever thread that is."""
        if self.judging is not None:
            self.judging.stop(conversation_of(opened, measured.inputs))

    def decision(
        self,
        review: Review,
        given: gates.GateInput,
        measured: Measured,
        judged: Judged,
        opened: PhaseGateResult | None = None,
    ) -> gates.Decision:
        """What the findings of rules and judge amount to.

        Args:
            opened: The review that it decides, as its runner took it; None where none was opened.
        """
        waivers = self._waivers(review.policy, given, measured.ground)
        verdict = decide(waive((*measured.rules, *judged.findings), waivers))
        details = details_of(verdict, Basis(given, measured.inputs, waivers, self._keep_policy()), judged)
        return _decided(review, verdict, given, details, opened)

    def repeated(
        self, review: Review, given: gates.GateInput, before: PhaseGateResult, opened: PhaseGateResult
    ) -> gates.Decision:
        """The verdict of before, once more: nothing changed since."""
        details = before.validation_result or {}
        findings = tuple(map(Finding.from_dict, details.get("findings", ())))
        verdict = Verdict(GateStatus(before.gate_status), findings, details.get("code"))
        details = {**details, "same_as": details.get("same_as") or before.id}
        return _decided(review, verdict, given, details, opened)

    def _waivers(self, policy: PhasePolicy, given: gates.GateInput, ground: Ground) -> tuple[Waiver, ...]:
        return covering(policy, given, ground, self.judge_terms(policy))

    def _keep_policy(self) -> str:
        """The digest of the policy in force, which can be looked up from now on."""
        policy = self.policies.policy
        if (digest := policy.digest) not in self._kept:
            with self.db.single_statements() as connection:
                gates.keep_policy(connection, digest, policy.as_dict())
            self._kept.add(digest)
        return digest


def _decided(
    review: Review,
    verdict: Verdict,
    given: gates.GateInput,
    details: dict[str, Any],
    opened: PhaseGateResult | None,
) -> gates.Decision:
    by = review.terms.validated_by
    if opened is None:
        return gates.Decision(review.question, verdict, by, given, details)
    return gates.Decision(review.question, verdict, by, given, details, opened.id, opened.run)


def _same(given: gates.GateInput, inputs: Inputs) -> str | None:
    latest = given.latest
    if latest is None or latest.status not in DECIDED or latest.inputs is None:
        return None
    return None if inputs.changes_since(latest.inputs) else latest.id
