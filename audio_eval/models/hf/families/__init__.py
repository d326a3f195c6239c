"""Model families: what differs between checkpoints, one file for each."""

from __future__ import annotations

from audio_eval.errors import UserError
from audio_eval.models.hf.families.base import Family
from audio_eval.models.hf.families.omni import Omni
from audio_eval.models.hf.families.qwen2_audio import Qwen2Audio

__all__ = ["FAMILIES", "Family", "family_of"]

FAMILIES: tuple[Family, ...] = (Omni(), Qwen2Audio())


def family_of(model_type: str, where: str) -> Family:
    """The family that reads checkpoints of ``model_type``; ``UserError`` where none does."""
    for family in FAMILIES:
        if model_type in family.model_types:
            return family
    known = ", ".join(t for family in FAMILIES for t in family.model_types)
    raise UserError(f"{where} holds a model of type '{model_type}', which no family here reads. Readable: {known}.")
