"""Every family's case, in the order of docs/models.md."""

from __future__ import annotations

from tests.models.families.case import Case
from tests.models.families.flamingo import AUDIO_FLAMINGO, MUSIC_FLAMINGO
from tests.models.families.moss import GENERIC
from tests.models.families.qwen import OMNI, QWEN2_AUDIO
from tests.models.families.qwen3_omni import INSTRUCT, THINKING

CASES: tuple[Case, ...] = (
    OMNI,
    QWEN2_AUDIO,
    INSTRUCT,
    THINKING,
    AUDIO_FLAMINGO,
    MUSIC_FLAMINGO,
    GENERIC,
)
