"""Model families: what differs between checkpoints, one file each, behind ``Family``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch

from audio_eval.errors import UserError
from audio_eval.models.hf.families.omni import Omni
from audio_eval.models.hf.families.qwen2_audio import Qwen2Audio


class Family(Protocol):
    """One model class and how audio enters it. ``model`` below is an instance of ``model_class()``."""

    model_types: tuple[str, ...]  # of config.json
    audio_token: str  # the placeholder the chat template writes once a clip
    chat_template: str | None  # for a checkpoint that brings none
    max_seconds: float  # longer audio is cut, flagged and counted
    tail: int  # mel frames after a clip's end that ``encode`` needs

    def model_class(self) -> Any:
        """The transformers class."""
        ...

    def config(self, raw: Any) -> Any:
        """The configuration of ``model_class`` inside the checkpoint's."""
        ...

    def audio_tokens(self, model: Any, frames: int) -> int:
        """Placeholders that a clip of so many mel frames takes."""
        ...

    def encode(self, model: Any, mels: Sequence[np.ndarray], frames: Sequence[int]) -> list[torch.Tensor]:
        """Audio embeddings (tokens, hidden) of each clip's features (mels, frames and ``tail``)."""
        ...

    def vllm_name(self, name: str) -> str:
        """A parameter's peft name under the names vLLM looks for."""
        ...


FAMILIES: tuple[Family, ...] = (Omni(), Qwen2Audio())


def family_of(model_type: str, where: str) -> Family:
    """The family that reads checkpoints of ``model_type``."""
    for family in FAMILIES:
        if model_type in family.model_types:
            return family
    known = ", ".join(t for family in FAMILIES for t in family.model_types)
    raise UserError(f"{where} holds a model of type '{model_type}', which no family here reads. Readable: {known}.")
