"""JSON read strictly: what PostgreSQL cannot hold, or two readers understand differently, is refused.

Python's reader takes NaN, the last of two equal keys, half a surrogate pair, and overflows its stack on
deep nesting; each would be a failure or a silent loss further in.
"""

from __future__ import annotations

import json
from typing import Any

from omoi_os.domain.storable import problem_in_json
from omoi_os.errors import InvalidInput, NotJson


def read_json(body: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        NotJson: It is not JSON, not UTF-8, or has one key twice.
        InvalidInput: It holds what cannot be stored.
    """
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant
        )
    except RecursionError:
        raise NotJson("the body is nested too deeply") from None
    except UnicodeDecodeError:
        raise NotJson("the body is not UTF-8") from None
    except ValueError as error:
        raise NotJson(f"the body is not JSON: {str(error)[:200]}") from None
    if found := problem_in_json(value):
        raise InvalidInput(f"the body cannot be used: {found}")
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return values


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
