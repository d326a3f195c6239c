"""Every family's case, in the order of docs/models.md."""

from __future__ import annotations

from tests.models.families.case import Case
from tests.models.families.qwen import OMNI, QWEN2_AUDIO

CASES: tuple[Case, ...] = (
    OMNI,
    QWEN2_AUDIO,
)
