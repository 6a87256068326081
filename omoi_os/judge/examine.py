"""One opinion: a question in the words of the prompts, a conversation in two stages, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

from omoi_os.domain.judging import (
    ClaimCheck,
    Examination,
    Fence,
    JudgeQuestion,
    JudgeUsage,
    Loose,
    Opinion,
    claim_problems,
    examination_problems,
    findings_of,
    no_opinion,
    pack,
)
from omoi_os.judge.executor import Executor
from omoi_os.judge.prompts import PromptSet
from omoi_os.judge.redaction import opinion_to_store, question_to_show
from omoi_os.judge.run import AgentRun, AgentTask, Host, Limits, Model, Stage, Usage
from omoi_os.judge.sources import ReviewSources
from omoi_os.judge.tools import reading_tools
from omoi_os.utils.tokens import Tokens

MOST_ARTIFACT_TOKENS: Final = 24_000
"""Every call of the model sends them again; the files can be read with the tools."""

CONTEXT_TOKENS: Final = 4_000
"""Of what earlier phases hand on, with its fence."""

FENCE_TOKENS: Final = 50
"""The lines of a fence take less: 38 were measured, and a nonce is 16 characters."""

_REST: Final = "`read_file` shows them"
_TICKET_TOKENS: Final = 4_000
_MEASURED_TOKENS: Final = 4_000
_CLAIMS_TOKENS: Final = 8_000


@dataclass(frozen=True, slots=True)
class Examiner:
    """Who examines, and how.

    Attributes:
        host: An agent server; it must see the workspace at the same path. None for this process.
        transcripts: Folder in which conversations are kept, in plain text; None keeps none.
    """

    model: Model
    limits: Limits
    prompts: PromptSet
    tokens: Tokens
    host: Host | None = None
    transcripts: Path | None = None

    def opinion(self, question: JudgeQuestion, root: Path | None, conversation_id: UUID | None) -> Opinion:
        """Ask, and compute what the answers amount to; whatever goes wrong is no opinion.

        Args:
            root: The folder that the judge may read; a snapshot, since quotes are looked up there later.
            conversation_id: Of a conversation that is gone on with, if it was begun before.
        """
        id_ = conversation_id or uuid4()
        key = self.model.api_key.get_secret_value()
        question = question_to_show(question, key)
        sources = ReviewSources(question, root)
        fence = Fence.of(str(id_), key)
        examine, check = self._examine(question, sources, fence), self._check(question, sources, fence)
        # Only who has answered is shown what the worker says: it would colour the answers.
        stages: tuple[Stage[Any], ...] = (examine, check) if question.claims else (examine,)
        tools = reading_tools(root) if root is not None else ()
        system = self.system(fence, reads_files=bool(tools))
        task = AgentTask(system, stages, tools, self.transcripts, id_)
        run = Executor(self.model, self.limits, self.host).run(task)
        given = run.value(0, examine) if run.values else None
        claims = run.value(1, check) if len(run.values) > 1 else None
        if run.accepted and given is not None:
            opinion = Opinion(findings_of(question, given, claims, sources, fence.code))
        else:
            # Also where only the claims were not answered: half of a review is none.
            opinion = no_opinion(run.outcome.value, run.detail, can_retry=run.outcome.can_retry)
        return opinion_to_store(self._told(opinion, run, given, claims), key)

    def system(self, fence: Fence, *, reads_files: bool) -> str:
        """What the judge is, and how it answers."""
        return self.prompts.render("system", nonce=fence.nonce, code=fence.code, reads_files=reads_files)

    def review(self, question: JudgeQuestion, fence: Fence) -> str:
        """The first message: everything but the claims."""
        shown = [artifact for artifact in question.artifacts if artifact.text is not None]
        packed = pack(
            [
                Loose(_label(artifact.name, artifact.path), artifact.text or "", artifact.path and _REST)
                for artifact in shown
            ],
            fence,
            min(MOST_ARTIFACT_TOKENS, (self.limits.max_tokens or MOST_ARTIFACT_TOKENS * 16) // 16),
            self.tokens,
        )
        ticket = f"{question.title}\n\n{question.description}"
        measured = "\n".join(f"{finding.outcome}: {finding.sentence()}" for finding in question.measured)
        return self.prompts.render(
            "review",
            ticket=self._fenced("ticket", ticket, fence, _TICKET_TOKENS),
            phase=question.phase.name.lower(),
            phase_words=self.prompts.phase_words(question.phase).strip(),
            context=self._fenced("earlier phases", question.context, fence, CONTEXT_TOKENS),
            measured=self._fenced("measured", measured, fence, _MEASURED_TOKENS),
            artifacts=[item.text for item in packed.texts],
            absent=self._absent(question, fence),
            criteria=question.criteria,
        )

    def claims(self, question: JudgeQuestion, fence: Fence) -> str:
        """The second message."""
        listed = "\n".join(f"{claim.id}: {claim.text}" for claim in question.claims)
        return self.prompts.render(
            "claims",
            claims=self._fenced("claims", listed, fence, _CLAIMS_TOKENS),
            ids=[claim.id for claim in question.claims],
        )

    def _examine(self, question: JudgeQuestion, sources: ReviewSources, fence: Fence) -> Stage[Examination]:
        def accept(given: Examination) -> list[str]:
            return self.prompts.repair(examination_problems(question, given, sources, fence.code))

        return Stage(self.review(question, fence), Examination, accept)

    def _check(self, question: JudgeQuestion, sources: ReviewSources, fence: Fence) -> Stage[ClaimCheck]:
        def accept(given: ClaimCheck) -> list[str]:
            return self.prompts.repair(claim_problems(question, given, sources, fence.code))

        return Stage(self.claims(question, fence), ClaimCheck, accept)

    def _fenced(self, name: str, text: str, fence: Fence, budget: int) -> str:
        if not text.strip():
            return ""
        return pack([Loose(name, text)], fence, budget, self.tokens).texts[0].text

    def _absent(self, question: JudgeQuestion, fence: Fence) -> str:
        """What is not shown, and why; it names files, and so is fenced like what is shown."""
        lines = [
            f"{_label(artifact.name, artifact.path)}: {artifact.problem or 'only claims were handed in'}"
            for artifact in question.artifacts
            if artifact.text is None or artifact.problem
        ]
        return self._fenced("absent", "\n".join(lines), fence, _MEASURED_TOKENS)

    def _told(
        self, opinion: Opinion, run: AgentRun, given: Examination | None, claims: ClaimCheck | None
    ) -> Opinion:
        return replace(
            opinion,
            model=self.model.name,
            prompts=self.prompts.digest,
            usage=_usage(run.usage),
            added=_usage(run.added),
            conversation_id=str(run.conversation_id),
            transcript=run.transcript,
            examination=given,
            claims=claims,
        )


def _label(name: str, path: str) -> str:
    return f"{name} at {path}" if path else name


def _usage(used: Usage) -> JudgeUsage:
    return JudgeUsage(
        used.prompt_tokens,
        used.completion_tokens,
        used.cost_usd,
        used.llm_calls,
        used.repairs,
        round(used.wall_seconds, 3),
    )
