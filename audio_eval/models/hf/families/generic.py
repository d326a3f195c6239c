"""Generic: a model type that no file here knows, where transformers' own Auto classes say enough of it.

The checkpoint's processor makes the prompt and the features, ``get_audio_features`` the embeddings, and these go where
the configuration's audio token is. Whether that is all that the model does is not known beforehand: ``check`` compares
it with the model's own forward when the model is loaded.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers.models.auto import modeling_auto

from audio_eval.audio import MAX_SECONDS, RATE, AudioError, AudioRef
from audio_eval.errors import UserError
from audio_eval.models.hf.families.base import Family
from audio_eval.models.hf.features import MIN_SAMPLES, Features

_TEXT = ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids")  # what a processor makes of the text
_ASKED = "What is heard?"
_NOISE = 0.05  # of the logits' deviation: what bfloat16 may make of two ways to the same result


def is_multimodal(model_type: str) -> bool:
    """Whether this version of transformers has an ``AutoModelForMultimodalLM``, and that a class for the type."""
    return model_type in getattr(modeling_auto, "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES", {})


class Generic(Family):
    """One checkpoint of such a type; ``folder`` holds it, ``where`` is its name in errors."""

    engine = "plain"

    def __init__(self, model_type: str, folder: Path, where: str) -> None:
        self.name, self.model_types, self._where = model_type, (model_type,), where
        try:
            self.processor = transformers.AutoProcessor.from_pretrained(folder, trust_remote_code=False)
        except ImportError as error:
            raise self._no(f"its processor cannot be made ({' '.join(str(error).split())[:150]})") from error
        parts = (getattr(self.processor, name, None) for name in ("feature_extractor", "audio_processor"))
        self._extractor = next((part for part in parts if part is not None), None)
        if self._extractor is None or "audio" not in inspect.signature(self.processor.__call__).parameters:
            raise self._no(f"its {type(self.processor).__name__} takes no audio")
        self._placeholder = -1  # found by ``config``
        self.rate = int(getattr(self._extractor, "sampling_rate", RATE))
        self._spelled = lru_cache(maxsize=4096)(self._spell)
        self._counted = lru_cache(maxsize=4096)(lambda samples: len(self._clip(np.zeros(samples, np.float32))[1]))

    def _no(self, why: str) -> UserError:
        return UserError(
            f"{self._where} holds a model of type '{self.name}', which has no family of its own, and {why}."
        )

    @contextmanager
    def _tried(self) -> Iterator[None]:
        """What an unknown processor or model may fail with, of any class, in one line."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:200]
            raise self._no(f"it cannot be treated like others ({type(error).__name__}: {said})") from error

    # --- parts -----------------------------------------------------------------------------------------------------

    def model_class(self) -> Any:
        """Whatever class transformers has for it."""
        return transformers.AutoModelForMultimodalLM

    def config(self, raw: Any) -> Any:
        """The configuration; from here on the placeholder is known."""
        ids = (getattr(raw, name, None) for name in ("audio_token_id", "audio_token_index"))
        self._placeholder = next((one for one in ids if isinstance(one, int)), -1)
        if self._placeholder < 0:
            raise self._no("its configuration names no audio token")
        self.audio_token = self.processor.tokenizer.convert_ids_to_tokens(self._placeholder)
        # the window: a length from which on the processor makes no more tokens of a recording
        whole = int(getattr(self._extractor, "n_samples", 0) or 0)
        with self._tried():
            cut = whole and self._counted(whole) == self._counted(whole + self.rate)
        self.max_seconds = whole / self.rate if cut else float(MAX_SECONDS)
        return raw

    def placeholder(self, config: Any) -> int:
        """The audio token of the configuration."""
        return self._placeholder

    def language_model(self, model: Any) -> Any:
        """Where transformers finds the decoder."""
        return model.get_decoder()

    def head(self, model: Any) -> Any:
        """Where transformers finds the head."""
        return model.get_output_embeddings()

    def audio_modules(self, model: Any) -> tuple[Any, ...]:
        """Unknown: the whole model."""
        return (model,)

    def is_trained(self, parameter: str, train_tower: bool) -> bool:
        """The decoder and the head; which of the other modules hear is not known."""
        if train_tower:
            raise self._no("train_tower needs one")
        return parameter.startswith((f"{self._decoder}.", "lm_head"))

    # --- prompt ----------------------------------------------------------------------------------------------------

    def tokenizer(self, folder: Path) -> Any:
        """The processor's."""
        tokenizer = self.processor.tokenizer
        tokenizer.chat_template = getattr(self.processor, "chat_template", None) or tokenizer.chat_template
        return tokenizer

    def token_ids(self, tokenizer: Any, prompt: str, clips: int) -> list[int]:
        """What the processor makes of the prompt and short clips, each run of placeholders taken as one."""
        chat = self.messages(self.escape(prompt, tokenizer), clips)
        return list(
            self._spelled(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True), clips)
        )

    def _spell(self, text: str, clips: int) -> tuple[int, ...]:
        ids = self._process(text, [np.zeros(MIN_SAMPLES, np.float32)] * clips)["input_ids"][0].tolist()
        repeated = [False, *(one == two == self._placeholder for one, two in pairwise(ids))]
        return tuple(one for one, again in zip(ids, repeated, strict=True) if not again)

    def _process(self, text: str, waves: Sequence[np.ndarray]) -> Mapping[str, torch.Tensor]:
        bos = self.processor.tokenizer.bos_token  # a template may write it, and the tokenizer would once more
        settings: dict[str, Any] = {"add_special_tokens": False} if bos and text.startswith(bos) else {}
        if waves:
            settings |= {"audio": list(waves), "sampling_rate": self.rate}
        with torch.autocast("cpu", enabled=False):  # features are float32, whatever the model's dtype
            return self.processor(text=[text], return_tensors="pt", **settings)

    # --- audio -----------------------------------------------------------------------------------------------------

    def extractor(self, folder: Path) -> Any:
        """The processor's."""
        return self._extractor

    def features(self, extractor: Any, audio: AudioRef) -> Features:
        """What the processor makes of a clip besides ids."""
        heard = self.hear(extractor, audio)
        found, ids = self._clip(heard.clip)
        if set(ids) != {self._placeholder}:
            raise AudioError(
                f"{audio.name}: the processor of {self.name} writes other tokens between those of the clip."
            )
        return heard.features(found, len(ids))

    def frames_of(self, extractor: Any, samples: int) -> int:
        """The placeholders of a clip: as many as of silence of its length."""
        return self._counted(samples)

    def sampling_rate(self, extractor: Any) -> int:
        """The extractor's, where it has one."""
        return self.rate

    def audio_tokens(self, model: Any, frames: int) -> int:
        """They are counted in placeholders already."""
        return frames

    def _clip(self, wave: np.ndarray) -> tuple[dict[str, torch.Tensor], list[int]]:
        """The processor's features of a clip, and the ids from its first placeholder to its last."""
        made = dict(self._process(self.audio_token, [wave]))
        ids = made["input_ids"][0].tolist()
        places = [place for place, one in enumerate(ids) if one == self._placeholder]
        if not places:
            raise self._no("its processor writes no placeholder for a clip")
        return {name: made[name] for name in made if name not in _TEXT}, ids[places[0] : places[-1] + 1]

    def encode(self, model: Any, mels: Sequence[Any], frames: Sequence[int]) -> list[torch.Tensor]:
        """``get_audio_features`` of what the processor made, as far as it takes it."""
        return [self._encode(model, found, n) for found, n in zip(mels, frames, strict=True)]

    def _encode(self, model: Any, found: Mapping[str, torch.Tensor], tokens: int) -> torch.Tensor:
        inner = getattr(model, "model", None)
        listen = getattr(inner if hasattr(inner, "get_audio_features") else model, "get_audio_features", None)
        if listen is None:
            raise self._no("its class has no get_audio_features")
        device = self.head(model).weight.device
        given = {name: found[name].to(device) for name in inspect.signature(listen).parameters if name in found}
        out = listen(**given)
        embeds = getattr(out, "pooler_output", out)
        embeds = embeds if isinstance(embeds, torch.Tensor) else embeds[0]
        embeds = embeds.reshape(-1, embeds.shape[-1])
        if len(embeds) != tokens:
            raise self._no(f"get_audio_features gives {len(embeds)} embeddings for {tokens} placeholders")
        return embeds

    # --- check -----------------------------------------------------------------------------------------------------

    def check(self, model: Any, tokenizer: Any) -> None:
        """``UserError`` unless decoder and head, given embeddings, say what the model says of a text and a clip."""
        self._decoder = next(name for name, module in model.named_modules() if module is self.language_model(model))
        linear = {
            name.removeprefix(f"{self._decoder}.layers.").partition(".")[2]
            for name, module in model.named_modules()
            if name.startswith(f"{self._decoder}.layers.") and isinstance(module, torch.nn.Linear)
        }
        if not linear:
            raise self._no(f"its decoder ({type(self.language_model(model)).__name__}) has no linear layers to adapt")
        inner = "|".join(map(re.escape, sorted(linear)))
        self.lora_targets = rf"(.*\.)?{re.escape(self._decoder)}\.layers\.\d+\.({inner})"
        if _ASKED not in tokenizer.apply_chat_template(
            self.messages(_ASKED, 1), tokenize=False, add_generation_prompt=True
        ):
            raise self._no("its chat template drops the text of a question: it transcribes, and answers nothing")
        for clips in (0, 1):
            with self._tried():
                if (written := self._placeholders(tokenizer, clips)) != clips:
                    raise self._no(f"its chat template writes {written} placeholders for {clips} recordings")
                self._compare(model, tokenizer, clips)
        try:
            self.max_clips = None if self._placeholders(tokenizer, 2) == 2 else 1
        except ValueError:  # a processor that takes one recording for each text
            self.max_clips = 1

    def _placeholders(self, tokenizer: Any, clips: int) -> int:
        return self.token_ids(tokenizer, _ASKED, clips).count(self._placeholder)

    @torch.no_grad()
    def _compare(self, model: Any, tokenizer: Any, clips: int) -> None:
        weight = self.head(model).weight
        wave = (0.1 * np.random.default_rng(0).standard_normal(3 * self.rate)).astype(np.float32)
        chat = self.messages(_ASKED, clips)
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        made = {name: value.to(weight.device) for name, value in self._process(text, [wave] * clips).items()}
        exact = nullcontext() if weight.dtype == torch.float32 else torch.autocast(weight.device.type, weight.dtype)
        with exact:
            embeds = self.embeddings(model)(made["input_ids"])
            if clips:
                features, ids = self._clip(wave)
                if set(ids) != {self._placeholder}:
                    raise self._no("its processor writes other tokens between those of a clip")
                heard = made["input_ids"][0] == self._placeholder
                embeds[0, heard] = self._encode(model, features, len(ids)).to(embeds.dtype)
            hidden = self.language_model(model)(inputs_embeds=embeds, use_cache=False).last_hidden_state
            ours, theirs = self.head(model)(hidden).float(), model(**made).logits.float()
        if float((ours - theirs).abs().max()) > _NOISE * float(theirs.std()):
            raise self._no("what it says does not follow from embeddings, decoder and head alone")
