"""From a Question to embeddings: chat template, audio placeholders, and a cache of encoded clips."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from audio_eval.audio import AudioError, AudioRef
from audio_eval.models.hf.checkpoint import Checkpoint
from audio_eval.models.hf.features import log_mel
from audio_eval.questions import Question

MIN_SAMPLES = 1600  # a tenth of a second: below it the towers pool everything away
CACHE_BYTES = 2 << 30


@dataclass
class Clip:
    """An encoded clip: embeddings (tokens, hidden), seconds of the recording, and whether the model's window cut it."""

    embeds: torch.Tensor
    seconds: float
    truncated: bool


@dataclass
class _Features:
    """Log-mel (mels, frames and the family's tail) of a clip that is yet to be encoded."""

    mel: np.ndarray
    frames: int
    seconds: float
    truncated: bool


@dataclass
class Prompt:
    """A question ready for the language model: input embeddings (P, hidden)."""

    question: Question
    embeds: torch.Tensor
    clip: Clip | None = None


class Encoder:
    """Turns questions into embeddings. With a frozen tower each clip is encoded once and kept, up to a bound."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.calls = 0  # clips that went through the audio tower
        self.frozen = True
        self._cache: OrderedDict[str, Clip] = OrderedDict()
        self._bytes = 0

    def prompts(self, questions: Sequence[Question]) -> list[Prompt | str]:
        """For each question a Prompt, or the reason why there is none."""
        clips: dict[str, Clip] = {}
        features: dict[str, _Features] = {}
        errors: dict[AudioRef, str] = {}
        for audio in dict.fromkeys(q.audio for q in questions if q.audio is not None):  # in order: a set has none
            try:
                key = audio.digest()
                if key in self._cache and self.frozen:
                    clips[key] = self._cache[key]
                elif key not in features:
                    features[key] = self._features(audio)
            except AudioError as error:
                errors[audio] = str(error)
        if features:
            clips |= self._encode(features)
        prompts: list[Prompt | str] = []
        for question in questions:
            if question.audio is not None and question.audio in errors:
                prompts.append(errors[question.audio])
            else:
                clip = None if question.audio is None else clips[question.audio.digest()]
                prompts.append(self._prompt(question, clip))
        return prompts

    def _features(self, audio: AudioRef) -> _Features:
        """Log-mel features; a clip longer than the model's window is cut and says so."""
        rate = self.checkpoint.extractor.sampling_rate
        wave = audio.load(rate)
        window = int(self.checkpoint.family.max_seconds * rate)
        whole = np.pad(wave[:window], (0, max(0, MIN_SAMPLES - len(wave))))
        extractor, tail = self.checkpoint.extractor, self.checkpoint.family.tail
        frames = -(-len(whole) // extractor.hop_length)
        return _Features(log_mel(extractor, whole, tail), frames, len(wave) / rate, len(wave) > window)

    def _encode(self, features: dict[str, _Features]) -> dict[str, Clip]:
        self.calls += len(features)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            # one by one: beside a longer clip the last bits of a shorter one's embeddings differ
            encoded = [
                self.checkpoint.family.encode(self.checkpoint.model, [f.mel], [f.frames])[0] for f in features.values()
            ]
        fresh = {
            key: Clip(embeds if not self.frozen else embeds.clone(), heard.seconds, heard.truncated)
            for (key, heard), embeds in zip(features.items(), encoded, strict=True)
        }
        if self.frozen:
            for key, clip in fresh.items():
                self._cache[key] = clip
                self._bytes += clip.embeds.nbytes
            while self._bytes > CACHE_BYTES:
                self._bytes -= self._cache.popitem(last=False)[1].embeds.nbytes
        return fresh

    def _prompt(self, question: Question, clip: Clip | None) -> Prompt:
        tokenizer, family = self.checkpoint.tokenizer, self.checkpoint.family
        parts: list[dict[str, Any]] = [{"type": "audio", "audio_url": ""}] if clip is not None else []
        # a question that spells out a special token must not become one
        parts.append({"type": "text", "text": question.prompt.replace("<|", "< |")})
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": parts}], tokenize=False, add_generation_prompt=True
        )
        ids = tokenizer.encode(text, add_special_tokens=False)
        model = self.checkpoint.model
        embed, device = model.get_input_embeddings(), model.lm_head.weight.device
        if clip is None:
            return Prompt(question, embed(torch.tensor(ids, device=device)))
        at = ids.index(tokenizer.convert_tokens_to_ids(family.audio_token))
        before, after = (embed(torch.tensor(part, device=device)) for part in (ids[:at], ids[at + 1 :]))
        return Prompt(question, torch.cat([before, clip.embeds.to(before.dtype), after]), clip)


def right_pad(rows: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack embeddings (P_i, hidden) to (R, P, hidden) with a mask (R, P) of what is real."""
    lengths = torch.tensor([len(row) for row in rows], device=rows[0].device)
    mask = torch.arange(int(lengths.max()), device=rows[0].device)[None, :] < lengths[:, None]
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True), mask.long()
