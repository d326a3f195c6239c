"""Granite Speech: a conformer, a Q-Former that makes 3 embeddings of 300 ms, and a Granite that may hear through a
LoRA adapter of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audio_eval.audio import AudioRef
from audio_eval.models.hf.families.base import Family
from audio_eval.models.hf.families.granite_mel import GraniteMel
from audio_eval.models.hf.families.head import Head
from audio_eval.models.hf.families.own_adapter import merge_own_adapter, without_adapter, without_audio
from audio_eval.models.hf.features import Features
from audio_eval.models.hf.files import LORA

# The model cards'. Where none is given, the template of Granite 3.3 writes today's date into the prompt.
SYSTEM = (
    "Knowledge Cutoff Date: April 2024.\nToday's Date: {date}.\n"
    "You are Granite, developed by IBM. You are a helpful AI assistant"
)


class GraniteSpeech(Family):
    """``GraniteSpeechForConditionalGeneration``, and the class of its variant Plus.

    Nothing in it limits the audio; the window is what vLLM reserves room for.
    """

    name = "Granite Speech"
    model_types = ("granite_speech",)
    max_seconds = 500.0
    owns_adapter = True
    audio_token = "<|audio|>"
    layer_masks = False
    date = "April 9, 2025"  # of the model card's prompt

    def model_class(self) -> Any:
        """The whole model's class."""
        from transformers import GraniteSpeechForConditionalGeneration

        return GraniteSpeechForConditionalGeneration

    def load(self, folder: Path, config: Any, dtype: torch.dtype) -> tuple[Any, list[str]]:
        """The model, with the adapter merged that its configuration announces (``has_lora_adapter``)."""
        with without_adapter(folder) as weights:
            model, missing = super().load(weights, config, dtype)
        model.name_or_path = model.config.name_or_path = str(folder)  # a trained adapter names it as its base
        if config.has_lora_adapter:
            if not (folder / LORA).is_file():
                raise ValueError(f"{LORA} is missing, through which it hears.")
            merge_own_adapter(model, folder)
        return model, missing

    def refuses(self, model: Any, clips: int) -> str | None:
        """A question without audio, where an adapter for audio is merged."""
        if not clips and model.config.has_lora_adapter:
            return without_audio(self.name)
        return super().refuses(model, clips)

    # --- parts of the model ----------------------------------------------------------------------------------------

    def head(self, model: Any) -> Any:
        """Logits are divided by ``logits_scaling``, as in ``GraniteForCausalLM`` and vLLM.

        transformers' own class leaves that out since it no longer wraps ``GraniteForCausalLM``: its most probable token
        is the same, and its distribution much too sharp.
        """
        scaling = model.config.text_config.logits_scaling
        return Head(model.lm_head, lambda logits: logits / scaling)

    def audio_modules(self, model: Any) -> tuple[Any, ...]:
        """The conformer, and the Q-Former with its layer to the language model's width."""
        return model.model.encoder, model.model.projector

    # --- prompt ----------------------------------------------------------------------------------------------------

    def takes_audio(self, template: str) -> bool:
        """Any: the placeholder is part of the user's text."""
        return True

    def messages(self, text: str, clips: int) -> list[dict[str, Any]]:
        """As the model cards have it: a system prompt, and the placeholders before the question's text."""
        system = {"role": "system", "content": SYSTEM.format(date=self.date)}
        return [system, {"role": "user", "content": self.audio_token * clips + text}]

    # --- audio -----------------------------------------------------------------------------------------------------

    def extractor(self, folder: Path) -> Any:
        """Its mel spectrogram, without torchaudio."""
        return GraniteMel.from_pretrained(folder)

    def features(self, extractor: GraniteMel, audio: AudioRef) -> Features:
        """Features (frames // 2, 2 * mels) of the recording at its true length."""
        heard = self.hear(extractor, audio)
        return heard.features(extractor(heard.clip), extractor.frames(len(heard.clip)))

    def frames_of(self, extractor: GraniteMel, samples: int) -> int:
        """One each hop of the recording, and one at its start."""
        return extractor.frames(samples)

    def audio_tokens(self, model: Any, frames: int) -> int:
        """As many as the Q-Former has queries for each block of the encoder's frames that is begun: 10 per second."""
        projector = self.audio_modules(model)[1]
        return projector.num_queries * -(-(frames // 2) // projector.window_size)

    def encode(self, model: Any, mels: Sequence[np.ndarray], frames: Sequence[int]) -> list[torch.Tensor]:
        """Clip by clip: the tower masks no padding."""
        encoder, projector = self.audio_modules(model)
        weight = encoder.input_linear.weight
        heard = (encoder(torch.from_numpy(mel)[None].to(weight.device, weight.dtype)).last_hidden_state for mel in mels)
        return [projector(hidden)[0] for hidden in heard]


class GraniteSpeechPlus(GraniteSpeech):
    """``GraniteSpeechPlusForConditionalGeneration``, whose projector sees inner layers of the encoder as well."""

    name = "Granite Speech Plus"
    model_types = ("granite_speech_plus",)
    date = "December 19, 2024"

    def model_class(self) -> Any:
        """The whole model's class."""
        from transformers import GraniteSpeechPlusForConditionalGeneration

        return GraniteSpeechPlusForConditionalGeneration
