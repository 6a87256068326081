"""Asks an agent whether a phase is complete, and computes the answer from what it can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from omoi_os.domain.judging import Opinion, no_opinion
from omoi_os.domain.phases import parse_phase
from omoi_os.domain.policy import PhasePolicy, built_in_policy
from omoi_os.domain.rules import Artifact
from omoi_os.domain.storable import problem_in_json
from omoi_os.errors import InvalidInput
from omoi_os.evidence.git import open_range
from omoi_os.judge.prompts import PromptSet
from omoi_os.judge.run import Host, Limits, Model
from omoi_os.services.judge_question import Ground, Told, question_of
from omoi_os.services.judging import AgentJudge, Judge, model_of
from omoi_os.settings import Settings

_NOTHING: Final = Told()


class ValidationAgent:
    """Validation agent for phase gate reviews. It judges; the rules are not asked here.

    Args:
        workspace_dir: What the agent may read, and nothing else; it must hold still meanwhile.
        model: The model of the settings if left out.
        limits: Those of the policy if left out.
        host: An agent server to run on; None runs in this process.
        prompts: The built-in ones if left out.
        policy: Of the phase that is validated; the built-in one if left out.
        transcripts: Folder in which conversations are kept; None keeps none.
    """

    def __init__(  # noqa: PLR0913 all but the first are settings that have a default
        self,
        workspace_dir: str | Path,
        *,
        model: Model | None = None,
        limits: Limits | None = None,
        host: Host | None = None,
        prompts: PromptSet | None = None,
        policy: PhasePolicy | None = None,
        transcripts: Path | None = None,
    ) -> None:
        self.workspace_dir = Path(workspace_dir)
        self._policy = policy
        self._judge: Judge = AgentJudge(
            model or _configured_model(),
            prompts or PromptSet.load(),
            limits,
            host,
            transcripts,
        )

    def validate_phase_completion(
        self,
        ticket_id: str,
        phase_id: str,
        artifacts: list[dict[str, Any]],
        *,
        told: Told = _NOTHING,
        conversation_id: UUID | None = None,
    ) -> dict[str, Any]:
        """Use an OpenHands agent to validate that a phase is complete.

        Args:
            ticket_id: Names the ticket where `told` has no title.
            artifacts: As in a task's result: `{"type", "path", "content"}`, or the same names with the prefix
                `artifact_`. Of several of one type the last one counts.
            told: The ticket's words, the context of earlier phases, and what the rules found.
            conversation_id: The same again to go on with a validation that was killed.

        Returns:
            `passed` (None where it is inconclusive), `feedback`, `blocking_reasons`, and what they were
            computed from: see `Opinion.as_dict`.

        Raises:
            InvalidInput: An artifact has no type, or holds what is no JSON.
            UnknownPhase: There is no such phase.
            PhaseHasNoGate: Nothing is reviewed when this phase ends.
        """
        phase = parse_phase(phase_id)
        policy = self._policy or built_in_policy(phase)
        if policy.phase is not phase:
            raise InvalidInput(f"a policy of {policy.phase.value} cannot decide {phase.value}")
        given = {artifact.type: artifact for artifact in map(_artifact, artifacts)}
        told = told if told.title else replace(told, title=f"Ticket {ticket_id}")
        return self._opinion(policy, list(given.values()), told, conversation_id).as_dict()

    def _opinion(
        self, policy: PhasePolicy, artifacts: list[Artifact], told: Told, conversation_id: UUID | None
    ) -> Opinion:
        root = self.workspace_dir.expanduser().resolve()
        if not root.is_dir():
            return no_opinion("misconfigured", "the workspace is not a folder")
        ground = Ground(root, lambda: open_range(root, None))
        question = question_of(policy, artifacts, ground, told)
        return self._judge.opinion(question, root, policy.judge, conversation_id=conversation_id)


def _artifact(given: Mapping[str, Any]) -> Artifact:
    values = {name: given.get(name, given.get(f"artifact_{name}")) for name in ("type", "path", "content")}
    type_, path, content = values["type"], values["path"], values["content"]
    if not isinstance(type_, str) or not type_.isprintable() or not 0 < len(type_) <= 100:
        raise InvalidInput("an artifact needs a `type`, a name of at most 100 characters")
    if path is not None and not isinstance(path, str):
        raise InvalidInput(f"the path of {type_} is not a text")
    if isinstance(content, str):
        content = {"content": content}
    if content is not None and not isinstance(content, dict):
        raise InvalidInput(f"the content of {type_} is neither a text nor an object")
    if problem := problem_in_json(content):
        raise InvalidInput(f"the content of {type_} cannot be used: {problem}")
    return Artifact(id="", type=type_, path=path or None, content=content)


@cache  # the first run of an agent takes every key out of the environment
def _configured_model() -> Model | None:
    return model_of(Settings())
