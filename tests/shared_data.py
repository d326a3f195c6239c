"""Where the shared data (official metadata, scoring vectors, stand-in recordings) is; tests skip without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def shared_path(relative: str) -> Path:
    """``relative`` below $AUDIO_EVAL_SHARED, or below ../shared beside the repository; skips the test where absent."""
    folder = Path(os.environ.get("AUDIO_EVAL_SHARED") or ROOT.parent / "shared")
    if not (folder / relative).exists():
        pytest.skip(f"no {relative} in {folder} (set AUDIO_EVAL_SHARED to the folder of the shared data)")
    return folder / relative
