"""Gemma 4 without its vision part: E2B and E4B hear through a conformer, 12B hears samples, the others do not hear."""

from __future__ import annotations

from typing import Any

import torch

from audio_eval.audio import MAX_SECONDS
from audio_eval.errors import UserError
from audio_eval.models.hf.families.gemma import Gemma


class Gemma4(Gemma):
    """``Gemma4ForConditionalGeneration``: 25 tokens per second."""

    name = "Gemma 4"
    model_types = ("gemma4",)
    audio_token = "<|audio|>"
    clip_text = "<|audio><|audio|><audio|>"
    unused = ("vision_tower", "embed_vision")

    def model_class(self) -> Any:
        """The whole model's class."""
        from transformers import Gemma4ForConditionalGeneration

        return Gemma4ForConditionalGeneration

    def config(self, raw: Any) -> Any:
        """The checkpoint's without the vision tower."""
        if raw.audio_config is None:
            raise UserError(f"'{raw.name_or_path}' is a Gemma 4 that does not hear: E2B, E4B and 12B do.")
        raw.vision_config = None
        return raw

    def embeddings(self, model: Any) -> Any:
        """The embedding of token ids; a placeholder that no clip stands in for is padding."""
        return lambda ids: model.get_input_embeddings()(_text_ids(model.config, ids))

    def language_inputs(self, model: Any, ids_RL: torch.Tensor) -> dict[str, torch.Tensor]:
        """The inputs by layer; the placeholders have those of padding."""
        ids_RL = _text_ids(model.config, ids_RL)
        return {"per_layer_inputs": self.language_model(model).get_per_layer_inputs(ids_RL, None)}

    def frames_of(self, extractor: Any, samples: int) -> int:
        """Frames that end within the samples, the first of them centred on the first sample."""
        return (samples + extractor.frame_length // 2 - extractor.frame_length - 1) // extractor.hop_length + 1

    def audio_tokens(self, model: Any, frames: int) -> int:
        """Every fourth frame: two convolutions of stride 2."""
        return -(-frames // 4)

    def embed(self, model: Any, features_1FM: torch.Tensor) -> torch.Tensor:
        """Through the conformer, or for 12B through the projection alone; no frame is padding."""
        heard = torch.ones_like(features_1FM[..., 0], dtype=torch.bool)
        return model.model.get_audio_features(features_1FM, heard).pooler_output[0]


class Gemma4Unified(Gemma4):
    """``Gemma4UnifiedForConditionalGeneration``: 640 samples are a token, without a tower."""

    name = "Gemma 4 12B"
    model_types = ("gemma4_unified",)
    max_seconds = float(MAX_SECONDS)  # its processor cuts nothing

    def model_class(self) -> Any:
        """The whole model's class."""
        from transformers import Gemma4UnifiedForConditionalGeneration

        return Gemma4UnifiedForConditionalGeneration

    def audio_modules(self, model: Any) -> tuple[Any, ...]:
        """The projection to the language model's width."""
        return (model.model.embed_audio,)

    def language_inputs(self, model: Any, ids_RL: torch.Tensor) -> dict[str, torch.Tensor]:
        """Nothing: there are no inputs by layer."""
        return {}

    def frames_of(self, extractor: Any, samples: int) -> int:
        """Frames of 640 samples, the last one filled up."""
        return -(-samples // extractor.audio_samples_per_token)

    def audio_tokens(self, model: Any, frames: int) -> int:
        """Every frame."""
        return frames


def _text_ids(config: Any, ids: torch.Tensor) -> torch.Tensor:
    named = [config.image_token_id, config.video_token_id, config.audio_token_id]
    return ids.masked_fill(torch.isin(ids, torch.tensor(named, device=ids.device)), config.text_config.pad_token_id)
