"""Qwen3-Omni, Instruct and Thinking: the thinker alone, a mixture of experts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from audio_eval.audio import MAX_SECONDS, AudioRef
from audio_eval.models.hf.families.thinker import Thinker
from audio_eval.models.hf.features import Features

CHUNK = 100  # frames of a second, which the tower's convolutions see by themselves


class Qwen3Omni(Thinker):
    """``Qwen3OmniMoeThinkerForConditionalGeneration``; talker and code2wav are never read.

    LoRA adapts the attention: the experts' weights are no linear layers. The processor cuts nothing; what bounds a
    recording is the harness's own limit.
    """

    name = "Qwen3-Omni"
    model_types = ("qwen3_omni_moe", "qwen3_omni_moe_thinker")
    max_seconds = float(MAX_SECONDS)
    audio_token = "<|audio_pad|>"
    lora_excludes = r".*\.audio_tower\..*"
    layer_masks = False

    def model_class(self) -> Any:
        """The thinker's class."""
        from transformers import Qwen3OmniMoeThinkerForConditionalGeneration

        return Qwen3OmniMoeThinkerForConditionalGeneration

    def features(self, extractor: Any, audio: AudioRef) -> Features:
        """Those of the clip as it is: the processor pads no single clip, so its last frame mirrors the clip's end.

        Of several clips it would pad the shorter ones to the longest; here each has the features that it has alone.
        """
        heard, rate = self.hear(extractor, audio), extractor.sampling_rate
        mel = extractor(heard.clip, sampling_rate=rate, padding=True, truncation=False, return_tensors="np")
        frames = self.frames_of(extractor, len(heard.clip))
        return heard.features(mel["input_features"][0][:, :frames], frames)

    def frames_of(self, extractor: Any, samples: int) -> int:
        """Whole hops of the clip."""
        return samples // extractor.hop_length

    def audio_tokens(self, model: Any, frames: int) -> int:
        """13 for each second, and an eighth of the frames of the rest, rounded up."""
        whole, rest = divmod(frames, CHUNK)
        return 13 * whole + -(-rest // 8)

    def encode(self, model: Any, mels: Sequence[np.ndarray], frames: Sequence[int]) -> list[torch.Tensor]:
        """Clips one by one: the tower pads their seconds to the longest of a batch, and the last bits would differ."""
        [tower] = self.audio_modules(model)
        device = tower.conv_out.weight.device
        found = []
        for mel, n in zip(mels, frames, strict=True):
            flat, lens = torch.from_numpy(mel).to(device), torch.tensor([n], device=device)
            found.append(tower(flat, feature_lens=lens).last_hidden_state)
        return found
