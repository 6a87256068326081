"""`omoi init`: a policy file to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from omoi_os.cli.exits import Exit
from omoi_os.cli.show import visible
from omoi_os.errors import InvalidInput
from omoi_os.services.policies import POLICY_FILE

TEMPLATE: Final = Path(__file__).resolve().parent.parent / "schemas" / POLICY_FILE


def init(path: Path = Path(POLICY_FILE), /) -> int:
    """Write a commented policy file that says what is built in.

    Parameters
    ----------
    path
        Where to write it; nothing is ever overwritten.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE.read_text(encoding="utf-8"))
    except FileExistsError:
        raise InvalidInput(
            f"{path} is there already, and nothing is overwritten; name another file"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no path"
        raise InvalidInput(f"{path} cannot be written ({reason}); name another file") from None
    print(f"{visible(str(path))} is written; change it, and run `omoi policy check {visible(str(path))}`")
    return Exit.PASSED
