from __future__ import annotations

import json
from typing import Any

import pytest

from omoi_os.domain.handing_on import MOST_CHARACTERS, GateNotes, TaskResult, gather, with_references
from omoi_os.services.context_service import ContextService


def gathered(*results: dict[str, Any], gate: GateNotes | None = None) -> dict[str, Any]:
    tasks = [TaskResult(str(number), "work", None, result) for number, result in enumerate(results)]
    return gather("PHASE_DESIGN", tasks, gate or GateNotes())


def test_of_more_values_than_are_kept_the_newest_are() -> None:
    context = gathered({"decisions": [f"d{number}" for number in range(1000)]}, {"decisions": "the newest"})
    assert context["decisions"] == [*(f"d{number}" for number in range(1, 1000)), "the newest"]
    assert context["sources"]["decisions"] == ["0"] * 999 + ["1"]
    assert context["left_out"] == 1


def test_of_more_characters_than_are_kept_the_newest_are() -> None:
    long = [f"{number} {'x' * 19_000}" for number in range(60)]
    context = gathered({"decisions": long}, {"decisions": "the newest"})
    kept = context["decisions"]
    assert kept == [*long[-len(kept) + 1 :], "the newest"]
    assert context["left_out"] == 61 - len(kept)
    assert len(json.dumps(kept)) > MOST_CHARACTERS - 20_000


def test_a_decision_that_is_made_again_is_the_newest() -> None:
    context = gathered({"decisions": "use A"}, {"decisions": "use B"}, {"decisions": "use A"})
    assert context["decisions"] == ["use B", "use A"]
    assert context["sources"]["decisions"] == ["1", "2"]


@pytest.mark.parametrize(
    ("output", "kept", "left_out"),
    [
        ({str(number): number for number in range(1500)}, 1000, 500),
        ({"rows": list(range(5000))}, 1000, 4000),
        ({"rows": [{"cells": list(range(1200))}, {"cells": [1]}]}, 1001, 200),
        ({"few": [1, None, {}, []]}, 2, 0),
    ],
)
def test_what_is_left_out_of_one_value_is_counted(output: object, kept: int, left_out: int) -> None:
    context = gathered({"outputs": output})
    assert (_parts(context["outputs"]), context["left_out"]) == (kept, left_out)


def test_blocking_reasons_that_are_left_out_are_counted() -> None:
    context = gathered(gate=GateNotes("failed", [f"reason {number}" for number in range(1500)]))
    assert (len(context["blocking_reasons"]), context["left_out"]) == (1000, 500)


def test_long_texts_that_differ_only_at_their_end_are_two() -> None:
    notes = [f"{'x' * 30_000}{end}" for end in "abb"]
    assert len(gathered({"context": {"notes": notes}})["notes"]) == 2


@pytest.mark.parametrize(
    "large",
    [
        {f"key {number}": "x" * 20_000 for number in range(60)},
        ["x" * 20_000 + str(number) for number in range(60)],
        {"files": {"src": [{"diff": "设" * 10_000, "name": str(number)} for number in range(60)]}},
    ],
)
def test_of_an_object_that_is_too_large_a_piece_is_kept(large: object) -> None:
    context = gathered({"outputs": {"all": large}})
    kept = json.dumps(context["outputs"])
    assert MOST_CHARACTERS - 70_000 < len(kept) <= MOST_CHARACTERS + 2
    assert context["left_out"] == _parts(large) - _parts(context["outputs"])


def _parts(value: object) -> int:
    match value:
        case dict():
            return sum(map(_parts, value.values()))
        case list():
            return sum(map(_parts, value))
        case _:
            return 1


def test_a_task_that_a_value_names_itself_is_told_beside_the_one_that_it_came_from() -> None:
    (value,) = with_references(gathered({"decisions": {"text": "Split", "task_id": "ORIG-7"}}))["decisions"]
    assert value == {"text": "Split", "about_task": "ORIG-7", "task_id": "0"}


@pytest.mark.parametrize(
    "context",
    [
        {"sources": {"a": "b"}, "decision": "Use X", "summary": "done"},
        {"sources": {}, "decisions": "Use X"},
        {"phase_id": "PHASE_DESIGN", "tasks": [], "sources": {}, "decisions": "Use X"},
        {"phase_id": "PHASE_DESIGN", "tasks": [], "sources": {}, "agreed": {"decision": "Use X"}},
        {
            "phase_id": "PHASE_DESIGN",
            "tasks": [],
            "sources": {},
            "outcomes": ["Use X"],
            "summaries": ["done"],
        },
    ],
)
def test_a_context_that_was_not_gathered_here_loses_nothing(context: dict[str, Any]) -> None:
    service = ContextService(None)  # type: ignore[arg-type]
    for given in (context, {"phases": {"PHASE_DESIGN": context}}):
        summary = service.summarize_context(given)
        assert "Use X" in summary
        assert ("done" in summary) == ("done" in str(context))
