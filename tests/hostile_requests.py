"""Every request of which nobody sends one in good faith; the groups are in `tests/hostile`."""

from __future__ import annotations

from typing import Final

from tests.hostile.addresses import events, ids, queries, reviews, workspaces
from tests.hostile.bodies import json_texts, odd_texts
from tests.hostile.fields import wrong_fields
from tests.hostile.transport import headers, hosts, lengths, request_lines

_GROUPS: Final = (
    json_texts, wrong_fields, odd_texts, ids, queries, reviews, events, workspaces, hosts, request_lines,
    headers, lengths,
)  # fmt: skip

REQUESTS: Final = tuple(hostile for group in _GROUPS for hostile in group())
