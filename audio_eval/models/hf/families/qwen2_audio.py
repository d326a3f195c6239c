"""Qwen2-Audio: a Whisper-style tower with a window of 30 s, and a projector before the language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from audio_eval.models.hf.families.base import Family

# Qwen2AudioProcessor's own default, for a repository without a template
CHAT_TEMPLATE = (
    "{% set heard = namespace(n=0) %}{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'audio' %}{% set heard.n = heard.n + 1 %}"
    "Audio {{ heard.n }}: <|audio_bos|><|AUDIO|><|audio_eos|>\n{% elif part['type'] == 'text' %}{{ part['text'] }}"
    "{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Qwen2Audio(Family):
    """``Qwen2AudioForConditionalGeneration``."""

    name = "Qwen2-Audio"
    model_types = ("qwen2_audio",)
    chat_template = CHAT_TEMPLATE
    max_seconds = 30.0
    tail = 3

    def model_class(self) -> Any:
        """The whole model's class."""
        from transformers import Qwen2AudioForConditionalGeneration

        return Qwen2AudioForConditionalGeneration

    def audio_modules(self, model: Any) -> tuple[Any, ...]:
        """The tower, and the projector to the language model's width."""
        return model.model.audio_tower, model.model.multi_modal_projector

    def encode(self, model: Any, mels: Sequence[np.ndarray], frames: Sequence[int]) -> list[torch.Tensor]:
        """Every clip by itself and at its own length, where the model's forward pads it to the tower's 30 s.

        What comes out is the same: the attention sees no position behind the clip's end. Only the convolutions look
        past it, at features of silence, which are the frames of the tail.
        """
        return [self._encode(model, mel, count) for mel, count in zip(mels, frames, strict=True)]

    def _encode(self, model: Any, mel: np.ndarray, frames: int) -> torch.Tensor:
        tower, projector = self.audio_modules(model)
        positions, tokens = (int(n) for n in tower._get_feat_extract_output_lengths(torch.tensor(frames)))
        heard = torch.from_numpy(mel[None]).to(tower.conv1.weight.device, tower.conv1.weight.dtype)
        hidden = F.gelu(tower.conv2(F.gelu(tower.conv1(heard)))).transpose(1, 2)[:, :positions]
        hidden = hidden + tower.embed_positions.weight[:positions]
        for layer in tower.layers:
            hidden = layer(hidden, None)
        pooled = tower.avg_pooler(hidden.transpose(1, 2)).transpose(1, 2)
        return projector(tower.layer_norm(pooled))[0, :tokens]
