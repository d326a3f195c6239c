"""What Gemma 3n and Gemma 4 have in common: capped logits, embeddings by layer and a feature extractor of their own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoFeatureExtractor

from audio_eval.audio import AudioRef
from audio_eval.models.hf.families.base import Family
from audio_eval.models.hf.families.head import Head
from audio_eval.models.hf.features import Features


class Gemma(Family):
    """A decoder with sliding windows, keys shared between layers and inputs by layer that are looked up by token id."""

    max_seconds = 30.0
    engine = "plain"
    never_trained = r"(^|\.)(vision_tower|embed_vision)\."

    def head(self, model: Any) -> Any:
        """The linear layer, capped as the configuration says."""
        cap = model.config.get_text_config().final_logit_softcapping
        return model.lm_head if cap is None else Head(model.lm_head, lambda logits: torch.tanh(logits / cap) * cap)

    def audio_modules(self, model: Any) -> tuple[Any, ...]:
        """The tower, and the projection to the language model's width."""
        return model.model.audio_tower, model.model.embed_audio

    def extractor(self, folder: Path) -> Any:
        """The checkpoint's own."""
        return AutoFeatureExtractor.from_pretrained(folder, trust_remote_code=False)

    def features(self, extractor: Any, audio: AudioRef) -> Features:
        """Decode a clip and compute its features (frames, mels), those of the extractor that hear nothing but it."""
        heard = self.hear(extractor, audio)
        made = extractor([heard.clip], return_tensors="np")
        features = made["input_features"][0][made["input_features_mask"][0]]
        return heard.features(features, len(features))

    def encode(self, model: Any, mels: Sequence[np.ndarray], frames: Sequence[int]) -> list[torch.Tensor]:
        """Clip by clip, so that there is no padding."""
        return [self.embed(model, torch.from_numpy(mel)[None].to(model.device)) for mel in mels]

    @abstractmethod
    def embed(self, model: Any, features_1FM: torch.Tensor) -> torch.Tensor:
        """Audio embeddings (tokens, hidden) of a clip's features (1, frames, mels)."""
