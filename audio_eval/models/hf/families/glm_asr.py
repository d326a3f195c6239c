"""GLM-ASR: a Whisper-style tower that hears windows of 30 s, and a Llama decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from audio_eval.audio import AudioRef
from audio_eval.models.hf.families.base import Family
from audio_eval.models.hf.features import Features, in_windows, windowed_log_mel

MERGED = 4  # outputs of the tower that make one token


class GlmAsr(Family):
    """``GlmAsrForConditionalGeneration``: trained to transcribe, with a free text prompt; one clip per question."""

    name = "GLM-ASR"
    model_types = ("glmasr",)
    max_seconds = 630.0  # the processor cuts at 655 s, in whole windows
    max_clips = 1
    tail = 3
    audio_token = "<|pad|>"
    layer_masks = False

    def model_class(self) -> Any:
        """The whole model's class."""
        from transformers import GlmAsrForConditionalGeneration

        return GlmAsrForConditionalGeneration

    def audio_modules(self, model: Any) -> tuple[Any, ...]:
        """The tower, and the projector to the language model's width."""
        return model.model.audio_tower, model.model.multi_modal_projector

    def features(self, extractor: Any, audio: AudioRef) -> Features:
        """Decode a clip and compute the features of each window, whose loudest frame sets a floor for it alone."""
        heard = self.hear(extractor, audio)
        mel = windowed_log_mel(extractor, heard.clip, self.tail)
        return heard.features(mel, self.frames_of(extractor, len(heard.clip)))

    def audio_tokens(self, model: Any, frames: int) -> int:
        """12.5 per second."""
        return -(-frames // 2) // MERGED

    def encode(self, model: Any, mels: Sequence[np.ndarray], frames: Sequence[int]) -> list[torch.Tensor]:
        """The tower sees each window whole, and its padding like the recording."""
        tower, _ = self.audio_modules(model)
        window = tower.config.max_position_embeddings * tower.conv1.stride[0] * tower.conv2.stride[0]
        device, dtype = tower.conv1.weight.device, tower.conv1.weight.dtype
        encoded = []
        for mel, length in zip(mels, frames, strict=True):
            batch, heard = (torch.from_numpy(made).to(device) for made in in_windows(mel, length, window))
            encoded.append(model.model.get_audio_features(batch.to(dtype), heard.long()).pooler_output)
        return encoded
