"""Every family's case, in the order of docs/models.md."""

from __future__ import annotations

from tests.models.families.case import Case
from tests.models.families.granite_speech import GRANITE_SPEECH, GRANITE_SPEECH_PLUS
from tests.models.families.phi4_multimodal import PHI4_MULTIMODAL
from tests.models.families.qwen import OMNI, QWEN2_AUDIO
from tests.models.families.voxtral import VOXTRAL

CASES: tuple[Case, ...] = (
    OMNI,
    QWEN2_AUDIO,
    VOXTRAL,
    PHI4_MULTIMODAL,
    GRANITE_SPEECH,
    GRANITE_SPEECH_PLUS,
)
