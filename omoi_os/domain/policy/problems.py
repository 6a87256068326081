"""What is wrong with a policy, where, and what to write instead."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, TypeAliasType, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from omoi_os.domain.policy.document import PolicyFile, ShortForm, Strict

type Path = tuple[str | int, ...]

MOVED: Final = {
    "validation_criteria": "criteria",
    "artifacts": "required_artifacts",
    "aliases": "section_aliases",
    "tasks": "required_tasks_completed",
    "coverage": "min_percentage",
    "min_coverage": "min_percentage",
}
"""Names that people try and that are too far from the right one to be found by their letters."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, as "what is wrong; what to write instead".

    Attributes:
        path: Keys and positions from the top of the file; the last may not be in it.
    """

    path: Path
    text: str


def problems_of(error: ValidationError, base: Path = ()) -> Iterator[Problem]:
    """One problem per place, in the file's own words.

    Args:
        base: Where in a whole policy the validated part stands.
    """
    seen: set[Path] = set()
    for details in error.errors(include_url=False, include_context=False):
        keys, model, wanted = _place((*base, *details["loc"]))
        if keys not in seen:
            seen.add(keys)
            yield Problem(keys, _text(details, keys, model, wanted))


def nearest(name: str, known: Iterable[str], noun: str = "key") -> str:
    """The sentence for a name that is not known."""
    names = list(known)
    close = [MOVED[name]] if MOVED.get(name) in names else get_close_matches(name.lower(), names, 1, 0.55)
    instead = f"write {close[0]}" if close else f"known are {', '.join(names)}"
    return f"there is no {noun} {shown(name)} here; {instead}"


def shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _text(details: ErrorDetails, keys: Path, model: type[Strict], wanted: str) -> str:
    last = _label(keys, model)
    match details["type"]:
        case "extra_forbidden":
            return nearest(last, model.model_fields, model.noun)
        case "missing":
            return f"{keys[-1]} is missing; write {wanted}"
        case "string_pattern_mismatch" if details["loc"][-1:] == ("[key]",):
            return f"{shown(details['input'])} is no name; write letters, digits, - and _, a letter first"
    return f"{last}: {shown(details['input'])} is not usable; write {wanted}"


def _label(keys: Path, model: type[Strict]) -> str:
    """The nearest name that stands in the file: of a short form and of a list, that of the key before it."""
    names = [key for key in keys if isinstance(key, str)]
    if issubclass(model, ShortForm) and keys[-1] == model.short and len(names) > 1:
        names.pop()
    return names[-1] if names else "the file"


def _place(loc: Sequence[str | int]) -> tuple[Path, type[Strict], str]:
    """The keys in `loc` (it also names members of unions), the model there, and what it wants."""
    keys: list[str | int] = []
    model: type[Strict] = PolicyFile
    wanted = "a mapping of keys to values"
    current: Any = PolicyFile
    for part in loc:
        if part == "[key]":
            break
        if isinstance(current, type) and issubclass(current, Strict):
            model = current
            keys.append(part)
            if (field := model.model_fields.get(str(part))) is None:
                break
            wanted = field.description or wanted
            current = _plain(field.annotation)
        elif get_origin(current) is dict or (get_origin(current) is list and isinstance(part, int)):
            keys.append(part)
            current = _plain(get_args(current)[-1])
    return tuple(keys), model, wanted


def _plain(annotation: Any) -> Any:
    """A type without its alias, its annotations, and what else it may be."""
    while True:
        if isinstance(annotation, TypeAliasType):
            annotation = annotation.__value__
        elif hasattr(annotation, "__metadata__"):
            annotation = annotation.__origin__
        elif get_origin(annotation) in (Union, types.UnionType):
            options = [_plain(option) for option in get_args(annotation)]
            return next((item for item in options if _is_container(item)), options[0])
        else:
            return annotation


def _is_container(annotation: Any) -> bool:
    return get_origin(annotation) in (list, dict) or (
        isinstance(annotation, type) and issubclass(annotation, BaseModel)
    )
