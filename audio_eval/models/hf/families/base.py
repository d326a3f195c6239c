"""Family: all that is known about one model class. The defaults hold for transformers' Qwen-style audio models."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import WhisperFeatureExtractor

from audio_eval.audio import AudioError, AudioRef
from audio_eval.models.hf.features import Features, features_of, promised_frames


class Family(ABC):
    """One model class and how audio enters it. ``model`` below is an instance of ``model_class()``.

    A new family is a subclass in a file of its own, listed in ``FAMILIES``.
    """

    name: str  # as its makers write it
    model_types: tuple[str, ...]  # of config.json
    max_seconds: float  # the window: longer audio is cut, flagged and counted
    tail: int = 0  # mel frames after a clip's end that ``encode`` needs
    audio_token: str = "<|AUDIO|>"  # the placeholder that the chat template writes for each clip
    chat_template: str | None = None  # for a checkpoint that brings none
    lora_targets: str = r".*language_model\.layers\.\d+\.(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj"
    never_trained: str | None = None  # regular expression of parameters that no audio or text ever reaches

    @abstractmethod
    def model_class(self) -> Any:
        """The transformers class."""

    def config(self, raw: Any) -> Any:
        """The configuration of ``model_class``, which may be a part of the checkpoint's."""
        return raw

    # --- parts of the model ----------------------------------------------------------------------------------------

    def language_model(self, model: Any) -> Any:
        """The decoder without its head: takes ``inputs_embeds``, returns ``last_hidden_state``."""
        return model.model.language_model

    def head(self, model: Any) -> Any:
        """The linear layer from hidden states to logits."""
        return model.lm_head

    def embeddings(self, model: Any) -> Any:
        """The embedding of token ids."""
        return model.get_input_embeddings()

    def audio_modules(self, model: Any) -> tuple[Any, ...]:
        """The modules that turn features into embeddings, the tower first."""
        return (model.model.audio_tower,)

    def is_trained(self, parameter: str, train_tower: bool) -> bool:
        """Whether ``tune=full`` trains the parameter of this name: language model and head, with the tower or not."""
        if ".language_model." in parameter or parameter.startswith("lm_head"):
            return True
        return train_tower and not (self.never_trained and re.search(self.never_trained, parameter))

    def vllm_name(self, name: str) -> str:
        """A parameter's peft name ("model.language_model.layers") as vLLM has it ("language_model.model.layers")."""
        return name.replace("model.language_model.", "language_model.model.")

    # --- audio -----------------------------------------------------------------------------------------------------

    def extractor(self, folder: Path) -> Any:
        """The feature extractor of a checkpoint."""
        return WhisperFeatureExtractor.from_pretrained(folder)

    def features(self, extractor: Any, audio: AudioRef) -> Features:
        """Decode a clip and compute its features. Raises ``AudioError``."""
        return features_of(audio, extractor, self.max_seconds, self.tail)

    def frames(self, extractor: Any, audio: AudioRef) -> int:
        """How many feature frames a clip has, found without decoding it; 0 where it cannot be read."""
        return promised_frames(audio, extractor, self.max_seconds)

    def check_whole(self, extractor: Any, audio: AudioRef) -> None:
        """``AudioError`` for a clip that is longer than the window, found without decoding it, or cannot be read."""
        seconds = audio.length(extractor.sampling_rate) / extractor.sampling_rate
        if seconds > self.max_seconds:
            raise AudioError(
                f"{audio.name}: {seconds:.1f} s, and the model hears {self.max_seconds:g} s; --long-audio cut asks it "
                "about the beginning."
            )

    def audio_tokens(self, model: Any, frames: int) -> int:
        """Embeddings that a clip of so many frames takes in the prompt: 25 per second."""
        tower = self.audio_modules(model)[0]
        _, tokens = tower._get_feat_extract_output_lengths(torch.tensor([frames]))
        return int(tokens)

    @abstractmethod
    def encode(self, model: Any, mels: Sequence[np.ndarray], frames: Sequence[int]) -> list[torch.Tensor]:
        """Audio embeddings (tokens, hidden) of each clip's features (mels, frames and ``tail``)."""
