from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.leaderboard.runs import make_run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """direct (50 %, 20 % unparsable) and two seeds of aqa_ttrl (70 % and 60 %)."""
    make_run(tmp_path / "direct", "rrrrrwwwuu")
    common: dict[str, Any] = {"method": "aqa_ttrl", "tags": ["transductive"], "samples": 12800}
    make_run(tmp_path / "ttrl" / "s0", "rrrrrwwwrr", adapter_sha256="f" * 64, **common)
    official = {"rule": "mmsu", "accuracy": 66.7, "n": 9}
    make_run(tmp_path / "ttrl" / "s1", "rrrrrrwwwu", seed=1, adapter_sha256="e" * 64, official=official, **common)
    return tmp_path
