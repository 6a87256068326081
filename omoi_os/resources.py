"""Where the files beside the code are: in the checkout, or bundled in an installed wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent


def resource(name: str) -> Path:
    """The file or folder `name` ("migrations", "prompts", "alembic.ini").

    A checkout wins over the bundled copy: an editable install has both, and only the former is edited.

    Raises:
        FileNotFoundError: The installation is incomplete.
    """
    checkout = _PACKAGE.parent
    for root in (checkout, _PACKAGE / "_bundled"):
        if root == checkout and not (checkout / "pyproject.toml").is_file():
            continue
        if (path := root / name).exists():
            return path
    raise FileNotFoundError(f"{name} is missing from this installation of omoi-os; install it again")
