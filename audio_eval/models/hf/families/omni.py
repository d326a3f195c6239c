"""Qwen2.5-Omni: the thinker alone, from the full checkpoint or from one that holds only the thinker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from audio_eval.models.hf.families.thinker import Thinker


class Omni(Thinker):
    """``Qwen2_5OmniThinkerForConditionalGeneration``; talker, token2wav and spk_dict.pt are never read."""

    name = "Qwen2.5-Omni"
    model_types = ("qwen2_5_omni", "qwen2_5_omni_thinker")
    max_seconds = 300.0

    def model_class(self) -> Any:
        """The thinker's class."""
        from transformers import Qwen2_5OmniThinkerForConditionalGeneration

        return Qwen2_5OmniThinkerForConditionalGeneration

    def encode(self, model: Any, mels: Sequence[np.ndarray], frames: Sequence[int]) -> list[torch.Tensor]:
        """The tower takes all clips laid end to end, without padding."""
        [tower] = self.audio_modules(model)
        device = tower.conv1.weight.device
        flat = torch.from_numpy(np.concatenate(mels, axis=1)).to(device)
        lens = torch.tensor(frames, device=device)
        after_cnn, tokens = tower._get_feat_extract_output_lengths(lens)
        out = tower(flat, feature_lens=lens, aftercnn_lens=after_cnn).last_hidden_state
        return list(out.split(tokens.tolist()))
