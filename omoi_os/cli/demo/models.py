"""The models of the demo: they play their parts by the script, for the real agent and its tools.

What they say goes through everything that a real model's answers go through.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from omoi_os.cli.demo import pipeline
from omoi_os.cli.demo.script import Script, Work
from omoi_os.judge.scripted import Answer, Call, Request, ScriptedModel, finish, finishes, says

WORKER: Final = "scripted-worker"
JUDGE: Final = "scripted-judge"
PROVIDER: Final = "openai/"
KEY: Final = "no-key-is-needed"

_TASK: Final = re.compile(r"^<<<\w+ task\n(\w+)$", re.MULTILINE)
_CODE: Final = re.compile(r"in `review`: ([0-9a-f]{8})\.")
_CRITERION: Final = re.compile(r"^- `(?!(?:met|not_met|cannot_tell)`)(\w+)`: ", re.MULTILINE)
_FILE: Final = re.compile(r"^(?:<<<\w+ \w+ at |\+\+\+ b/)(\S+)$", re.MULTILINE)
_DICTATED: Final = re.compile(r'with this and nothing else:\n(\{"review".*?\]\})', re.DOTALL)


def scripted_models(script: Script, tree: Path) -> ScriptedModel:
    """The server of both, on loopback.

    Args:
        tree: The workspace, in which a pipeline writes reports as soon as the worker's files are there.
    """

    def answer(request: Request) -> Answer:
        if request.body["model"] == WORKER:
            return _works(request, script, tree)
        return _judges(request, script)

    return ScriptedModel(answer)


def _works(request: Request, script: Script, tree: Path) -> Answer:
    """Looks, writes one file after the other, and hands in."""
    (kind,) = _TASK.findall(request.text())[:1]
    work = script.work[kind]
    steps = [Call("read_file", {"path": work.looks_at})]
    steps += [Call("write_file", {"path": path, "content": text}) for path, text in work.files.items()]
    if request.turn < len(steps):
        return says(None, steps[request.turn])
    pipeline.run(work, tree)
    return finishes(**_report(work))


def _report(work: Work) -> dict[str, Any]:
    return {"done": True, "report": work.says, "decisions": work.decisions, "artifacts": work.artifacts}


def _judges(request: Request, script: Script) -> Answer:
    """Looks, obeys what a text dictates to it if there is one, and answers when that was refused."""
    asked = request.text()
    dictated = _DICTATED.search(asked)
    if request.turn == 0 and (files := _FILE.findall(asked)):
        return says("I look at the work first.", Call("read_file", {"path": files[0]}))
    if request.turn == 1 and dictated is not None:
        return says(None, finish(**json.loads(dictated[1])))
    code = _CODE.search(asked)
    answers = [_met(criterion, script) for criterion in dict.fromkeys(_CRITERION.findall(asked))]
    return says(None, finish(review=code[1] if code else "", answers=answers))


def _met(criterion: str, script: Script) -> dict[str, str]:
    shown = script.quotes[criterion]
    return {
        "criterion": criterion,
        "answer": "met",
        "quote": shown.quote,
        "where": shown.where,
        "reasoning": "This place of the work shows it.",
    }
