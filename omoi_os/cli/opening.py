"""What every command begins with: settings, and services on a database that is ready."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from pydantic import ValidationError

from omoi_os.bootstrap import Services, open_services
from omoi_os.cli.show import progress
from omoi_os.errors import InvalidInput
from omoi_os.settings import Settings
from omoi_os.worker.client import EngineClient


def read_settings(**instead: Any) -> Settings:
    """The settings from the environment; `instead` wins over it.

    Raises:
        InvalidInput: A variable does not hold what it must; the message names it.
    """
    try:
        return Settings(**instead)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = "_".join(map(str, first["loc"])).upper()
        raise InvalidInput(f"OMOI_{name}: {first['msg'][:1].lower()}{first['msg'][1:]}") from None


@contextmanager
def opened(settings: Settings, *, judges_here: bool = True) -> Iterator[Services]:
    """`open_services`, with the wait for the database shown."""
    with ExitStack() as stack:
        with progress("opening the database"):
            opening = open_services(settings, EngineClient, judges_here=judges_here)
            services = stack.enter_context(opening)
        yield services
