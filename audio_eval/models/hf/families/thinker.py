"""Thinker: the part of Qwen2.5-Omni and Qwen3-Omni that hears and answers, which a checkpoint holds with others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from audio_eval.models.hf.families.base import Family


class Thinker(Family):
    """A thinker's class of transformers. Before 5.21 its towers are beside ``model``, which is the language model."""

    never_trained = r"(^|\.)visual\."

    def config(self, raw: Any) -> Any:
        """The thinker's part of a full configuration."""
        return getattr(raw, "thinker_config", raw)

    def load(self, folder: Path, config: Any, dtype: torch.dtype) -> tuple[Any, list[str]]:
        """The model with its parts where transformers has them from 5.21 on, so that adapters have the same names."""
        model, missing = super().load(folder, config, dtype)
        if not hasattr(model.model, "language_model"):
            _put_below(model)
        return model, missing


class _Parts(nn.Module):
    """What an older thinker has as ``model`` afterwards: towers and language model, to its forward the latter alone."""

    def __init__(self, audio_tower: nn.Module, visual: nn.Module, language_model: Any) -> None:
        super().__init__()
        self.audio_tower, self.visual, self.language_model = audio_tower, visual, language_model
        self.get_input_embeddings = language_model.get_input_embeddings

    def forward(self, **inputs: Any) -> Any:
        return self.language_model(**inputs)


def _put_below(model: Any) -> None:
    """Move the towers below ``model``; its own forward still finds them as attributes, which are no children."""
    towers = {name: model._modules.pop(name) for name in ("audio_tower", "visual")}
    model.model = _Parts(**towers, language_model=model.model)
    for name, tower in towers.items():
        object.__setattr__(model, name, tower)
