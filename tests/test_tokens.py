from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = "from omoi_os.utils.tokens import Tokens; print(Tokens().count('Three short words'))"


@pytest.mark.parametrize("folder", ["", "empty", "nowhere"])
def test_a_folder_without_the_vocabulary_sends_nobody_to_the_network(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    cache = str(tmp_path / folder) if folder else ""
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    environment = os.environ | nowhere | {"TIKTOKEN_CACHE_DIR": cache}
    done = subprocess.run(
        [sys.executable, "-c", COUNT], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "3\n"
    assert not list((tmp_path / "empty").iterdir())
