"""Family: what the engine must know of a model class; the defaults are transformers' usual layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from transformers import WhisperFeatureExtractor

Part = Literal["language", "audio", "other"]


class Family:
    """One model class and how audio enters it. ``model`` below is an instance of ``model_class()``."""

    model_types: tuple[str, ...]  # of config.json
    audio_token: str  # the placeholder that the chat template writes once per clip
    chat_template: str | None = None  # for a checkpoint that brings none
    max_seconds: float  # the window: longer audio is cut, flagged and counted
    tail: int = 0  # mel frames after a clip's end that ``encode`` needs
    # every linear layer of the language model gets a LoRA adapter
    lora_targets = r".*language_model\.layers\.\d+\.(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj"
    audio_modules: tuple[str, ...] = ("audio_tower", "multi_modal_projector")  # of ``model.model``, where it has them

    def model_class(self) -> Any:
        """The transformers class."""
        raise NotImplementedError

    def config(self, raw: Any) -> Any:
        """The configuration of ``model_class`` inside the checkpoint's; by default all of it."""
        return raw

    def extractor(self, folder: Path) -> Any:
        """What computes log-mel features, made from the checkpoint's files."""
        return WhisperFeatureExtractor.from_pretrained(folder)

    def language_model(self, model: Any) -> Any:
        """The decoder: input embeddings to hidden states."""
        return model.model.language_model

    def head(self, model: Any) -> Any:
        """The linear layer from hidden states to logits; its weight is (vocabulary, hidden)."""
        return model.lm_head

    def audio_weights(self, model: Any) -> list[torch.nn.Parameter]:
        """The weights that turn features into embeddings."""
        modules = (getattr(model.model, name, None) for name in self.audio_modules)
        return [weight for module in modules if module is not None for weight in module.parameters()]

    def part(self, name: str) -> Part:
        """What a parameter belongs to, by its name; "other" is never trained."""
        if ".language_model." in name or name.startswith("lm_head"):
            return "language"
        return "audio" if any(f"{module}." in name for module in self.audio_modules) else "other"

    def audio_tokens(self, model: Any, frames: int) -> int:
        """Tokens that a clip of so many mel frames takes."""
        _, tokens = model.model.audio_tower._get_feat_extract_output_lengths(torch.tensor([frames]))
        return int(tokens)

    def encode(self, model: Any, mels: Sequence[np.ndarray], frames: Sequence[int]) -> list[torch.Tensor]:
        """Audio embeddings (tokens, hidden) of each clip's features (mels, frames and ``tail``)."""
        raise NotImplementedError

    def vllm_name(self, name: str) -> str:
        """A parameter's peft name under the name that vLLM looks for (``language_model.model.layers``)."""
        return name.replace("model.language_model.", "language_model.model.")
