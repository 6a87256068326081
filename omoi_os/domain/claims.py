"""What a worker says about its own work: read strictly, compared with what was measured, never believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims of one artifact; None where nothing was claimed, or nothing that can be understood.

    Attributes:
        percentage: Coverage in percent, 0 to 100.
        failed: Failed and errored tests together.
        problems: One clause for each claim that is not of its type or contradicts another.
    """

    length: int | None = None
    sections: tuple[str, ...] | None = None
    percentage: float | None = None
    has_tests: bool | None = None
    all_passed: bool | None = None
    failed: int | None = None
    problems: tuple[str, ...] = ()


def read_claims(content: Mapping[str, Any] | None) -> Claims:
    """The claims in an artifact's content; evidence in it is not looked at."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, (read, expected) in _CLAIMS.items():
        raw = (content or {}).get(name)
        if raw is None:
            continue
        value = read(raw)
        if value is None:
            problems.append(f"{name} is claimed as {_short(raw)}, and {expected} is expected")
        else:
            values[name] = value
    errors = values.pop("errors", None)
    if errors is not None:
        values["failed"] = values.get("failed", 0) + errors
    if values.get("all_passed") and values.get("failed"):
        problems.append(f"all_passed is claimed beside {values['failed']} failed tests")
        del values["all_passed"]
    return Claims(**values, problems=tuple(problems))


def _short(raw: object) -> str:
    text = repr(raw)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _count(raw: object) -> int | None:
    return raw if isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0 else None


def _flag(raw: object) -> bool | None:
    return raw if isinstance(raw, bool) else None


def _percentage(raw: object) -> float | None:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    return float(raw) if 0 <= raw <= 100 else None  # NaN compares as false


def _texts(raw: object) -> tuple[str, ...] | None:
    return tuple(raw) if isinstance(raw, list) and all(isinstance(item, str) for item in raw) else None


_CLAIMS: Final[dict[str, tuple[Callable[[object], Any], str]]] = {
    "length": (_count, "a whole number of characters"),
    "sections": (_texts, "a list of section names"),
    "percentage": (_percentage, "a number from 0 to 100"),
    "has_tests": (_flag, "true or false"),
    "all_passed": (_flag, "true or false"),
    "failed": (_count, "a whole number"),
    "errors": (_count, "a whole number"),
}
