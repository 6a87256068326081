"""The whole OpenAPI document, fuzzed: every answer is one that the document promises.

Schemathesis makes requests that the document allows and requests that it forbids: for each operation every
bound and every wrong type once, and OMOI_EXAMPLES more that are drawn. With OMOI_EXAMPLES set, every run
draws others; without it, all are the same. Operations are read from the document: a new route is fuzzed
without being told.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import hypothesis
import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse
from hypothesis import HealthCheck, settings
from schemathesis import Case, Config
from schemathesis.python.asgi import shutdown_lifespans

from omoi_os.api.app import create_app
from omoi_os.api.problems import MEDIA_TYPE
from omoi_os.bootstrap import Services, services_on
from omoi_os.services.database import DatabaseService
from omoi_os.settings import Settings
from tests.openapi_cases import Known, Told, problems_only, seeded, streams

EXAMPLES: Final = os.environ.get("OMOI_EXAMPLES")
ADDRESS: Final = "http://127.0.0.1:8420"
SLOWEST: Final = 20.0
"""Seconds that no answer may take; generous, for a machine that does other things too."""

LISTENING: Final = 0.3
"""Seconds after which a stream that says nothing is left."""

MOST_STREAMS: Final = 20
"""Requests to one streaming operation: each of them may cost `LISTENING`."""


def _document() -> dict[str, Any]:
    nowhere = DatabaseService("postgresql://nobody@127.0.0.1:1/nothing")
    return create_app(services_on(nowhere, Settings())).openapi()


def _config() -> Config:
    config = Config(seed=0 if EXAMPLES is None else None)
    project = config.projects.default
    project.max_stream_events = 1
    # What a phase, a cursor or a workspace may be depends on what is stored, so no schema can say which data
    # will be accepted. Everything else that Schemathesis checks is checked.
    project.checks.positive_data_acceptance.enabled = False
    return config


schema = schemathesis.openapi.from_dict(_document(), config=_config())


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    """What was answered; `pytest -s` shows it at the end."""
    told = Told()
    yield told
    sys.stdout.write(f"\n{told}\n")


@pytest.fixture
def app(services: Services) -> Iterator[FastAPI]:
    yield create_app(services)
    shutdown_lifespans()


@pytest.fixture
def known(services: Services, workspace: Path) -> Known:
    return seeded(services, workspace)


def ask(case: Case[Any], app: FastAPI, told: Told) -> None:
    """Send the request, and compare the answer with the document."""
    streaming = streams(case.operation.definition.raw)
    if streaming and told.of(case.operation.label) >= MOST_STREAMS:
        return
    response = case.call(base_url=ADDRESS, app=app, timeout=LISTENING if streaming else SLOWEST)
    told.note(case.operation.label, response.status_code)
    case.validate_response(response, additional_checks=[problems_only])


@schema.parametrize()
@settings(
    max_examples=int(EXAMPLES or "20"),
    derandomize=EXAMPLES is None,
    database=None,
    deadline=None,
    # A failure is told as it was found: to make it smaller takes minutes, and a request is small already.
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    # What one request leaves behind is what the next one meets.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@pytest.mark.timeout(3600 if EXAMPLES else 120)
def test_every_answer_is_one_that_the_document_promises(
    case: Case[Any], app: FastAPI, known: Known, told: Told
) -> None:
    known.lead(case)
    ask(case, app, told)


def test_the_document_names_every_error_as_a_problem() -> None:
    document = _document()
    text = json.dumps(document)
    assert set(re.findall(r"#/components/schemas/(\w+)", text)) == set(document["components"]["schemas"])
    for path in document["paths"].values():
        for operation in path.values():
            errors = {code: said for code, said in operation["responses"].items() if not code.startswith("2")}
            assert {"403", "413", "421"} <= errors.keys()
            assert all(list(said["content"]) == [MEDIA_TYPE] for said in errors.values())


def test_a_stream_without_an_end_is_left(app: FastAPI) -> None:
    @app.get("/api/v1/silence", response_class=EventSourceResponse)
    async def silence() -> AsyncIterator[str]:
        await asyncio.sleep(3600)
        yield "never"

    document = schemathesis.openapi.from_dict(app.openapi(), config=_config())
    operation = document["/api/v1/silence"]["GET"]
    assert streams(operation.definition.raw)
    told = Told()
    ask(operation.Case(), app, told)
    assert told.statuses == {200: 1}
