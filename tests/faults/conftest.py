from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.fleet import Fleet, Zygote, fleet_at

SCALE = "OMOI_FAULTS_SCALE"
"""What CI does is multiplied by this; 50 is a night's run."""


@pytest.fixture(scope="session")
def scale() -> float:
    return float(os.environ.get(SCALE, "1"))


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    zygote = Zygote()
    yield zygote
    zygote.close()


@pytest.fixture
def fleet(zygote: Zygote, tmp_path: Path) -> Iterator[Fleet]:
    with fleet_at(zygote, tmp_path) as fleet:
        yield fleet
