"""Family: all that is known about one model class. The defaults hold for transformers' Qwen-style audio models."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from transformers import AutoTokenizer, WhisperFeatureExtractor

from audio_eval.audio import RATE, AudioError, AudioRef
from audio_eval.models.hf.families.unused import without
from audio_eval.models.hf.features import Features, Heard, features_of, heard, promised_samples


@lru_cache(maxsize=8)
def _special(tokenizer: Any, audio_token: str) -> re.Pattern[str]:
    """Any special token of the tokenizer, the longest first; a single character is left alone."""
    added = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    special = {token for token in (audio_token, *tokenizer.all_special_tokens, *added) if len(token) > 1}
    return re.compile("|".join(map(re.escape, sorted(special, key=len, reverse=True))))


class Family(ABC):
    """One model class and how audio enters it. ``model`` below is an instance of ``model_class()``.

    A new family is a subclass in a file of its own, listed in ``FAMILIES``.
    """

    name: str  # as its makers write it
    model_types: tuple[str, ...]  # of config.json
    # types of config.json in which the same model is published but not read, and what to do instead
    elsewhere: Mapping[str, str] = MappingProxyType({})
    max_seconds: float  # the window: longer audio is cut, flagged and counted
    max_clips: int | None = None  # recordings that a question may have; None: any number
    owns_adapter: bool = False  # ``load`` merges an adapter that lies beside the weights
    tail: int = 0  # mel frames after a clip's end that ``encode`` needs
    audio_token: str = "<|AUDIO|>"  # the placeholder that the chat template writes for each clip
    clip_text: str | None = None  # what the processor makes of a placeholder that it puts other tokens around
    chat_template: str | None = None  # for a checkpoint that brings none
    lora_targets: str = r".*language_model\.layers\.\d+\.(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj"
    lora_excludes: str | None = None  # of a mixture of experts peft takes the targets by their last names, anywhere
    unused: tuple[str, ...] = ()  # modules, by their last name, that no audio or text ever reaches: they are not loaded
    never_trained: str | None = None  # regular expression of further parameters that nothing reaches
    # How prompts are forwarded. "shared": once for all completions, which read the keys in place (branches, layout);
    # for a language model whose layers all have keys of their own and see everything before them. "plain": repeated
    # for each completion with an ordinary cache and mask (repeats); for any other.
    engine: Literal["shared", "plain"] = "shared"
    layer_masks: bool = True  # shared: its forward takes a dict of masks by layer type (Qwen2), or only a mask (Llama)

    @abstractmethod
    def model_class(self) -> Any:
        """The transformers class."""

    def config(self, raw: Any) -> Any:
        """The configuration of ``model_class``, which may be a part of the checkpoint's."""
        return raw

    def load(self, folder: Path, config: Any, dtype: torch.dtype) -> tuple[Any, list[str]]:
        """The model, and the names of the weights that the checkpoint lacks."""
        model, report = without(self.model_class(), self.unused).from_pretrained(
            folder, config=config, dtype=dtype, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
        self.rearrange(model)
        return model, sorted(report["missing_keys"])

    def rearrange(self, model: Any) -> None:
        """Move parts that another version of transformers has elsewhere to where the methods below look for them."""
        return

    def refuses(self, model: Any, clips: int) -> str | None:
        """Why the model cannot be asked a question with so many recordings; None: it can."""
        if self.max_clips is None or clips <= self.max_clips:
            return None
        most = "one recording" if self.max_clips == 1 else f"{self.max_clips} recordings"
        return f"{clips} recordings: {self.name} takes {most} in a question."

    def check(self, model: Any, tokenizer: Any) -> None:
        """``UserError`` for a loaded model that cannot be treated as the family treats it."""
        return

    # --- parts of the model ----------------------------------------------------------------------------------------

    def language_model(self, model: Any) -> Any:
        """The decoder without its head: takes ``inputs_embeds``, returns ``last_hidden_state``."""
        return model.model.language_model

    def language_inputs(self, model: Any, ids_RL: torch.Tensor) -> dict[str, torch.Tensor]:
        """What the language model's forward needs besides embeddings, by the rows' token ids; ``plain`` alone asks.

        The placeholder's id stands for each embedding of a clip, and any id for padding.
        """
        return {}

    def head(self, model: Any) -> Any:
        """From hidden states to logits: the linear layer, or a module that has its ``weight``."""
        return model.lm_head

    def embeddings(self, model: Any) -> Any:
        """The embedding of token ids, a function of a tensor of them."""
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

    def vllm_weight(self, name: str) -> str:
        """A parameter's name ("model.language_model.norm.weight", "lm_head.weight") as vLLM reads a checkpoint."""
        if name.startswith("lm_head."):
            return f"language_model.{name}"
        return re.sub(r"^language_model\.", "language_model.model.", name.removeprefix("model."))

    # --- prompt ----------------------------------------------------------------------------------------------------

    def tokenizer(self, folder: Path) -> Any:
        """The tokenizer of a checkpoint."""
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)

    def placeholder(self, config: Any) -> int:
        """The id of ``audio_token`` by the configuration."""
        return config.audio_token_id

    def takes_audio(self, template: str) -> bool:
        """Whether a chat template is one for prompts with audio; a checkpoint may bring one that drops it as well."""
        return self.audio_token in template

    def escape(self, text: str, tokenizer: Any) -> str:
        """A question's text with the special tokens that it spells out taken apart, so that they stay text."""
        special = _special(tokenizer, self.audio_token)
        return special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text.replace("<|", "< |"))

    def messages(self, text: str, clips: int) -> list[dict[str, Any]]:
        """The chat of a question with so many clips, for the template."""
        parts: list[dict[str, Any]] = [{"type": "audio", "audio_url": ""} for _ in range(clips)]
        return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]

    def token_ids(self, tokenizer: Any, prompt: str, clips: int) -> list[int]:
        """The whole prompt, in which one placeholder stands for each clip."""
        text = tokenizer.apply_chat_template(
            self.messages(self.escape(prompt, tokenizer), clips), tokenize=False, add_generation_prompt=True
        )
        if self.clip_text is not None:
            text = text.replace(self.audio_token, self.clip_text)
        return tokenizer.encode(text, add_special_tokens=False)

    # --- audio -----------------------------------------------------------------------------------------------------

    def extractor(self, folder: Path) -> Any:
        """The feature extractor of a checkpoint."""
        return WhisperFeatureExtractor.from_pretrained(folder)

    def features(self, extractor: Any, audio: AudioRef) -> Features:
        """Decode a clip and compute its features. Raises ``AudioError``."""
        return features_of(audio, extractor, self.max_seconds, self.tail)

    def frames(self, extractor: Any, audio: AudioRef) -> int:
        """How many feature frames a clip has, found without decoding it; 0 where it cannot be read."""
        samples = promised_samples(audio, self.sampling_rate(extractor), self.max_seconds)
        return self.frames_of(extractor, samples) if samples else 0

    def frames_of(self, extractor: Any, samples: int) -> int:
        """The number of feature frames of so many samples."""
        return -(-samples // extractor.hop_length)

    def sampling_rate(self, extractor: Any) -> int:
        """Hz, of the samples that the extractor takes."""
        return int(extractor.sampling_rate)

    def hear(self, extractor: Any, audio: AudioRef) -> Heard:
        """Decode a clip as far as the window goes. Raises ``AudioError``."""
        return heard(audio, self.sampling_rate(extractor), self.max_seconds)

    def check_whole(self, extractor: Any, audio: AudioRef) -> None:
        """``AudioError`` for a clip that is longer than the window, found without decoding it, or cannot be read."""
        seconds = audio.length(RATE) / RATE
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
        """Audio embeddings (tokens, hidden) of each clip's features, which are (mels, frames and ``tail``) or what else
        ``features`` makes; as many tokens as ``audio_tokens`` says.
        """
