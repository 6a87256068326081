"""From what a file says to what holds: the file's values over those that it leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from omoi_os.domain.phases import Phase
from omoi_os.domain.policy.aliases import Aliases
from omoi_os.domain.policy.criteria import (
    KINDS,
    AllPassed,
    ClaimsMode,
    Criterion,
    EvidenceKind,
    MinCoverage,
    MinLength,
    MustHaveTests,
    RequiredSections,
    Terms,
    criterion_name,
)
from omoi_os.domain.policy.document import (
    ArtifactFile,
    CriteriaFile,
    CriterionFile,
    JudgeFile,
    PhaseFile,
    ScopedFile,
    Strict,
)
from omoi_os.domain.policy.paths import problem_in_pattern
from omoi_os.domain.policy.phase import (
    Advance,
    JudgeCriterion,
    JudgeMode,
    JudgePolicy,
    PhasePolicy,
    RequiredArtifact,
)
from omoi_os.domain.policy.problems import Path, Problem, nearest, shown
from omoi_os.domain.slugs import slugify
from omoi_os.domain.verdict import Severity

_COPIED: Final = ("max_iterations", "max_attempts", "waiver_max_days")


@dataclass(slots=True)
class PhaseReader:
    """Reads one phase of a file; what is wrong is collected in `problems`."""

    phase: Phase
    aliases: Aliases
    problems: list[Problem] = field(default_factory=list)

    def read(self, given: PhaseFile, base: PhasePolicy) -> PhasePolicy:
        """The phase with the values of `given`, and those of `base` where it says nothing."""
        named = _named(given)
        simple = {key: named[key] for key in _COPIED if key in named}
        return replace(
            base,
            artifacts=tuple(self._artifacts(given, base)),
            tasks_must_be_completed=named.get("required_tasks_completed", base.tasks_must_be_completed),
            judge=self._judge(given.judge, base.judge),
            context=replace(base.context, **_named(given.context)),
            advance=Advance(named.get("advance", base.advance)),
            **simple,
        )

    def _report(self, text: str, *path: str | int) -> None:
        self.problems.append(Problem(("phases", self.phase.name.lower(), *path), text))

    def _artifacts(self, given: PhaseFile, base: PhasePolicy) -> Iterator[RequiredArtifact]:
        known = {artifact.type: artifact for artifact in base.artifacts}
        wanted = given.required_artifacts or [ArtifactFile(type=name) for name in known]
        types = [item.type for item in wanted]
        for place, name in enumerate(types):
            if name in types[:place]:
                self._report(f"{name} is named twice; delete one of the two", "required_artifacts", place)
        for name in given.criteria:
            if name not in types:
                text = f"{nearest(name, types, 'required artifact')}, or add it to required_artifacts"
                self._report(text, "criteria", name)
        for place, item in enumerate(wanted):
            yield self._artifact(item, given.criteria.get(item.type), known.get(item.type), place)

    def _artifact(
        self, item: ArtifactFile, given: CriteriaFile | None, base: RequiredArtifact | None, place: int
    ) -> RequiredArtifact:
        criteria = {criterion_name(criterion): criterion for criterion in base.criteria} if base else {}
        named = _named(given) if given else {}
        for name, written in named.items():
            path = ("criteria", item.type, name)
            read = self._criterion(name, written, criteria.get(name), path)
            if read is None:
                criteria.pop(name, None)
            else:
                criteria[name] = read
        kinds = {KINDS[name]: name for name in (*criteria, *named)}
        declared = EvidenceKind(item.kind) if item.kind else None
        if len(kinds) > 1:
            self._report(
                f"the criteria of {item.type} need different kinds of evidence "
                f"({', '.join(f'{name}: {kind}' for kind, name in kinds.items())}); "
                "write an artifact for each",
                *("criteria", item.type),
            )
        elif declared and kinds and declared not in kinds:
            needed = next(iter(kinds))
            text = f"{item.type} is said to be {declared}, and its criteria need {needed}; delete kind"
            self._report(text, "required_artifacts", place, "kind")
        kind = declared or next(iter(kinds), None) or (base.kind if base else EvidenceKind.PRESENCE)
        widened = (self._with_aliases(criterion) for criterion in criteria.values())
        return RequiredArtifact(item.type, kind, tuple(widened))

    def _with_aliases(self, criterion: Criterion) -> Criterion:
        if not isinstance(criterion, RequiredSections):
            return criterion
        names = {name: self.aliases[name] for name in criterion.sections if name in self.aliases}
        return replace(criterion, aliases=names)

    def _criterion(
        self, name: str, written: CriterionFile, base: Criterion | None, path: Path
    ) -> Criterion | None:
        terms = self._terms(written, base.terms if base else Terms(), path)
        value: Any = getattr(written, "value", None)
        if value == "off" or value is False:
            return None
        if value is None and base is None:
            self._report(f"{name} has no value here; write value: … beside its other keys", *path)
            return None
        if value is None:
            return replace(cast("MinLength", base), terms=terms)
        return self._build(name, value, terms, path)

    def _build(self, name: str, value: Any, terms: Terms, path: Path) -> Criterion | None:
        match name:
            case "min_length":
                return MinLength(value, terms)
            case "required_sections":
                return RequiredSections(self._sections(value, path), terms)
            case "min_percentage":
                return MinCoverage(float(value), terms)
            case "must_have_tests":
                return MustHaveTests(terms)
            case _:
                return AllPassed(terms)

    def _sections(self, names: list[str], path: Path) -> tuple[str, ...]:
        slugs = [slugify(name) for name in names]
        for name, slug in zip(names, slugs, strict=True):
            if not slug:
                self._report(f"{shown(name)} is no section name; write one with letters in it", *path)
        return tuple(dict.fromkeys(filter(None, slugs)))

    def _terms(self, written: CriterionFile, base: Terms, path: Path) -> Terms:
        named = _named(written)
        terms = Terms(
            Severity(named.get("severity", base.severity)),
            ClaimsMode(named.get("claims", base.claims)),
            tuple(written.paths) if isinstance(written, ScopedFile) and written.paths else base.paths,
        )
        for pattern in terms.paths:
            if problem := problem_in_pattern(pattern):
                self._report(f"{shown(pattern)} {problem}", *path, "paths")
        if terms.paths and terms.claims is ClaimsMode.ACCEPT:
            self._report("a claim is never about some paths only; delete claims or paths", *path, "claims")
        return terms

    def _judge(self, given: JudgeFile, base: JudgePolicy) -> JudgePolicy:
        named = _named(given)
        if "mode" in named:
            named["mode"] = JudgeMode(named["mode"])
        if "criteria" in named:
            named["criteria"] = tuple(JudgeCriterion(name, text) for name, text in named["criteria"].items())
        limits = replace(base.limits, **_named(given.limits))
        judge = replace(base, **(named | {"limits": limits}))
        if judge.judges == 2 and judge.second_model is None:
            self._report("a second judge needs another model; write second_model", "judge", "judges")
        if judge.second_model is not None and judge.judges == 1:
            text = "second_model is never asked; write judges: 2 beside it"
            self._report(text, "judge", "second_model")
        if judge.second_model is not None and judge.second_model == judge.model:
            text = "the second model is the first one again; write another one"
            self._report(text, "judge", "second_model")
        if judge.mode is JudgeMode.OFF and judge.criteria:
            text = "the judge is off and would never read these criteria; write mode: auto or delete them"
            self._report(text, "judge", "criteria")
        return judge


def _named(model: Strict) -> dict[str, Any]:
    """The keys that were written, with their values."""
    return {name: getattr(model, name) for name in type(model).model_fields if name in model.model_fields_set}
