"""A vision tower without weights, in the place of one that transformers builds with timm."""

from __future__ import annotations

from transformers import AutoModel, PreTrainedModel
from transformers.models.gemma3n.configuration_gemma3n import Gemma3nVisionConfig


class NoVisionConfig(Gemma3nVisionConfig):
    """Gemma 3n's vision configuration, whose width and vocabulary the embedding of image tokens needs."""

    model_type = "no_vision"


class NoVision(PreTrainedModel):
    """Nothing: no question has an image."""

    config_class = NoVisionConfig


AutoModel.register(NoVisionConfig, NoVision)
