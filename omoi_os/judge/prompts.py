"""The judge's prompts: templates that were checked before they are used, and their digest.

A template is refused when it is loaded, not in the middle of a review: it is rendered once with a probe, and
each block that it must have is looked for in what comes out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from jinja2 import DictLoader, StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from omoi_os.domain.inputs import digest_of
from omoi_os.domain.judging import BUILT_IN_CRITERIA
from omoi_os.domain.phases import Phase
from omoi_os.errors import InvalidInput
from omoi_os.resources import resource

VERSION: Final = 1
"""Of the variables and blocks below: a template names the version that it is written for."""

_SUFFIX: Final = ".md.j2"
_BIGGEST: Final = 64_000
_VERSION_LINE: Final = re.compile(r"\{#-?\s*version (\d{1,6})\b")
_PHASES: Final = tuple(phase.name.lower() for phase in BUILT_IN_CRITERIA)

_PROBE: Final[Mapping[str, Mapping[str, Any]]] = {
    "system": {"nonce": "probe-nonce", "code": "probe-code", "reads_files": True},
    "review": {
        "ticket": "probe-ticket",
        "phase": "probe-phase",
        "phase_words": "probe-words",
        "context": "probe-context",
        "measured": "probe-measured",
        "artifacts": ["probe-artifact", "probe-second"],
        "absent": "probe-absent",
        "criteria": [{"id": "probe-id", "text": "probe-text"}],
    },
    "claims": {"claims": "probe-claims", "ids": ["probe-claim", "probe-last"]},
    "repair": {"problems": ["probe-problem", "probe-last"]},
    **{phase: {} for phase in _PHASES},
}
_BLOCKS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "system": {
        "role": (),
        "data": ("probe-nonce",),
        "answers": ("met", "not_met", "cannot_tell"),
        "quotes": ("quote", "where"),
        "finish": ("finish", "probe-code"),
    },
    "review": {
        "ticket": ("probe-ticket",),
        "phase": ("probe-phase", "probe-words"),
        "context": ("probe-context",),
        "measured": ("probe-measured",),
        "artifacts": ("probe-artifact", "probe-second", "probe-absent"),
        "criteria": ("probe-id", "probe-text"),
    },
    "claims": {"claims": ("probe-claims",), "answers": ("false", "probe-claim", "probe-last")},
    "repair": {"problems": ("probe-problem", "probe-last")},
    **{phase: {"look_for": ()} for phase in _PHASES},
}
"""What must stand in each block of each template when it is rendered with the probe; () for any text."""


class PromptsInvalid(InvalidInput):
    """The folder of prompts cannot be used; each line of the message says which file, and why."""

    code = "prompts_invalid"


@dataclass(frozen=True, slots=True)
class PromptSet:
    """Prompts that can be rendered.

    Attributes:
        digest: SHA-256 over all files, and over the criteria that are asked where a policy names none.
    """

    texts: Mapping[str, str]
    digest: str
    _environment: ImmutableSandboxedEnvironment = field(repr=False, compare=False)

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """The built-in prompts, with the files of `folder` in the place of those of the same name.

        Raises:
            PromptsInvalid: A file cannot be read or used, is of another version, or lacks a block.
        """
        built_in = resource("prompts") / "judge"
        texts = texts_in(built_in)
        if folder is not None:
            own = texts_in(folder.expanduser())
            if unknown := [name for name in own if not name.startswith("_") and name not in texts]:
                known = ", ".join(sorted(texts))
                raise PromptsInvalid(f"{folder}: there is no prompt called {unknown[0]}; they are {known}")
            texts |= own
        prompts = cls(texts, digest_of([texts, _asked()]), environment_of(texts))
        if problems := list(prompts._problems()):
            raise PromptsInvalid("\n".join(problems))
        return prompts

    def render(self, name: str, **values: object) -> str:
        """The template `name`, without white space around it.

        Raises:
            TemplateError: Only for values that the probe did not foresee.
        """
        return self._template(name).render(**values).strip() + "\n"

    def phase_words(self, phase: Phase) -> str:
        """What to look for in a phase; "" for one that has no gate."""
        name = phase.name.lower()
        return self.render(name) if name in _PHASES else ""

    def repair(self, problems: Sequence[str]) -> list[str]:
        """What a judge is told about its submission, point by point; nothing where nothing is wrong."""
        if not problems:
            return []
        one_line_each = [" ".join(problem.split()) for problem in problems]
        return [line for line in self.render("repair", problems=one_line_each).splitlines() if line.strip()]

    def _template(self, name: str) -> Template:
        return self._environment.get_template(name + _SUFFIX)

    def _problems(self) -> Iterator[str]:
        for name in _BLOCKS:
            version = _VERSION_LINE.match(self.texts.get(name + _SUFFIX, ""))
            if version is None or int(version[1]) != VERSION:
                yield f"{name}{_SUFFIX}: its first line must be {{# version {VERSION} #}}"
                continue
            try:
                yield from self._problems_of(name)
            except TemplateSyntaxError as error:
                yield f"{error.name or name + _SUFFIX}, line {error.lineno}: {error.message}"
            except TemplateError as error:
                yield f"{name}{_SUFFIX}: {error.message or type(error).__name__}"
            except (
                ArithmeticError,
                AttributeError,
                LookupError,
                RecursionError,
                TypeError,
                ValueError,
            ) as error:
                yield f"{name}{_SUFFIX}: it cannot be rendered ({type(error).__name__}: {error})"

    def _problems_of(self, name: str) -> Iterator[str]:
        template = self._template(name)
        context = template.new_context(dict(_PROBE[name]))
        whole = "".join(template.root_render_func(context))
        for block, words in _BLOCKS[name].items():
            # An inherited block comes with the parent; the first one is the one that counts.
            found = "".join(context.blocks[block][0](context)) if context.blocks.get(block) else ""
            if not found.strip() or found not in whole:
                yield f"{name}{_SUFFIX}: it needs a block {block!r} that says something"
            elif missing := [word for word in words if word not in found]:
                needed = missing[0].replace("probe-", "")
                yield f"{name}{_SUFFIX}: its block {block!r} does not show {needed!r}"


def environment_of(texts: Mapping[str, str]) -> ImmutableSandboxedEnvironment:
    """Templates by the names of their files; a variable that does not exist is an error."""
    return ImmutableSandboxedEnvironment(
        loader=DictLoader(texts),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _asked() -> dict[str, list[list[str]]]:
    return {
        phase: [[criterion.id, criterion.text] for criterion in criteria]
        for phase, criteria in BUILT_IN_CRITERIA.items()
    }


def texts_in(folder: Path) -> dict[str, str]:
    """The templates of a folder, by the names of their files.

    Raises:
        PromptsInvalid: There is none, or one cannot be read.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.name.endswith(_SUFFIX))
        texts = {path.name: _text(path) for path in files}
    except OSError as error:
        raise PromptsInvalid(f"{error.filename or folder}: it cannot be read ({error.strerror})") from None
    if not texts:
        raise PromptsInvalid(f"{folder}: there is no prompt in it; their names end in {_SUFFIX}")
    return texts


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(_BIGGEST + 1)
    if len(content) > _BIGGEST:
        raise PromptsInvalid(f"{path}: a prompt may have {_BIGGEST:,} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise PromptsInvalid(f"{path}: it is not UTF-8") from None
