"""What Gemma 3n and Gemma 4 have in common: capped logits, embeddings by layer and a feature extractor of their own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoFeatureExtractor

from audio_eval.audio import RATE, AudioError, AudioRef
from audio_eval.models.hf.families.base import Family
from audio_eval.models.hf.features import MIN_SAMPLES, Features


@dataclass(frozen=True)
class CappedHead:
    """A head whose logits are kept within (-cap, cap): cap * tanh(logits / cap)."""

    linear: Any
    cap: float

    @property
    def weight(self) -> torch.Tensor:
        """The linear layer's."""
        return self.linear.weight

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits (.., vocabulary) of hidden states (.., hidden)."""
        return torch.tanh(self.linear(hidden) / self.cap) * self.cap


class Gemma(Family):
    """A decoder with sliding windows, keys shared between layers and inputs by layer that are looked up by token id."""

    max_seconds = 30.0
    engine = "plain"
    never_trained = r"(^|\.)(vision_tower|embed_vision)\."

    def head(self, model: Any) -> Any:
        """The linear layer, capped as the configuration says."""
        cap = model.config.get_text_config().final_logit_softcapping
        return model.lm_head if cap is None else CappedHead(model.lm_head, cap)

    def audio_modules(self, model: Any) -> tuple[Any, ...]:
        """The tower, and the projection to the language model's width."""
        return model.model.audio_tower, model.model.embed_audio

    def extractor(self, folder: Path) -> Any:
        """The checkpoint's own."""
        return AutoFeatureExtractor.from_pretrained(folder)

    def features(self, extractor: Any, audio: AudioRef) -> Features:
        """Decode a clip and compute its features (frames, mels), those of the extractor that hear nothing but it."""
        wave = audio.load(RATE)
        clip = wave[: int(self.max_seconds * RATE)]
        heard = extractor([np.pad(clip, (0, max(0, MIN_SAMPLES - len(clip))))], return_tensors="np")
        features = heard["input_features"][0][heard["input_features_mask"][0]]
        return Features(features, len(features), len(wave) / RATE, len(wave) > len(clip))

    def frames(self, extractor: Any, audio: AudioRef) -> int:
        """How many feature frames a clip has, found without decoding it; 0 where it cannot be read."""
        try:
            samples = audio.length(RATE)
        except AudioError:
            return 0  # decoding will report what is wrong
        return self.frames_of(extractor, max(min(samples, int(self.max_seconds * RATE)), MIN_SAMPLES))

    @abstractmethod
    def frames_of(self, extractor: Any, samples: int) -> int:
        """The number of feature frames of so many samples."""

    def encode(self, model: Any, mels: Sequence[np.ndarray], frames: Sequence[int]) -> list[torch.Tensor]:
        """Clip by clip, so that there is no padding."""
        return [self.hear(model, torch.from_numpy(mel)[None].to(model.device)) for mel in mels]

    @abstractmethod
    def hear(self, model: Any, features_1FM: torch.Tensor) -> torch.Tensor:
        """Audio embeddings (tokens, hidden) of a clip's features (1, frames, mels)."""
