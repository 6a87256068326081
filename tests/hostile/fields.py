"""Every field of every body with values that it cannot have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.hostile.wire import BIDI, Hostile, post

_TEXT: Final = [7, ["a"]]
_NAME: Final = [None, 7, {"a": 1}]
_LIST: Final = ["a", [7], [None]]
_WHOLE: Final = ["3", 1.5, True, 10**30]
_OBJECT: Final = [7, "text", [1]]

WRONG: Final[Mapping[str, tuple[dict[str, Any], dict[str, list[Any]]]]] = {
    # where: what is right, and for each field what is wrong
    "/tickets": (
        {"title": "a"},
        {
            "title": [*_NAME, "", "  ", "x" * 501],
            "description": [*_TEXT, "x" * 200_001],
            "phase_id": [*_NAME, "", "nowhere", "PHASE_DONE", "PHASE_BLOCKED", "x" * 61, BIDI],
            "priority": [*_NAME, "", "urgent", "x" * 21],
            "workspace_path": [*_TEXT, True],
        },
    ),
    "/agents": (
        {},
        {
            "agent_type": [*_NAME, "", "x" * 51],
            "phase_id": [*_TEXT, "", "nowhere", "x" * 61],
            "capabilities": [*_LIST, {"a": 1}, ["x"] * 101, ["a\x00"], ["x" * 1_000_000]],
        },
    ),
    "/tickets/@ticket/tasks": (
        {"task_type": "a"},
        {
            "task_type": [*_NAME, "", "x" * 101],
            "description": [*_TEXT, "x" * 200_001],
            "phase_id": [*_TEXT, "", "nowhere", "PHASE_DONE"],
            "priority": [*_NAME, "urgent"],
            "depends_on": [*_LIST, None, ["nothing"], ["x" * 300], [""], ["@task"] * 1001, ["\ufeff"]],
            "capabilities": [*_LIST, ["x"] * 101],
            "max_retries": [*_WHOLE, None, -1, 101],
            "timeout_seconds": [*_WHOLE, 0, -5, 30 * 24 * 3600 + 1],
        },
    ),
    "/tickets/@ticket/transition": (
        {"to_phase": "requirements"},
        {
            "to_phase": [*_NAME, "", "nowhere", "x" * 61, BIDI],
            "reason": [*_TEXT, None, "x" * 2001],
            "force": [True],
            "transitioned_by": ["root"],
        },
    ),
    "/tickets/@ticket/artifacts": (
        {"artifact_type": "a", "artifact_content": {"a": 1}},
        {
            "artifact_type": [*_NAME, "", " ", "x" * 101],
            "artifact_path": [*_TEXT, "x" * 4097],
            "artifact_content": [*_OBJECT, {}, {"a": 2**63}, {"a": -(2**63) - 1}, {"a": {"b\x00": 1}}],
            "phase_id": [*_TEXT, "nowhere", "x" * 61],
            "collected_by": ["root"],
        },
    ),
    "/tasks/@task/cancel": ({}, {"reason": [*_TEXT, None, "x" * 2001]}),
    "/agents/@agent/claim": (
        {},
        {"phase_id": [*_TEXT, "", "nowhere"], "capabilities": [*_LIST, ["x"] * 101]},
    ),
    "/agents/@agent/tasks/@task/progress": (
        {},
        {"message": [*_TEXT, None, "x" * 2001], "percent": ["50", True, -1, 101, [50], 10**30]},
    ),
    "/agents/@agent/tasks/@task/complete": ({}, {"result": _OBJECT, "status": ["completed"]}),
    "/agents/@agent/tasks/@task/fail": (
        {"error": "a"},
        {"error": [*_NAME, "", "x" * 19_001], "permanent": [None, "true", 1, []]},
    ),
    "/agents/@agent/tasks/@task/release": ({}, {"reason": [*_TEXT, None, "x" * 2001]}),
}


def wrong_fields() -> Iterator[Hostile]:
    for where, (right, fields) in WRONG.items():
        for field, values in fields.items():
            for value in values:
                shown = ascii(value)
                shown = shown if len(shown) < 40 else f"{shown[:20]} ... ({len(shown):,})"
                yield Hostile(f"{where} {field}: {shown}", post(where, right | {field: value}), 422)
        body = {"x": 1}
        yield Hostile(f"{where}: no field that is known", post(where, body), 422)
        yield Hostile(f"{where}: an array", post(where, [right]), 422)
        yield Hostile(f"{where}: cut short", post(where, b'{"'), 400)
