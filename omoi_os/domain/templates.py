"""Templates of the tasks that a phase makes: read strictly, filled in literally."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, NoReturn

from omoi_os.domain.phases import WORK_PHASES, Phase, parse_phase
from omoi_os.domain.statuses import Priority
from omoi_os.domain.storable import MAX_TEXT, problem_in_text
from omoi_os.domain.tasks import find_cycle, read_priority
from omoi_os.errors import InvalidInput, TemplateInvalid

VARIABLES: Final = ("ticket_title", "ticket_description", "ticket_priority", "phase")

HANDED_ON: Final = "What earlier phases hand on:"
CUT: Final = "\n[The rest is cut off: it was too long for one task.]"

LONGEST_NAME: Final = 100
"""Characters of a task_type or a capability."""

MOST: Final = 100
"""Templates of one phase, capabilities or dependencies of one template."""

_KEYS: Final = ("task_type", "description_template", "priority", "capabilities", "depends_on")
_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(frozen=True, slots=True)
class Template:
    """What one task of a phase is made from.

    Attributes:
        description: Text with variables in braces.
        capabilities: What an agent must offer; empty for any agent.
        depends_on: Task types of the same phase that must be completed first.
    """

    task_type: str
    description: str
    priority: Priority = Priority.MEDIUM
    capabilities: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The form that `read_template` reads."""
        written = {
            "task_type": self.task_type,
            "description_template": self.description,
            "priority": self.priority.value,
            "capabilities": list(self.capabilities),
        }
        return written | ({"depends_on": list(self.depends_on)} if self.depends_on else {})


def work_phase(name: str) -> Phase:
    """The phase called `name`, which must be one that has tasks.

    Raises:
        UnknownPhase: There is no such phase.
        TemplateInvalid: It has no tasks.
    """
    phase = parse_phase(name)
    if phase not in WORK_PHASES:
        known = ", ".join(WORK_PHASES)
        raise TemplateInvalid(f"{phase.value} has no tasks; phases with tasks are {known}", phase=phase.value)
    return phase


def visit_of(phase: Phase, stands: str, moves: Sequence[tuple[str | None, str]]) -> int:
    """Which of the ticket's visits of `phase` tasks are made for.

    1 until it has left and entered again, also before it gets there. Being blocked does not end a visit.

    Args:
        stands: Where the ticket is now.
        moves: All its moves, from and to, in order.
    """
    began = moves[0][0] if moves else stands
    places = (place for place in (began, *(to for _, to in moves)) if place != Phase.BLOCKED)
    return max(1, sum(place == phase for place, _ in groupby(places)))


def read_template(given: object) -> Template:
    """Read one template in the specification's form; all but the type and the description may be left out.

    Raises:
        TemplateInvalid: A key, type, priority or variable is not usable; the message names the template.
    """
    fields = given if isinstance(given, Mapping) else {}
    name = fields.get("task_type")
    if not isinstance(name, str) or not name.strip():
        raise TemplateInvalid("a task template needs a task_type, a text that is not empty")
    if problem := problem_in_text(name, LONGEST_NAME):
        raise TemplateInvalid(f"the task_type of a task template: {problem}")
    for key in fields:
        if key not in _KEYS:
            _refuse(name, f"{str(key)[:40]!r} is not known; known are {', '.join(_KEYS)}")
    template = Template(
        task_type=name,
        description=_description(name, fields.get("description_template")),
        priority=_priority(name, fields.get("priority", Priority.MEDIUM)),
        capabilities=_names(name, "capabilities", fields.get("capabilities", ())),
        depends_on=_names(name, "depends_on", fields.get("depends_on", ())),
    )
    _refuse_circles([template])
    return template


def check_templates(templates: Sequence[Template]) -> None:
    """Check the templates of one phase as a whole.

    Raises:
        TemplateInvalid: A task type stands there twice, depends on one that is not there, or waits for
            itself by way of others.
    """
    if len(templates) > MOST:
        raise TemplateInvalid(f"a phase can have {MOST} task templates, and these are {len(templates)}")
    known: set[str] = set()
    for template in templates:
        if template.task_type in known:
            _refuse(template.task_type, "a phase can have only one template of a task type")
        known.add(template.task_type)
    for template in templates:
        if unknown := [name for name in template.depends_on if name not in known]:
            _refuse(
                template.task_type,
                f"depends_on: the phase has no template {unknown[0]!r}; it has {', '.join(sorted(known))}",
            )
    _refuse_circles(templates)


def render(template: Template, variables: Mapping[str, str], limit: int = MAX_TEXT) -> str:
    """The description with each variable replaced once; braces in a value are text like any other.

    A text that does not fit is cut and says so: a long ticket must not keep itself from entering a phase.

    Raises:
        TemplateInvalid: A brace stands alone, or holds something that is not in `variables`.
    """
    pieces: list[str] = []
    room = limit
    for piece in _pieces(template.task_type, template.description, variables):
        pieces.append(piece)
        room -= len(piece)
        # A template can name a long description ten thousand times: what no longer fits is not built.
        if room < 0:
            break
    return _cut("".join(pieces), limit)


def describe(template: Template, variables: Mapping[str, str], summary: str | None) -> str:
    """A task's description: the template filled in, then what earlier phases hand on, if anything."""
    if not summary:
        return render(template, variables)
    tail = handed_on(summary)
    return render(template, variables, MAX_TEXT - len(tail)) + tail


def handed_on(summary: str) -> str:
    """How a description ends that tells what earlier phases hand on."""
    return _cut(f"\n\n{HANDED_ON}\n{summary}", MAX_TEXT // 2)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - len(CUT)] + CUT


def _pieces(name: str, text: str, variables: Mapping[str, str]) -> Iterator[str]:
    end = 0
    for token in _TOKEN.finditer(text):
        yield text[end : token.start()]
        end = token.end()
        variable = token[1]
        if token[0] in ("{{", "}}"):
            yield token[0][0]
        elif variable is None:
            _refuse(
                name, f"a single {token[0]} at position {token.start()}; write {token[0] * 2} for a brace"
            )
        elif variable not in variables:
            known = ", ".join(f"{{{known}}}" for known in variables)
            _refuse(
                name, f"there is no variable {{{variable[:60]}}}; there are {known}", variable=variable[:60]
            )
        else:
            yield variables[variable]
    yield text[end:]


def _description(name: str, given: object) -> str:
    if not isinstance(given, str) or not given.strip():
        _refuse(name, "description_template must be a text that is not empty")
    if problem := problem_in_text(given):
        _refuse(name, f"description_template: {problem}")
    for _ in _pieces(name, given, dict.fromkeys(VARIABLES, "")):
        pass
    return given


def _priority(name: str, given: object) -> Priority:
    if not isinstance(given, str):
        _refuse(name, f"priority must be one of {', '.join(Priority)}")
    try:
        return read_priority(given)
    except InvalidInput as error:
        _refuse(name, error.message)


def _names(name: str, key: str, given: object) -> tuple[str, ...]:
    if not isinstance(given, list | tuple) or len(given) > MOST:
        _refuse(name, f"{key} must be a list of at most {MOST} names")
    for item in given:
        if not isinstance(item, str) or not item.strip():
            _refuse(name, f"{key} must be a list of names, and {repr(item)[:40]} is none")
        if problem := problem_in_text(item, LONGEST_NAME):
            _refuse(name, f"{key}: {problem}")
    return tuple(dict.fromkeys(given))


def _refuse_circles(templates: Sequence[Template]) -> None:
    waits_for = {template.task_type: template.depends_on for template in templates}
    for name in waits_for:
        if circle := find_cycle(name, waits_for):
            shown = " -> ".join(circle)
            _refuse(name, f"depends_on: these would wait for one another for ever: {shown}", cycle=circle)


def _refuse(name: str, problem: str, **facts: object) -> NoReturn:
    shown = name[:LONGEST_NAME]
    raise TemplateInvalid(f"task template {shown!r}: {problem}", template=shown, **facts)
