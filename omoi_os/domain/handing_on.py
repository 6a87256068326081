"""What a phase hands on: gathered from the results of its completed tasks, of whatever shape those are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from omoi_os.domain.pieces import MOST_ITEMS, cut, leaves, piece_of, size

KINDS: Final = ("decisions", "risks", "notes", "summaries", "artifacts", "outputs")
"""The lists of a phase's context, in the order of completion; what was said twice stands where it was last.

Each keeps its newest `MOST_ITEMS`. What is beyond the bounds is counted in `left_out`; tasks still have it.
"""

MOST_CHARACTERS: Final = 1_000_000
"""Of one kind in one phase, as JSON: a value in the database ends at 256 MB, and no move may fail on that."""

_UNTOLD: Final = ("phase_id", "tasks", "sources", "gate_status", "visit", "earlier_visits")
_FROM_CONTEXT: Final = ("decisions", "risks", "notes")
_TYPE: Final = frozenset({"type", "artifact_type"})
_CONTENT: Final = ("content", "artifact_content", "report", "diff")


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What a completed task handed in.

    Attributes:
        result: As stored; any JSON object.
    """

    task_id: str
    task_type: str
    completed_at: datetime | None
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GateNotes:
    """What the last review of the phase said.

    Attributes:
        feedback: The judge's, where one was asked.
    """

    status: str | None = None
    blocking_reasons: Sequence[str] = ()
    feedback: str | None = None
    decided_at: datetime | None = None


@dataclass(slots=True)
class _List:
    """The newest values without duplicates, given the newest first, each with its task."""

    values: list[Any] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    left_out: int = 0
    room: int = MOST_CHARACTERS
    seen: set[bytes] = field(default_factory=set)

    def add(self, value: object, source: str) -> None:
        # Of the whole: two long texts may differ only in what is cut off.
        mark = sha256(json.dumps(value, sort_keys=True).encode()).digest()
        if mark in self.seen:
            return
        self.seen.add(mark)
        kept = piece_of(value, self.room) if len(self.values) < MOST_ITEMS else None
        if kept is None:
            self.left_out += 1
            return
        self.left_out += leaves(value) - leaves(kept)
        self.room -= size(kept)
        self.values.append(kept)
        self.sources.append(source)


def gather(phase_id: str, results: Sequence[TaskResult], gate: GateNotes) -> dict[str, Any]:
    """The context of one phase.

    Args:
        results: In the order of completion.

    Returns:
        `phase_id`, `tasks` (ids), the lists of `KINDS` with their values as they were handed in,
        `sources` (for each list the task ids that its values came from, one by one), `gate_status`,
        `blocking_reasons`, `feedback` and `left_out` (values beyond the bounds).
    """
    lists = {kind: _List() for kind in KINDS}
    for task in reversed(results):
        for kind, value in reversed(list(_values(task.result))):
            lists[kind].add(value, task.task_id)
    reasons = gate.blocking_reasons[:MOST_ITEMS]
    return {
        "phase_id": phase_id,
        "tasks": [task.task_id for task in results[-MOST_ITEMS:]],
        **{kind: found.values[::-1] for kind, found in lists.items()},
        "sources": {kind: found.sources[::-1] for kind, found in lists.items() if found.sources},
        "gate_status": gate.status,
        "blocking_reasons": [cut(reason) for reason in reasons],
        "feedback": None if gate.feedback is None else cut(gate.feedback),
        "left_out": sum(found.left_out for found in lists.values())
        + len(gate.blocking_reasons)
        - len(reasons),
    }


def is_empty(context: Mapping[str, Any]) -> bool:
    """Whether a phase has nothing to hand on."""
    said = (*KINDS, "tasks", "blocking_reasons", "feedback")
    return not any(context.get(name) for name in said)


def with_references(context: Mapping[str, Any]) -> dict[str, Any]:
    """A phase's context as the summarizer reads it: each value beside the task that it came from."""
    sources = context["sources"]
    lists = {
        kind: [_referred(value, source) for value, source in _pairs(context.get(kind), sources.get(kind))]
        for kind in KINDS
    }
    if isinstance(visit := context.get("visit"), int):
        lists["notes"].append(
            f"this is of visit {visit}; what earlier visits handed on does not count any more"
        )
    others = {name: value for name, value in context.items() if name not in _UNTOLD and name not in KINDS}
    return {**lists, **others}


def is_gathered(context: Mapping[str, Any]) -> bool:
    """Whether it has the shape of what `gather` returns."""
    shape = (("phase_id", str), ("tasks", list), ("sources", dict))
    return all(isinstance(context.get(name), type_) for name, type_ in shape)


def _pairs(values: object, sources: object) -> Iterator[tuple[object, str]]:
    listed = values if isinstance(values, list) else list(_flat(values))
    named = sources if isinstance(sources, list) else []
    for place, value in enumerate(listed):
        yield value, str(named[place]) if place < len(named) else ""


def _referred(value: object, source: str) -> object:
    if not source:
        return value
    if not isinstance(value, dict):
        return {"text": value, "task_id": source}
    named = value.get("task_id")  # whatever it says, the value came from `source`
    about = {} if named in (None, source) else {"about_task": named}
    return {**about, **value, "task_id": source}


def _values(result: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for name, kind in (("summary", "summaries"), ("outputs", "outputs")):
        yield from ((kind, value) for value in _flat(result.get(name)))
    context = result.get("context")
    if isinstance(context, dict):
        for kind in _FROM_CONTEXT:
            yield from ((kind, value) for value in _flat(context.get(kind)))
        rest = {key: value for key, value in context.items() if key not in _FROM_CONTEXT}
        yield from (("notes", {key: value}) for key, value in rest.items() if not _is_nothing(value))
    else:
        yield from (("notes", value) for value in _flat(context))
    for kind in _FROM_CONTEXT:  # handed in beside the context, as many do
        yield from ((kind, value) for value in _flat(result.get(kind)))
    yield from (("artifacts", value) for value in _artifacts(result.get("artifacts")))


def _artifacts(given: object) -> Iterator[object]:
    """Artifacts by name; their content is the gate's evidence and is not handed on."""
    if isinstance(given, dict) and _TYPE.isdisjoint(given):
        for type_, value in given.items():
            yield from (_of_type(type_, item) for item in list(_flat(value)) or [{}])
    else:
        yield from map(_without_content, _flat(given))


def _of_type(type_: str, value: object) -> object:
    match value:
        case str():
            return {"type": type_, "path": value}
        case dict():
            named = "artifact_type" if "type" in value else "type"
            return {named: type_, **_without_content(value)}
        case _:
            return {"type": type_}


def _without_content(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if key not in _CONTENT}


def _flat(value: object) -> Iterator[object]:
    """The values in lists of any depth, or the value itself; nothing that says nothing."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(reversed(item))
        elif not _is_nothing(item):
            yield item


def _is_nothing(value: object) -> bool:
    return value is None or value in ("", [], {}) or (isinstance(value, str) and not value.strip())
