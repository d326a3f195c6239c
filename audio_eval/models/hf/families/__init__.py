"""Model families: what differs between checkpoints, one file each. Nothing outside this folder names one."""

from __future__ import annotations

from pathlib import Path

import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from audio_eval.errors import UserError
from audio_eval.models.hf.families.audio_flamingo import AudioFlamingo3, MusicFlamingo
from audio_eval.models.hf.families.base import Family
from audio_eval.models.hf.families.gemma3n import Gemma3n
from audio_eval.models.hf.families.gemma4 import Gemma4, Gemma4Unified
from audio_eval.models.hf.families.generic import Generic, is_multimodal
from audio_eval.models.hf.families.glm_asr import GlmAsr
from audio_eval.models.hf.families.granite_speech import GraniteSpeech, GraniteSpeechPlus
from audio_eval.models.hf.families.omni import Omni
from audio_eval.models.hf.families.phi4_multimodal import Phi4Multimodal
from audio_eval.models.hf.families.qwen2_audio import Qwen2Audio
from audio_eval.models.hf.families.qwen3_omni import Qwen3Omni
from audio_eval.models.hf.families.voxtral import Voxtral
from audio_eval.models.hf.versions import UPGRADE

FAMILIES: tuple[Family, ...] = (
    Omni(),
    Qwen2Audio(),
    Qwen3Omni(),
    AudioFlamingo3(),
    MusicFlamingo(),
    Voxtral(),
    Phi4Multimodal(),
    GraniteSpeech(),
    GraniteSpeechPlus(),
    Gemma3n(),
    Gemma4(),
    Gemma4Unified(),
    GlmAsr(),
)


def family_of(model_type: str, where: str, folder: Path | None = None) -> Family:
    """The family that reads checkpoints of ``model_type``; ``where`` is the checkpoint's name, for the error.

    One that no file here knows is ``Generic``, if the checkpoint is in ``folder`` and fits.
    """
    holds, known = f"{where} holds a model of type '{model_type}'", model_type in CONFIG_MAPPING
    for family in FAMILIES:
        if model_type in family.elsewhere:
            raise UserError(f"{holds}: {family.elsewhere[model_type]}.")
        if model_type in family.model_types:
            if not known:
                raise UserError(f"{holds}, which transformers {transformers.__version__} does not know: {UPGRADE}.")
            return family
    if folder is not None and is_multimodal(model_type):
        return Generic(model_type, folder, where)
    types = ", ".join(t for family in FAMILIES for t in family.model_types)
    newer = "" if known else f" transformers {transformers.__version__} does not know it; a newer one may: {UPGRADE}."
    raise UserError(f"{holds}, which is not supported. Supported: {types}.{newer}")
