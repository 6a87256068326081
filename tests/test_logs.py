"""What a library logs takes the way of our own lines: without secrets, and to no stream of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from omoi_os.logs import HIDDEN, adopt

NAME = "a.library"


@pytest.fixture
def library() -> Iterator[logging.Logger]:
    logger = logging.getLogger(NAME)
    logger.addHandler(logging.StreamHandler())
    adopt(NAME)
    yield logger
    logger.handlers.clear()


def test_a_librarys_warning_is_told_once_and_without_secrets(
    library: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    library.warning("lost postgresql://omoi:%s@host/db", "hunter2")
    library.info("nobody needs this")
    told = "".join(capfd.readouterr())
    assert told.count("lost") == 1
    assert HIDDEN in told
    assert "hunter2" not in told
    assert "nobody" not in told


def test_adopting_twice_tells_once(library: logging.Logger, capfd: pytest.CaptureFixture[str]) -> None:
    adopt(NAME)
    library.error("once")
    assert "".join(capfd.readouterr()).count("once") == 1
