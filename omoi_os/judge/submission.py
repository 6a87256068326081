"""The submission of a stage: the shape that the model is given, and the one call that counts.

A conversation has one `finish` tool and its shape is fixed when the conversation starts, on a remote server
too. So several stages share one shape with an optional part for each, of which exactly one is filled in.

The library's own reader returns the newest `finish` call even where it was discarded: of two in one reply
the first is executed and the second returned. Here a call counts only if it was executed, alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from openhands.sdk.event import ActionEvent, Event, MessageEvent, ObservationEvent
from openhands.sdk.tool.builtins import FinishTool
from pydantic import BaseModel, ValidationError, create_model, model_validator

from omoi_os.domain.strict_json import read_json
from omoi_os.errors import InvalidInput
from omoi_os.judge.run import Stage

_SENDER: Final = "omoi"
_MOST_PROBLEMS: Final = 10


@dataclass(frozen=True, slots=True)
class Turn:
    """What happened since our newest message.

    Attributes:
        stage: Index of the stage that the message belongs to.
        repair: How many repair messages of the whole run came so far.
    """

    stage: int
    repair: int
    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class Problems:
    """Why there is no usable submission. `submitted` tells a bad one from none."""

    texts: list[str]
    submitted: bool


def sender(stage: int, repair: int) -> str:
    """Marks a message as ours. The library sends messages in the user's name too, without a mark."""
    return f"{_SENDER}:{stage}:{repair}"


def turns(events: Iterable[Event]) -> list[Turn]:
    """The turns of a conversation, also of one that another process began."""
    found: list[Turn] = []
    since: list[Event] = []
    for event in events:
        mark = event.sender if isinstance(event, MessageEvent) and event.source == "user" else None
        if mark is not None and mark.startswith(f"{_SENDER}:"):
            _, stage, repair = mark.split(":")
            since = []
            found.append(Turn(int(stage), int(repair), since))
        since.append(event)
    return found


def shape_of(stages: Sequence[Stage[Any]]) -> type[BaseModel]:
    """What the `finish` tool takes besides its message."""
    return _shape(tuple(stage.response_model for stage in stages))


def part_of(index: int) -> str:
    """The name of a stage's part where there are several stages."""
    return f"stage_{index + 1}"


@cache  # the library remembers every class that it was given, for ever
def _shape(models: tuple[type[BaseModel], ...]) -> type[BaseModel]:
    if len(models) == 1:
        return models[0]
    parts: dict[str, Any] = {part_of(index): (model | None, None) for index, model in enumerate(models)}
    return create_model("Submission", __base__=_OnePart, **parts)


class _OnePart(BaseModel):
    @model_validator(mode="after")
    def _one_part(self) -> _OnePart:
        if sum(value is not None for _, value in self) != 1:
            raise ValueError("fill in exactly one of the parts, the one that you were asked for")
        return self


def read(turn: Turn, stages: Sequence[Stage[Any]]) -> BaseModel | Problems:
    """The submission of a turn, or what is wrong with it in sentences for the agent."""
    call = _executed(turn.events)
    if isinstance(call, Problems):
        return call
    stage = stages[turn.stage]
    try:
        arguments = read_json(call.tool_call.arguments.encode("utf-8", "surrogatepass"))
        value = _part(arguments, turn.stage, stages)
        # Strictly: "false" is not false, and 1 is not true.
        submitted = stage.response_model.model_validate_json(json.dumps(value), strict=True)
    except InvalidInput as error:
        return Problems([f"the arguments of `finish` cannot be used: {error.message}"], submitted=True)
    except ValidationError as error:
        return Problems(_sentences(error), submitted=True)
    problems: list[str] = stage.accept(submitted)
    return Problems(problems, submitted=True) if problems else submitted


def _executed(events: Sequence[Event]) -> ActionEvent | Problems:
    calls = [
        event for event in events if isinstance(event, ActionEvent) and event.tool_name == FinishTool.name
    ]
    executed = {event.action_id for event in events if isinstance(event, ObservationEvent)}
    done = [call for call in calls if call.action is not None and call.id in executed]
    if not calls:
        return Problems(["you ended without calling `finish`"], submitted=False)
    if not done:
        return Problems(["no call of `finish` was valid"], submitted=True)
    beside = [call for call in calls if call.llm_response_id == done[-1].llm_response_id]
    if len(done) > 1 or len(beside) > 1:
        return Problems(["you called `finish` more than once"], submitted=True)
    return done[0]


def _part(arguments: dict[str, Any], index: int, stages: Sequence[Stage[Any]]) -> object:
    if len(stages) > 1:
        filled = {name for name in map(part_of, range(len(stages))) if arguments.get(name) is not None}
        if filled != {part_of(index)}:
            raise InvalidInput(f"fill in `{part_of(index)}` and no other part")
        return arguments[part_of(index)]
    # Beside the shape's own fields stand the message and what the library adds.
    model = stages[0].response_model
    names = {field.alias or name for name, field in model.model_fields.items()}
    return {name: value for name, value in arguments.items() if name in names}


def _sentences(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(map(str, problem['loc'])) or 'the submission'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_context=False, include_input=False)[
            :_MOST_PROBLEMS
        ]
    ]
