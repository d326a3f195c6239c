"""Qwen2-Audio: a Whisper-style tower with a window of 30 s, and a projector before the language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

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
        """Every clip is padded to the tower's window, and the padding is masked in the attention.

        The convolutions look past the clip's end, so the padding is not zeros but the extractor's features of silence:
        the last frame of the tail.
        """
        tower, projector = self.audio_modules(model)
        device, dtype = tower.conv1.weight.device, tower.conv1.weight.dtype
        window = tower.config.max_source_positions * tower.conv1.stride[0] * tower.conv2.stride[0]
        lens = torch.tensor(frames, device=device)
        batch = np.stack([np.pad(mel, ((0, 0), (0, window - mel.shape[1])), mode="edge") for mel in mels])
        after_cnn, tokens = tower._get_feat_extract_output_lengths(lens)
        positions = tower.config.max_source_positions
        visible = torch.arange(positions, device=device)[None, :] < after_cnn[:, None]
        # (clips, 1, query, key): no query sees a key past the clip's end
        mask = visible[:, None, None, :].expand(-1, 1, positions, -1)
        bias = torch.zeros(mask.shape, device=device, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)
        out = tower(torch.from_numpy(batch).to(device), attention_mask=bias).last_hidden_state
        embeds = projector(out)
        return [embeds[i, :n] for i, n in enumerate(tokens.tolist())]
