"""Thinker: the part of Qwen2.5-Omni and Qwen3-Omni that hears and answers, which a checkpoint holds with others."""

from __future__ import annotations

from typing import Any

from torch import nn

from audio_eval.models.hf.families.base import Family


class Thinker(Family):
    """A thinker's class of transformers. Before 5.21 its tower is beside ``model``, which is the language model."""

    unused = ("visual",)

    def config(self, raw: Any) -> Any:
        """The thinker's part of a full configuration."""
        return getattr(raw, "thinker_config", raw)

    def rearrange(self, model: Any) -> None:
        """Put the tower below ``model``, so that adapters have the same names whatever the version."""
        if not hasattr(model.model, "language_model"):
            _put_below(model)


class _Parts(nn.Module):
    """What an older thinker has as ``model`` afterwards: tower and language model, to its forward the latter alone."""

    def __init__(self, audio_tower: nn.Module, language_model: Any) -> None:
        super().__init__()
        self.audio_tower, self.language_model = audio_tower, language_model
        self.get_input_embeddings = language_model.get_input_embeddings

    def forward(self, **inputs: Any) -> Any:
        return self.language_model(**inputs)


def _put_below(model: Any) -> None:
    """Move the tower below ``model``; its own forward still finds it as an attribute, which is no child."""
    tower = model._modules.pop("audio_tower")
    model.model = _Parts(tower, language_model=model.model)
    object.__setattr__(model, "audio_tower", tower)
