"""A judge for the demo: the real agent with its tools, on a model that plays its part by a script.

It reads the changed file, answers each criterion with a line of the change, and looks at the worker's claims.
What it says goes through everything that a real model's answers go through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from omoi_os.judge.scripted import Answer, Call, Request, ScriptedModel, says

MODEL: Final = "openai/scripted"
KEY: Final = "no-key-is-needed"

_CODE: Final = re.compile(r"in `review`: ([0-9a-f]{8})\.")
_PART: Final = re.compile(r"Submit it as `(stage_\d)`")
_CRITERION: Final = re.compile(r"^- `(?!(?:met|not_met|cannot_tell)`)(\w+)`: ", re.MULTILINE)
_CLAIMS: Final = re.compile(r"^The ids are: (.+)\.$", re.MULTILINE)
_NEW_FILE: Final = re.compile(r"^\+\+\+ b/(\S+\.py)$", re.MULTILINE)
_ADDED: Final = re.compile(r"^\+(?!\+\+)\s*(\S.*)$", re.MULTILINE)
_LONG_ENOUGH: Final = 16


def scripted_judge() -> ScriptedModel:
    """The model's server, on loopback."""
    return ScriptedModel(_answer)


def _answer(request: Request) -> Answer:
    asked = request.text()
    files = _NEW_FILE.findall(asked)
    if request.turn == 0 and files:
        return says("I look at the changed code first.", Call("read_file", {"path": files[0]}))
    code = _CODE.search(asked)
    claims = _CLAIMS.findall(asked)
    submitted: dict[str, Any] = {"review": code[1] if code else ""}
    if claims:
        submitted["claims"] = [_cannot_tell("claim", id_.strip("` ")) for id_ in claims[-1].split(",")]
    else:
        submitted["answers"] = list(_met(_CRITERION.findall(asked), _ADDED.findall(asked)))
    part = _PART.findall(asked)
    return says(None, Call("finish", {"message": "done", **({part[-1]: submitted} if part else submitted)}))


def _met(criteria: Iterable[str], added: list[str]) -> Iterator[dict[str, str]]:
    code = [line for line in added if len(line) >= _LONG_ENOUGH and "assert" not in line]
    tests = [line for line in added if line.startswith("assert") and len(line) >= _LONG_ENOUGH]
    for place, criterion in enumerate(criteria):
        lines = (tests if criterion == "tests_bite" else code) or added or [""]
        yield {
            "criterion": criterion,
            "answer": "met",
            "quote": lines[min(place, len(lines) - 1)],
            "where": "code_changes",
            "reasoning": "This line of the change shows it",
        }


def _cannot_tell(what: str, id_: str) -> dict[str, str]:
    return {
        what: id_,
        "answer": "cannot_tell",
        "quote": "",
        "where": "",
        "reasoning": "Only the numbers say so",
    }
