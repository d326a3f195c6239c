"""Every family's case, in the order of docs/models.md."""

from __future__ import annotations

from tests.models.families.case import Case
from tests.models.families.flamingo import AUDIO_FLAMINGO, MUSIC_FLAMINGO
from tests.models.families.gemma3n import GEMMA3N
from tests.models.families.gemma4 import GEMMA4, GEMMA4_UNIFIED
from tests.models.families.glm_asr import GLM_ASR
from tests.models.families.granite_speech import GRANITE_SPEECH, GRANITE_SPEECH_PLUS
from tests.models.families.moss import GENERIC
from tests.models.families.phi4_multimodal import PHI4_MULTIMODAL
from tests.models.families.qwen import OMNI, QWEN2_AUDIO
from tests.models.families.qwen3_omni import INSTRUCT, THINKING
from tests.models.families.voxtral import VOXTRAL

CASES: tuple[Case, ...] = (
    OMNI,
    QWEN2_AUDIO,
    INSTRUCT,
    THINKING,
    AUDIO_FLAMINGO,
    MUSIC_FLAMINGO,
    VOXTRAL,
    PHI4_MULTIMODAL,
    GRANITE_SPEECH,
    GRANITE_SPEECH_PLUS,
    GEMMA3N,
    GEMMA4,
    GEMMA4_UNIFIED,
    GLM_ASR,
    GENERIC,
)
