"""Gemma 3n without its vision tower, which needs timm and with it torchvision."""

from __future__ import annotations

from typing import Any

import torch

from audio_eval.models.hf.families.gemma import Gemma


class Gemma3n(Gemma):
    """``Gemma3nForConditionalGeneration``: each clip takes 188 tokens, whatever its length."""

    name = "Gemma 3n"
    model_types = ("gemma3n",)
    audio_token = "<audio_soft_token>"
    clip_text = "\n\n<start_of_audio><audio_soft_token><end_of_audio>\n\n"

    def model_class(self) -> Any:
        """The whole model's class."""
        from transformers import Gemma3nForConditionalGeneration

        return Gemma3nForConditionalGeneration

    def config(self, raw: Any) -> Any:
        """The checkpoint's, with a vision tower that has no weights."""
        from audio_eval.models.hf.families.no_vision import NoVisionConfig

        raw.vision_config = NoVisionConfig(**raw.vision_config.to_dict())
        return raw

    def embeddings(self, model: Any) -> Any:
        """The embedding of token ids: those past the text's vocabulary have a table and a projection of their own."""
        parts = model.model

        def embed(ids: torch.Tensor) -> torch.Tensor:
            embeds = parts.get_input_embeddings()(ids)
            for own in (parts.embed_vision, parts.embed_audio):
                inside = (ids >= own.vocab_offset) & (ids < own.vocab_offset + own.vocab_size)
                if inside.any():
                    embeds = embeds.masked_scatter(inside[..., None], own(input_ids=ids[inside]).to(embeds.dtype))
            return embeds

        return embed

    def language_inputs(self, model: Any, ids_RL: torch.Tensor) -> dict[str, torch.Tensor]:
        """The inputs by layer; ids past the text's vocabulary have the first row's."""
        decoder = self.language_model(model)
        ids_RL = ids_RL.masked_fill(ids_RL >= decoder.config.vocab_size_per_layer_input, 0)
        return {"per_layer_inputs": decoder.get_per_layer_inputs(ids_RL)}

    def frames_of(self, extractor: Any, samples: int) -> int:
        """Whole frames of the samples, which the extractor pads to a multiple of 128."""
        padded = -(-samples // 128) * 128
        return (padded - extractor.frame_length - 1) // extractor.hop_length + 1

    def audio_tokens(self, model: Any, frames: int) -> int:
        """The same for every clip."""
        return int(model.config.audio_soft_tokens_per_image)

    def embed(self, model: Any, features_1FM: torch.Tensor) -> torch.Tensor:
        """What the clip does not fill has the embedding of the last id of the audio vocabulary."""
        parts = model.model
        padding = torch.zeros_like(features_1FM[..., 0], dtype=torch.bool)
        heard = parts.get_audio_features(features_1FM, padding).pooler_output[0]
        last = parts.embed_audio(input_ids=torch.tensor([parts.vocab_size - 1], device=heard.device))
        empty = last.expand(model.config.audio_soft_tokens_per_image - len(heard), -1)
        return torch.cat([heard, empty.to(heard.dtype)])
