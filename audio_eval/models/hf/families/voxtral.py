"""Voxtral: Whisper's encoder on chunks of 30 s, four frames to an embedding, and a Llama; Mistral's own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audio_eval.audio import AudioRef
from audio_eval.models.hf.families.base import Family
from audio_eval.models.hf.features import Features, log_mel

# What mistral-common writes for a user turn; its tokenizer has no Jinja template.
CHAT_TEMPLATE = (
    "<s>{% for message in messages %}[INST]{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'audio' %}[BEGIN_AUDIO][AUDIO]"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}[/INST]{% endfor %}"
)
CHUNK_TOKENS = 375  # embeddings of 30 s, silence included


class Voxtral(Family):
    """``VoxtralForConditionalGeneration``. Its makers give 40 minutes as the longest audio, 32k tokens."""

    name = "Voxtral"
    model_types = ("voxtral",)
    max_seconds = 2400.0
    tail = 3
    audio_token = "[AUDIO]"
    chat_template = CHAT_TEMPLATE
    never_trained = r"audio_tower\.embed_positions"  # sinusoids, which the class keeps as they are
    layer_masks = False

    def model_class(self) -> Any:
        """The whole model's class."""
        from transformers import VoxtralForConditionalGeneration

        return VoxtralForConditionalGeneration

    def audio_modules(self, model: Any) -> tuple[Any, ...]:
        """The tower, and the projector that joins four of its frames."""
        return model.model.audio_tower, model.model.multi_modal_projector

    # --- prompt ----------------------------------------------------------------------------------------------------

    def tokenizer(self, folder: Path) -> Any:
        """The hub's tekken.json as a fast tokenizer, which needs no mistral-common; else what the folder has."""
        tekken = folder / "tekken.json"
        if not tekken.is_file():
            return super().tokenizer(folder)
        from transformers.integrations.mistral import convert_tekken_tokenizer

        return convert_tekken_tokenizer(str(tekken), chat_template=CHAT_TEMPLATE)

    # --- audio -----------------------------------------------------------------------------------------------------

    def features(self, extractor: Any, audio: AudioRef) -> Features:
        """Log-mel features (mels, multiple of 3000) of the recording padded with silence to whole chunks.

        The floor of the features is that of the whole recording, not of a chunk, as in ``VoxtralProcessor``.
        """
        heard = self.hear(extractor, audio)
        chunks = -(-len(heard.clip) // extractor.n_samples)
        mel = log_mel(extractor, heard.clip, self.tail, chunks)
        silence = chunks * extractor.nb_max_frames - mel.shape[1]
        mel = np.pad(mel, ((0, 0), (0, silence)), mode="edge")  # the last frame of the tail hears nothing but zeros
        return heard.features(mel, self.frames_of(extractor, len(heard.clip)))

    def audio_tokens(self, model: Any, frames: int) -> int:
        """375 for each chunk that the clip begins."""
        return CHUNK_TOKENS * -(-frames // _chunk(self.audio_modules(model)[0]))

    def encode(self, model: Any, mels: Sequence[np.ndarray], frames: Sequence[int]) -> list[torch.Tensor]:
        """Every chunk is heard by itself, in full: the tower masks no padding."""
        tower, projector = self.audio_modules(model)
        embeds = []
        for mel in mels:
            chunks = torch.from_numpy(mel).to(tower.conv1.weight.device).unflatten(1, (-1, _chunk(tower)))
            heard = tower(chunks.transpose(0, 1)).last_hidden_state
            embeds.append(projector(heard.reshape(-1, tower.config.intermediate_size)))
        return embeds


def _chunk(tower: Any) -> int:
    """Mel frames of a chunk: 3000, which the tower's convolution halves."""
    return tower.config.max_source_positions * tower.conv1.stride[0] * tower.conv2.stride[0]
