"""Rules about documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from omoi_os.domain.evidence import DocumentFacts, Heading
from omoi_os.domain.policy import MinLength, RequiredSections
from omoi_os.domain.rules.measured import Measured, Note, and_more, false_claim, wrong_kind
from omoi_os.domain.slugs import slugify
from omoi_os.domain.verdict import Finding, Outcome

_REMARK: Final = re.compile(r"\s*\([^()]*\)\s*:?\s*$")

LENGTH_TOLERANCE: Final = 0.1
"""Share by which a claimed length may differ: people count markup and white space in different ways."""


def at_least_characters(demand: MinLength, measured: Measured) -> Finding:
    """The document is at least so long; markup comments and repeated white space do not count."""
    criterion = f"{measured.artifact.type}.min_length"
    needed = f"at least {demand.characters:,} characters"
    facts = measured.facts
    if not isinstance(facts, DocumentFacts):
        return wrong_kind(criterion, needed, measured)
    found = f"the text has {facts.length:,} characters"
    if facts.length < demand.characters:
        fix = "Write what is missing."
        return Finding(criterion, Outcome.FAIL, "document_too_short", found, needed, measured.where, fix)
    return Finding(criterion, Outcome.PASS, "long_enough", found, needed, measured.where)


def has_sections(demand: RequiredSections, measured: Measured) -> Iterator[Finding]:
    """Every required section is there, under its name or an alias, and says something."""
    for section in demand.sections:
        yield _has_section(section, demand, measured)


def _has_section(section: str, demand: RequiredSections, measured: Measured) -> Finding:
    criterion = f"{measured.artifact.type}.required_sections.{section}"
    title = section.replace("_", " ")
    needed = f"a section “{title}” that says something"
    facts = measured.facts
    if not isinstance(facts, DocumentFacts):
        return wrong_kind(criterion, needed, measured)
    accepted = demand.accepted(section)
    headings = [heading for heading in _sections(facts) if _names(heading) & accepted]
    if not headings:
        also = ", ".join(f"“{alias.replace('_', ' ')}”" for alias in sorted(accepted - {section})[:4])
        fix = f"Add the heading “{title}”{f' (or {also})' if also else ''} with its content."
        return Finding(
            criterion, Outcome.FAIL, "section_missing", "no such heading", needed, measured.where, fix
        )
    problems = [_problem(heading, facts) for heading in headings]
    if all(problems):
        where = f"{measured.where}:{headings[0].line}"
        return Finding(
            criterion,
            Outcome.FAIL,
            "section_unfilled",
            problems[0],
            needed,
            where,
            "Write what belongs there.",
        )
    heading = headings[problems.index("")]
    return Finding(
        criterion,
        Outcome.PASS,
        "section_found",
        f"“{heading.text}” in line {heading.line}",
        needed,
        measured.where,
    )


def _sections(facts: DocumentFacts) -> tuple[Heading, ...]:
    """The headings of sections: a lone first heading above all others is the document's title."""
    first, *others = facts.headings or (None,)
    if first is not None and others and all(other.level > first.level for other in others):
        return tuple(others)
    return facts.headings


def _names(heading: Heading) -> set[str]:
    """What a heading is called, also without a remark in brackets at its end."""
    return {heading.slug, slugify(_REMARK.sub("", heading.text))}


def _problem(heading: Heading, facts: DocumentFacts) -> str:
    """Why the section under `heading` does not count, or an empty text."""
    if heading.slug in facts.empty_sections:
        return f"“{heading.text}” in line {heading.line} is empty"
    end = _end_of(heading, facts)
    for placeholder in facts.placeholders:
        if heading.line < placeholder.line < end:
            left = f"the placeholder “{placeholder.text}” in line {placeholder.line}"
            return f"“{heading.text}” still holds {left}"
    return ""


def _end_of(heading: Heading, facts: DocumentFacts) -> float:
    later = [
        other.line for other in facts.headings if other.line > heading.line and other.level <= heading.level
    ]
    return min(later, default=float("inf"))


def no_placeholders(measured: Measured) -> Iterator[Finding]:
    """Tell of unfilled placeholders; inside a required section they also fail that section."""
    facts = measured.facts
    if not isinstance(facts, DocumentFacts) or not facts.placeholders:
        return
    shown = ", ".join(f"“{item.text}” in line {item.line}" for item in facts.placeholders[:3])
    yield Note(
        "placeholders",
        "placeholders_left",
        shown + and_more(len(facts.placeholders)),
        "a text without unfilled placeholders",
        "Replace each placeholder by what it stands for.",
    ).about(measured)


def document_claims(measured: Measured) -> Iterator[Finding]:
    """Compare a claimed length and claimed sections with the text."""
    facts, claims = measured.facts, measured.claims
    if not isinstance(facts, DocumentFacts):
        return
    if claims.length is not None and abs(claims.length - facts.length) > LENGTH_TOLERANCE * facts.length:
        yield false_claim(
            measured,
            f"{claims.length:,} characters are claimed and {facts.length:,} were counted",
            "claims that agree with the text",
        )
    slugs = {heading.slug for heading in facts.headings}
    missing = [name for name in claims.sections or () if slugify(name) not in slugs]
    if missing:
        names = ", ".join(f"“{name[:60]}”" for name in missing[:5])
        yield false_claim(
            measured, f"sections {names} are claimed and have no heading", "claims that agree with the text"
        )
