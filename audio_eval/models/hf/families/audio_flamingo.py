"""Audio Flamingo 3 and Music Flamingo: a Whisper-style tower over windows of 30 s, and Qwen2 behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from audio_eval.audio import AudioRef
from audio_eval.models.hf.families.base import Family
from audio_eval.models.hf.features import Features, in_windows, windowed_log_mel


class AudioFlamingo3(Family):
    """``AudioFlamingo3ForConditionalGeneration``. Its chat template writes one placeholder for any number of clips."""

    name = "Audio Flamingo 3"
    model_types = ("audioflamingo3",)
    max_seconds = 600.0
    max_clips = 1
    tail = 3
    audio_token = "<sound>"

    def model_class(self) -> Any:
        """The whole model's class."""
        from transformers import AudioFlamingo3ForConditionalGeneration

        return AudioFlamingo3ForConditionalGeneration

    def audio_modules(self, model: Any) -> tuple[Any, ...]:
        """The tower, and the projector to the language model's width."""
        return model.model.audio_tower, model.model.multi_modal_projector

    def features(self, extractor: Any, audio: AudioRef) -> Features:
        """Each window has features of its own, as the processor makes them."""
        heard = self.hear(extractor, audio)
        mel = windowed_log_mel(extractor, heard.clip, self.tail)
        return heard.features(mel, self.frames_of(extractor, len(heard.clip)))

    def encode(self, model: Any, mels: Sequence[np.ndarray], frames: Sequence[int]) -> list[torch.Tensor]:
        """The windows of a clip are a batch; the last is filled with the extractor's features of silence."""
        return [self._encode(model, mel, n) for mel, n in zip(mels, frames, strict=True)]

    def _encode(self, model: Any, mel: np.ndarray, frames: int) -> torch.Tensor:
        tower = self.audio_modules(model)[0]
        device = tower.conv1.weight.device
        window = tower.config.max_source_positions * tower.conv1.stride[0] * tower.conv2.stride[0]
        windows_WMF, heard_WF = (torch.from_numpy(made).to(device) for made in in_windows(mel, frames, window))
        return self._embed(model, windows_WMF, heard_WF, self.audio_tokens(model, frames))

    def _embed(self, model: Any, windows_WMF: torch.Tensor, heard_WF: torch.Tensor, tokens: int) -> torch.Tensor:
        return model.get_audio_features(windows_WMF, heard_WF).pooler_output


class MusicFlamingo(AudioFlamingo3):
    """``MusicFlamingoForConditionalGeneration``: the same with rotary embeddings of time, and a longer window."""

    name = "Music Flamingo"
    model_types = ("musicflamingo",)
    max_seconds = 1200.0
    clip_text = "<|sound_bos|><sound><|sound_eos|>"

    def model_class(self) -> Any:
        """The whole model's class."""
        from transformers import MusicFlamingoForConditionalGeneration

        return MusicFlamingoForConditionalGeneration

    def _embed(self, model: Any, windows_WMF: torch.Tensor, heard_WF: torch.Tensor, tokens: int) -> torch.Tensor:
        """The model counts a clip's windows by its placeholders in the prompt: here a prompt of nothing else."""
        ids = torch.full((1, tokens), model.config.audio_token_id, device=windows_WMF.device)
        return model.get_audio_features(windows_WMF, heard_WF, input_ids=ids).pooler_output
