"""What a library logs takes the way of our own lines: without secrets, and to no stream of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest

from omoi_os.logs import HIDDEN, adopt, redact

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


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com:8443/in",
        "http://127.0.0.1:8905/a and http://127.0.0.1:8906/b?c=d:e",
        "http://[::1]:8905/in,http://[fe80::1]/x",
        "http://127.0.0.1:8905, http://127.0.0.1:8906)",
        "ssh://git@example.com:22/work",
        "postgresql://omoi@db:5432/omoi",
        "http://127.0.0.1:80/ by somebody@example.com",
    ],
)
def test_an_address_without_a_password_stays_as_it_is(address: str) -> None:
    assert redact(address) == address


@pytest.mark.parametrize(
    "password",
    ["hunter2", "a/b", "a@b", "a:b", "/", ":@", "a@b/c:d@e", "a'b", 'a"b', "a,b;c&d", "<a>", "%2F"],
)
@pytest.mark.parametrize("user", ["omoi", "", "omoi@work"])
def test_a_password_in_an_address_is_hidden_whatever_is_in_it(user: str, password: str) -> None:
    told = redact(f"lost postgresql://{user}:{password}@db:5432/omoi, twice")
    assert told == f"lost postgresql://{user}:{HIDDEN}@db:5432/omoi, twice"


def test_rather_too_much_is_hidden_than_too_little() -> None:
    assert redact("http://a:80/,postgresql://u:p@db/x") == f"http://a:{HIDDEN}@db/x"
    assert redact("it ends in postgresql://u:p/as") == f"it ends in postgresql://u:{HIDDEN}"
    assert redact("it ends in postgresql://u:12ab") == f"it ends in postgresql://u:{HIDDEN}"
    assert redact("http://a:80/?token=abc&by=me") == f"http://a:80/?token={HIDDEN}&by=me"


@pytest.mark.parametrize(
    "part", ["://", "://a:", ":", "/", "a", "://[::", "://@", "@", "bearer ", "token=", "token "]
)
def test_hostile_text_is_read_in_linear_time(part: str) -> None:
    text = part * (1_000_000 // len(part))
    began = time.process_time()
    redact(text)
    redact(f"://{text}")
    redact(f"://a:{text}")
    assert time.process_time() - began < 5
