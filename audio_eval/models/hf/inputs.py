"""From a Question to embeddings: the family's prompt, audio placeholders, and clips that are encoded once."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from audio_eval.audio import RATE, AudioError, AudioRef
from audio_eval.models.backends import LongAudio
from audio_eval.models.hf.cache import ClipCache, EncodedClip
from audio_eval.models.hf.checkpoint import Checkpoint
from audio_eval.models.hf.features import Features
from audio_eval.models.hf.prefetch import ahead
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.models.hf.tower import TowerRevision
from audio_eval.questions import Question, too_long


@dataclass
class EmbeddedPrompt:
    """A question ready for the language model: input embeddings (P, hidden), and the ids (P,) that they stand for.

    The placeholder's id stands for every embedding of a clip.
    """

    question: Question
    embeds: torch.Tensor
    ids: torch.Tensor
    clips: tuple[EncodedClip, ...] = ()

    @property
    def seconds(self) -> float:
        """Seconds of its recordings together."""
        return sum(clip.seconds for clip in self.clips)

    @property
    def truncated(self) -> bool:
        """Whether any of its recordings was cut to the model's window."""
        return any(clip.truncated for clip in self.clips)


Stream = Generator[list[EmbeddedPrompt | str], None, None]


@dataclass
class TokenizedPrompt:
    """A question as token ids, in which one placeholder stands for each of ``clips``.

    The clips are the question's recordings, or parts of them. ``tokens`` is the length with the clips, ``audio_tokens``
    theirs alone and ``seconds`` their lengths, all found without decoding them. ``refused``: why the model cannot be
    asked it.
    """

    question: Question
    clips: tuple[AudioRef, ...]
    ids: list[int]
    tokens: int = 0
    audio_tokens: int = 0
    seconds: tuple[float, ...] = ()
    refused: str | None = None


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
        asked, family = tokenized(self.checkpoint, question, self._long_audio), self.checkpoint.family
        if asked.refused is None:
            frames = [family.frames(self.checkpoint.extractor, clip) for clip in asked.clips]
            asked.audio_tokens = sum(family.audio_tokens(self.checkpoint.model, n) for n in frames if n)
            asked.tokens = len(asked.ids) + asked.audio_tokens
            asked.seconds = tuple(_seconds(clip) for clip in asked.clips)
        return asked

    def prompts(self, questions: Sequence[Question]) -> list[EmbeddedPrompt | str]:
        """For each question an EmbeddedPrompt, or the reason why there is none (a text)."""
        [prompts] = self.stream(
            [[tokenized(self.checkpoint, question, self._long_audio) for question in questions]], threads=0
        )
        return prompts

    def stream(self, batches: Sequence[Sequence[TokenizedPrompt]], threads: int | None = None) -> Stream:
        """``prompts`` batch by batch, while ``threads`` prepare the audio of later batches; 0: each when it is needed.

        Close the generator when leaving it early. An error other than ``AudioError`` becomes a RuntimeError that names
        the question.
        """
        keep = self.frozen or not torch.is_grad_enabled()  # a clip that carries a graph belongs to one step
        tower = self._tower.of(self.checkpoint, self.frozen)
        seconds: dict[AudioRef, float] = {}
        for asked in (asked for batch in batches for asked in batch if asked.refused is None):
            lengths = asked.seconds or [0.0] * len(asked.clips)
            seconds |= zip(asked.clips, lengths, strict=True)
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
        """In float32 whatever the model's dtype: extractors use torch, and may run within its autocast on a CPU."""
        with torch.autocast("cpu", enabled=False):
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

        def listen(audio: AudioRef, question: Question) -> EncodedClip | str:
            if audio not in heard:
                heard[audio] = _next(coming, question)
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
            return found if isinstance(found, str) else clips[found.digest]

        prompts: list[EmbeddedPrompt | str] = []
        for asked in batch:
            if asked.refused is not None:
                prompts.append(asked.refused)
                continue
            all_heard = [listen(clip, asked.question) for clip in asked.clips]
            failed = next((found for found in all_heard if isinstance(found, str)), None)
            prompts.append(failed or self._prompt(asked, [clip for clip in all_heard if isinstance(clip, EncodedClip)]))
        return prompts

    def _encode(self, features: Features) -> EncodedClip:
        """Clips are encoded one by one: in a batch with a longer clip the last bits of the embeddings would differ."""
        self.calls += 1
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            [embeds] = self.checkpoint.family.encode(self.checkpoint.model, [features.mel], [features.frames])
        if not embeds.requires_grad:
            embeds = embeds.clone()  # a view would keep the tower's whole output
        return EncodedClip(embeds, features.seconds, features.truncated)

    def _prompt(self, asked: TokenizedPrompt, clips: Sequence[EncodedClip]) -> EmbeddedPrompt:
        checkpoint, device = self.checkpoint, self.checkpoint.device
        ids = torch.tensor(asked.ids, device=device)
        # the ids of a plain text may be any
        places = (ids == checkpoint.placeholder).nonzero()[:, 0].tolist() if clips else []
        if len(places) != len(clips):
            raise ValueError(f"question '{asked.question.id}': {len(places)} placeholders for {len(clips)} recordings")
        embeds, spelled, start = [], [], 0
        for at, clip in zip(places, clips, strict=True):
            embeds += [checkpoint.embed(ids[start:at]), clip.embeds]
            spelled += [ids[start:at], ids[at].expand(len(clip.embeds))]
            start = at + 1
        rest = checkpoint.embed(ids[start:])
        embeds = [part.to(rest.dtype) for part in (*embeds, rest)]
        return EmbeddedPrompt(asked.question, torch.cat(embeds), torch.cat([*spelled, ids[start:]]), tuple(clips))


def tokenized(checkpoint: Checkpoint, question: Question, long_audio: LongAudio) -> TokenizedPrompt:
    """The question as ids, without the lengths of its clips."""
    family, clips = checkpoint.family, _clips(question, checkpoint.family.max_seconds, long_audio)
    if refused := family.refuses(checkpoint.model, len(clips)):
        parts = " Parts count (--long-audio chunk)." if len(clips) > len(question.audios) else ""
        return TokenizedPrompt(question, clips, [], refused=refused + parts)
    if question.tokens is not None:
        return TokenizedPrompt(question, clips, list(question.tokens))
    if reason := too_long(question):
        return TokenizedPrompt(question, clips, [], refused=reason)
    return TokenizedPrompt(question, clips, checkpoint.ids(question.prompt, len(clips)))


def _clips(question: Question, seconds: float, long_audio: LongAudio) -> tuple[AudioRef, ...]:
    """What the model hears one after another: the recordings, or their parts that fit its window."""
    if long_audio != "chunk":
        return question.audios
    return tuple(part for audio in question.audios for part in _parts(audio, seconds))


def _parts(audio: AudioRef, seconds: float) -> list[AudioRef]:
    try:
        return audio.parts(seconds)
    except AudioError:
        return [audio]  # decoding will report what is wrong


def _seconds(audio: AudioRef) -> float:
    """The length of a recording; 0 where it cannot be read."""
    try:
        return audio.length(RATE) / RATE
    except AudioError:
        return 0.0  # decoding will report what is wrong


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
