"""The policy of all phases: read from a mapping, written as one, and named by a digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import ValidationError

from omoi_os.domain.phases import Phase
from omoi_os.domain.policy.aliases import SECTION_ALIASES, Aliases, circles, widened
from omoi_os.domain.policy.builtin import PHASE_GATE_REQUIREMENTS, built_in_policy, no_gate
from omoi_os.domain.policy.document import PolicyFile
from omoi_os.domain.policy.phase import PhasePolicy
from omoi_os.domain.policy.problems import Path, Problem, problems_of, shown
from omoi_os.domain.policy.resolve import PhaseReader
from omoi_os.domain.policy.written import as_document, demands
from omoi_os.domain.slugs import slugify
from omoi_os.errors import InvalidInput

type Phases = Mapping[Phase, PhasePolicy]


@dataclass(frozen=True, slots=True)
class Policy:
    """What is asked in every phase that has a gate.

    Attributes:
        section_aliases: All of them, the built-in ones too.
    """

    phases: Phases = field(hash=False)
    section_aliases: Aliases = field(hash=False)

    def of(self, phase: Phase) -> PhasePolicy:
        """What is asked in `phase`.

        Raises:
            PhaseHasNoGate: Nothing is reviewed when this phase ends.
        """
        if (policy := self.phases.get(phase)) is None:
            raise no_gate(phase)
        return policy

    @property
    def digest(self) -> str:
        """SHA-256 of everything that it says, whatever the order."""
        return _digest_of(self)

    def as_dict(self) -> dict[str, Any]:
        """Everything that holds, in the file's format, with nothing left to a built-in value."""
        return as_document(self.phases, self.section_aliases)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Policy:
        """The policy that `as_dict` wrote, whatever is built in by now.

        Raises:
            InvalidInput: It is not such a mapping.
        """
        try:
            given = PolicyFile.model_validate(stored)
        except ValidationError as error:
            raise InvalidInput(f"the stored policy is broken: {next(problems_of(error)).text}") from None
        aliases = widened({}, _slugs(given.section_aliases))
        phases, problems = _phases(given, aliases, {phase: PhasePolicy(phase, ()) for phase in _GATED})
        if problems or not all(policy.artifacts for policy in phases.values()):
            text = problems[0].text if problems else "a phase asks for nothing"
            raise InvalidInput(f"the stored policy is broken: {text}")
        return cls(phases, aliases)


@cache
def _digest_of(policy: Policy) -> str:
    return _digest(policy.as_dict())


@cache
def demand_digest(policy: PhasePolicy) -> str:
    """SHA-256 of what decides a verdict: not of what happens after it, or in other phases."""
    return _digest(demands(policy))


_GATED = tuple(PHASE_GATE_REQUIREMENTS)


@cache
def built_in() -> Policy:
    """The policy that holds where no team wrote one."""
    return Policy({phase: built_in_policy(phase) for phase in _GATED}, SECTION_ALIASES)


def read_policy(raw: object) -> Policy | tuple[Problem, ...]:
    """The policy that the content of a file describes, or everything that is wrong with it."""
    problems: list[Problem] = []
    try:
        given = PolicyFile.model_validate(raw)
    except ValidationError as error:
        problems.extend(problems_of(error))
        given = _usable_rest(raw, problems)
    problems.extend(_problems_in_aliases(given))
    aliases = widened(SECTION_ALIASES, _slugs(given.section_aliases))
    phases, more = _phases(given, aliases, built_in().phases)
    problems.extend(more)
    return tuple(problems) if problems else Policy(phases, aliases)


def _phases(given: PolicyFile, aliases: Aliases, base: Phases) -> tuple[Phases, list[Problem]]:
    readers = {phase: PhaseReader(phase, aliases) for phase in base}
    phases = {
        phase: readers[phase].read(getattr(given.phases, phase.name.lower()), base[phase]) for phase in base
    }
    return phases, [problem for reader in readers.values() for problem in reader.problems]


def _usable_rest(raw: object, problems: Sequence[Problem]) -> PolicyFile:
    """The phases without a problem, so that what they contradict is told in the same answer."""
    broken = {problem.path[:2] for problem in problems}
    kept: dict[str, Any] = {"version": 1}
    if isinstance(raw, dict) and isinstance(phases := raw.get("phases"), dict):
        kept["phases"] = {name: phases[name] for name in phases if ("phases", name) not in broken}
    if isinstance(raw, dict) and not any(path[:1] == ("section_aliases",) for path in broken):
        kept["section_aliases"] = raw.get("section_aliases", {})
    try:
        return PolicyFile.model_validate(kept)
    except ValidationError:
        return PolicyFile(version=1)


def _problems_in_aliases(given: PolicyFile) -> list[Problem]:
    problems = [
        Problem(path, f"{shown(text)} is no section name; write one with letters in it")
        for name, aliases in given.section_aliases.items()
        for path, text in _texts(name, aliases)
        if not slugify(text)
    ]
    turning = set(circles(_slugs(given.section_aliases)))
    return problems + [
        Problem(
            ("section_aliases", name), f"{name} is an alias of itself in a circle; delete one of its aliases"
        )
        for name in given.section_aliases
        if slugify(name) in turning
    ]


def _texts(name: str, aliases: Sequence[str]) -> list[tuple[Path, str]]:
    places: list[tuple[Path, str]] = [
        (("section_aliases", name, number), alias) for number, alias in enumerate(aliases)
    ]
    return [(("section_aliases", name), name), *places]


def _slugs(written: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    aliases: dict[str, frozenset[str]] = {}
    for name, others in written.items():
        known = aliases.get(slugify(name), frozenset())
        aliases[slugify(name)] = known | {slugify(other) for other in others}
    return aliases


def _digest(value: object) -> str:
    text = json.dumps(_unordered(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _unordered(value: object) -> object:
    """Lists here are sets: in which order artifacts or sections are named asks for nothing."""
    match value:
        case dict():
            return {key: _unordered(item) for key, item in value.items()}
        case list():
            return sorted(
                (_unordered(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True)
            )
        case _:
            return value
