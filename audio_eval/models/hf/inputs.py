"""From a Question to embeddings: the chat template, the audio placeholder, and clips that are encoded once."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from audio_eval.audio import AudioError, AudioRef
from audio_eval.models.backends import LongAudio
from audio_eval.models.hf.cache import ClipCache, EncodedClip
from audio_eval.models.hf.checkpoint import Checkpoint
from audio_eval.models.hf.features import Features
from audio_eval.models.hf.prefetch import ahead
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.models.hf.tower import TowerRevision
from audio_eval.questions import Question


@dataclass
class EmbeddedPrompt:
    """A question ready for the language model: input embeddings (P, hidden)."""

    question: Question
    embeds: torch.Tensor
    clip: EncodedClip | None = None


Stream = Generator[list[EmbeddedPrompt | str], None, None]


@dataclass
class TokenizedPrompt:
    """A question as token ids, in which one placeholder stands for the clip.

    ``tokens`` is the length with the clip and ``seconds`` the clip's, both found without decoding it.
    """

    question: Question
    ids: list[int]
    tokens: int = 0
    seconds: float = 0.0


@dataclass
class DecodedClip:
    """A decoded recording: its sha256, and its features unless its embeddings are in the cache."""

    digest: str
    features: Features | None


Coming = Iterator[tuple[AudioRef, DecodedClip | str]]


class QuestionEncoder:
    """Turns questions into embeddings. Each clip is encoded once for each state of the tower's weights."""

    def __init__(
        self, checkpoint: Checkpoint, settings: EngineSettings | None = None, long_audio: LongAudio = "cut"
    ) -> None:
        self.checkpoint, self._settings, self._long_audio = checkpoint, settings or EngineSettings(), long_audio
        self.calls = 0  # clips that went through the audio tower
        self.frozen = True
        device, folder = checkpoint.device, self._settings.cache_dir
        self.cache = ClipCache(
            device, int(self._settings.cache_gb * (1 << 30)), self._settings.cache_on, Path(folder) if folder else None
        )
        threads = self._settings.prefetch_threads
        # beside a GPU two threads decode; on a CPU the model needs all cores
        self._threads = threads if threads is not None else 2 if device.type == "cuda" else 0
        self._tower = TowerRevision()

    def ask(self, question: Question) -> TokenizedPrompt:
        """Ids and lengths. They depend on the question only, not on the cache."""
        ids = self._ids(question)
        if question.audio is None:
            return TokenizedPrompt(question, ids, len(ids))
        family = self.checkpoint.family
        frames = family.frames(self.checkpoint.extractor, question.audio)
        tokens = family.audio_tokens(self.checkpoint.model, frames) if frames else 0
        seconds = frames * self.checkpoint.extractor.hop_length / self.checkpoint.extractor.sampling_rate
        return TokenizedPrompt(question, ids, len(ids) + tokens, seconds)

    def prompts(self, questions: Sequence[Question]) -> list[EmbeddedPrompt | str]:
        """For each question an EmbeddedPrompt, or the reason why there is none (a text)."""
        [prompts] = self.stream([[TokenizedPrompt(question, self._ids(question)) for question in questions]], threads=0)
        return prompts

    def stream(self, batches: Sequence[Sequence[TokenizedPrompt]], threads: int | None = None) -> Stream:
        """``prompts`` batch by batch, while ``threads`` prepare the audio of later batches; 0: each when it is needed.

        Close the generator when leaving it early. An error other than ``AudioError`` becomes a RuntimeError that names
        the question.
        """
        keep = self.frozen or not torch.is_grad_enabled()  # a clip that carries a graph belongs to one step
        tower = self._tower.of(self.checkpoint, self.frozen)
        seconds = {a.question.audio: a.seconds for batch in batches for a in batch if a.question.audio is not None}
        heard: dict[AudioRef, DecodedClip | str] = {}
        threads = self._threads if threads is None else threads
        hear = partial(self._hear, tower=tower if keep else None)
        with closing(
            ahead(list(seconds), hear, seconds.__getitem__, self._settings.prefetch_seconds, threads)
        ) as coming:
            for batch in batches:
                yield self._join(batch, heard, coming, tower, keep)

    def _hear(self, audio: AudioRef, tower: str | None) -> DecodedClip | str:
        """Decode a clip, unless the cache has it for ``tower``; or say why that fails. Called in threads."""
        try:
            if self._long_audio == "skip":
                self.checkpoint.family.check_whole(self.checkpoint.extractor, audio)
            digest = audio.digest()
            held = tower is not None and (digest, tower) in self.cache
            return DecodedClip(digest, None if held else self._features(audio))
        except AudioError as error:
            return str(error)

    def _features(self, audio: AudioRef) -> Features:
        return self.checkpoint.family.features(self.checkpoint.extractor, audio)

    def _join(
        self,
        batch: Sequence[TokenizedPrompt],
        heard: dict[AudioRef, DecodedClip | str],
        coming: Coming,
        tower: str,
        keep: bool,
    ) -> list[EmbeddedPrompt | str]:
        """Encode each clip as soon as its features are there, while threads prepare the next ones."""
        clips: dict[str, EncodedClip] = {}
        prompts: list[EmbeddedPrompt | str] = []
        for asked in batch:
            audio = asked.question.audio
            if audio is None:
                prompts.append(self._prompt(asked, None))
                continue
            if audio not in heard:
                heard[audio] = _next(coming, asked.question)
            found = heard[audio]
            if isinstance(found, DecodedClip) and found.digest not in clips:
                clip = self.cache.get((found.digest, tower)) if keep else None
                try:
                    clips[found.digest] = clip or self._encode(found.features or self._features(audio))
                except AudioError as error:  # the file is gone since it was read first
                    found = str(error)
                else:
                    if keep and clip is None:
                        self.cache.put((found.digest, tower), clips[found.digest])
                    found = DecodedClip(found.digest, None)
                heard[audio] = found  # frees the features
            prompts.append(found if isinstance(found, str) else self._prompt(asked, clips[found.digest]))
        return prompts

    def _encode(self, features: Features) -> EncodedClip:
        """Clips are encoded one by one: in a batch with a longer clip the last bits of the embeddings would differ."""
        self.calls += 1
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            [embeds] = self.checkpoint.family.encode(self.checkpoint.model, [features.mel], [features.frames])
        if not embeds.requires_grad:
            embeds = embeds.clone()  # a view would keep the tower's whole output
        return EncodedClip(embeds, features.seconds, features.truncated)

    def _ids(self, question: Question) -> list[int]:
        if question.tokens is not None:
            return list(question.tokens)
        tokenizer = self.checkpoint.tokenizer
        parts: list[dict[str, Any]] = [{"type": "audio", "audio_url": ""}] if question.audio is not None else []
        # special tokens written out in a question must stay text
        parts.append({"type": "text", "text": question.prompt.replace("<|", "< |")})
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": parts}], tokenize=False, add_generation_prompt=True
        )
        return tokenizer.encode(text, add_special_tokens=False)

    def _prompt(self, asked: TokenizedPrompt, clip: EncodedClip | None) -> EmbeddedPrompt:
        ids, embed, device = asked.ids, self.checkpoint.embed, self.checkpoint.device
        if clip is None:
            return EmbeddedPrompt(asked.question, embed(torch.tensor(ids, device=device)))
        at = ids.index(self.checkpoint.tokenizer.convert_tokens_to_ids(self.checkpoint.family.audio_token))
        before, after = (embed(torch.tensor(part, device=device)) for part in (ids[:at], ids[at + 1 :]))
        return EmbeddedPrompt(asked.question, torch.cat([before, clip.embeds.to(before.dtype), after]), clip)


def _next(coming: Coming, question: Question) -> DecodedClip | str:
    """The decoded recording of ``question``, which is the next one to come."""
    try:
        return next(coming)[1]
    except Exception as error:
        raise RuntimeError(f"question '{question.id}': its audio could not be prepared ({error}).") from error


def right_pad(rows: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack embeddings (P_i, hidden) to (R, P, hidden), with a mask (R, P) that is 1 at real tokens."""
    lengths = torch.tensor([len(row) for row in rows], device=rows[0].device)
    mask = torch.arange(int(lengths.max()), device=rows[0].device)[None, :] < lengths[:, None]
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True), mask.long()
