"""Phi-4-multimodal: a conformer, and a Phi-4-mini that hears through a LoRA adapter of its own, speech-lora."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from transformers import Phi4MultimodalFeatureExtractor

from audio_eval.audio import AudioRef
from audio_eval.models.hf.families.base import Family
from audio_eval.models.hf.families.own_adapter import merge_own_adapter, without_audio
from audio_eval.models.hf.families.phi4_rope import RowwiseLongRope
from audio_eval.models.hf.features import Features

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{% if message['content'] is string %}"
    "{{ message['content'] }}{% else %}{% for part in message['content'] %}{% if part['type'] == 'audio' %}<|audio|>"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPEECH = "speech-lora"
AUDIO = "model.embed_tokens_extend.audio_embed."


class Phi4Multimodal(Family):
    """``Phi4MultimodalForCausalLM``, in transformers' layout: revision refs/pr/70 of the hub's repository.

    Its makers give 30 minutes as the longest audio (40 s for most tasks).
    """

    name = "Phi-4-multimodal"
    model_types = ("phi4_multimodal",)
    elsewhere = MappingProxyType({
        "phi4mm": "that is its makers' own code, and transformers reads its revision refs/pr/70 "
        "(--model microsoft/Phi-4-multimodal-instruct@refs/pr/70)"
    })  # fmt: skip
    max_seconds = 1800.0
    audio_token = "<|audio|>"
    chat_template = CHAT_TEMPLATE
    lora_targets = r"model\.layers\.\d+\.(self_attn\.(qkv_proj|o_proj)|mlp\.(gate_up_proj|down_proj))"
    layer_masks = False
    unused = ("image_embed", "up_proj_for_vision_speech", "down_proj_for_vision_speech")

    def model_class(self) -> Any:
        """The whole model's class."""
        from transformers import Phi4MultimodalForCausalLM

        return Phi4MultimodalForCausalLM

    def config(self, raw: Any) -> Any:
        """Without the sliding window that is wider than the context and hides nothing."""
        if raw.sliding_window and raw.sliding_window >= raw.max_position_embeddings:
            raw.sliding_window = None
        return raw

    def load(self, folder: Path, config: Any, dtype: torch.dtype) -> tuple[Any, list[str]]:
        """The model with its adapter for speech merged; vision-lora and what it belongs to are for images."""
        model, missing = super().load(folder, config, dtype)
        if not (folder / SPEECH).is_dir():
            raise ValueError(f"{SPEECH} is missing, the adapter through which it hears.")
        merge_own_adapter(model, folder / SPEECH)
        if config.rope_parameters["rope_type"] == "longrope":
            model.model.rotary_emb = RowwiseLongRope(model.model.rotary_emb)
        return model, missing

    def refuses(self, model: Any, clips: int) -> str | None:
        """A question without audio."""
        return super().refuses(model, clips) if clips else without_audio(self.name)

    # --- parts of the model ----------------------------------------------------------------------------------------

    def language_model(self, model: Any) -> Any:
        """The decoder, which also holds the towers; they are not asked when it is given embeddings."""
        return model.model

    def audio_modules(self, model: Any) -> tuple[Any, ...]:
        """The conformer, and the two layers after it that are for audio without an image."""
        audio = model.model.embed_tokens_extend.audio_embed
        return audio.encoder, audio.up_proj_for_speech, audio.down_proj_for_speech

    def is_trained(self, parameter: str, train_tower: bool) -> bool:
        """The decoder is all of ``model`` but the towers. The embedding is the head as well: they are tied."""
        if "embed_tokens_extend." not in parameter:
            return True
        return (
            train_tower and re.match(re.escape(AUDIO) + r"(encoder|(up|down)_proj_for_speech)\.", parameter) is not None
        )

    def vllm_name(self, name: str) -> str:
        """VLLM has the decoder under the same names."""
        return name

    def placeholder(self, config: Any) -> int:
        """It stands in the tower's configuration."""
        return config.audio_config.audio_token_id

    # --- audio -----------------------------------------------------------------------------------------------------

    def extractor(self, folder: Path) -> Any:
        """Log-mel features of 25 ms frames, without padding at the ends."""
        return Phi4MultimodalFeatureExtractor.from_pretrained(folder)

    def features(self, extractor: Any, audio: AudioRef) -> Features:
        """Features (frames, mels) of the recording at its true length."""
        heard, rate = self.hear(extractor, audio), extractor.sampling_rate
        made = extractor(heard.clip, sampling_rate=rate, return_tensors="np")["audio_input_features"][0]
        return heard.features(made, len(made))

    def frames_of(self, extractor: Any, samples: int) -> int:
        """As many as whole frames fit in the recording."""
        return (samples - extractor.win_length) // extractor.hop_length + 1

    def audio_tokens(self, model: Any, frames: int) -> int:
        """One for each eight frames that are begun: 12.5 per second."""
        return -(-frames // self.audio_modules(model)[0].config.time_reduction)

    def encode(self, model: Any, mels: Sequence[np.ndarray], frames: Sequence[int]) -> list[torch.Tensor]:
        """Clip by clip without a mask, as the processor hands over a single recording.

        Of several recordings in a question the processor makes a padded batch with a mask that this class adds to the
        scores as 0 or 1: what it makes of a recording then depends on the others. Here it does not.
        """
        encoder, up, down = self.audio_modules(model)
        heard = [encoder(torch.from_numpy(mel)[None].to(up.weight.device, up.weight.dtype), None)[0] for mel in mels]
        return [down(torch.nn.functional.gelu(up(hidden))) for hidden in heard]
