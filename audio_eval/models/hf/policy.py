"""The hf policy: generates and trains a transformers checkpoint in this process."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audio_eval.group import Completion, Group
from audio_eval.models.backends import LongAudio
from audio_eval.models.hf.batches import cut_batches
from audio_eval.models.hf.checkpoint import Checkpoint, load_checkpoint
from audio_eval.models.hf.decoding import Decoding
from audio_eval.models.hf.inputs import EmbeddedPrompt, QuestionEncoder
from audio_eval.models.hf.logprobs import LogprobEngine
from audio_eval.models.hf.merge import merge_adapter
from audio_eval.models.hf.prefill import Prefills
from audio_eval.models.hf.sampler import end_ids, sample
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.models.hf.trainer import Trainer
from audio_eval.models.policy import PolicyInfo, PromptLength, Sampling, Training, Update
from audio_eval.questions import Question


class HFPolicy:
    """A TrainablePolicy. ``batch_size`` is how many questions are sampled together at most, ``max_tokens`` the longest
    completion where the sampling does not say. ``engine`` changes speed and memory only. An ``adapter`` is merged into
    the model, which with it is the unadapted one. A recording longer than the family's window is dealt with by
    ``long_audio``.
    """

    def __init__(
        self,
        name: str,
        source: str,
        device: str | None = None,
        batch_size: int = 32,
        max_tokens: int = 64,
        revision: str | None = None,
        engine: EngineSettings | None = None,
        adapter: str | None = None,
        long_audio: LongAudio = "cut",
    ) -> None:
        self.name, self.batch_size, self.max_tokens = name, batch_size, max_tokens
        self.device = device_of(device)
        self._source, self._pinned, self._adapter, self._long_audio = source, revision, adapter, long_audio
        self._engine = engine or EngineSettings()
        self._dtype = _dtype(self._engine.dtype, self.device)
        # no bound method: without a reference cycle an unused model is freed at once
        self._precision = partial(_precision, self.device, self._dtype)
        self._start(self._load())

    def _load(self) -> Checkpoint:
        checkpoint = load_checkpoint(self._source, self.device, self._dtype, self._pinned)
        return merge_adapter(checkpoint, self._adapter, self._source) if self._adapter else checkpoint

    def _start(self, checkpoint: Checkpoint, encoder: QuestionEncoder | None = None) -> None:
        """With the unadapted model; ``encoder`` keeps the clips it has."""
        self.checkpoint, self.model, self.tokenizer = checkpoint, checkpoint.model, checkpoint.tokenizer
        self.encoder = encoder or QuestionEncoder(checkpoint, self._engine, self._long_audio)
        self.encoder.checkpoint = checkpoint
        self._prefills = Prefills(self._engine.prefill_tokens)
        self.decoding = Decoding(checkpoint, self._engine, self._dtype)
        self._end_ids = end_ids(self.model.generation_config, self.tokenizer)
        self._scorer = LogprobEngine(self.encoder, Training.model_validate({}), self._precision)
        self._trainer: Trainer | None = None

    @property
    def info(self) -> PolicyInfo:
        """The model, and the device in words."""
        device = f"cpu ({torch.get_num_threads()} threads)"
        if self.device.type == "cuda":
            device = f"cuda ({torch.cuda.get_device_name(self.device)})"
        return PolicyInfo(self.name, self.checkpoint.revision, "hf", device, trainable=True)

    @property
    def trained_parameters(self) -> int:
        """How many parameters are trained; 0 before ``begin_training``."""
        return sum(parameter.numel() for parameter in self._trainer.names) if self._trainer else 0

    @property
    def max_length(self) -> int:
        """How many tokens a prompt and its completion may have together."""
        return int(self.checkpoint.language_model.config.max_position_embeddings)

    def prompt_length(self, question: Question) -> PromptLength:
        """Length of the prompt by the tokenizer and, from the recording's header, the family's formula."""
        asked = self.encoder.ask(question)
        clips = len(asked.clips) if asked.audio_tokens else 0
        return PromptLength(asked.tokens - clips, asked.audio_tokens)  # a clip replaces its placeholder

    # --- generation ------------------------------------------------------------------------------------------------

    def generate(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        """One Group a question, in order; sampled in batches that depend on these questions alone, longest first."""
        sampling = replace(sampling, max_tokens=sampling.max_tokens or self.max_tokens)
        asked = [self.encoder.ask(question) for question in questions]
        most = self.decoding.most_questions(self.batch_size, sampling)
        batches = cut_batches([a.tokens for a in asked], self._engine.token_budget, most)
        groups: dict[int, Group] = {}
        stream = self.encoder.stream([[asked[i] for i in batch] for batch in batches])
        with torch.no_grad(), self.decoding.weights(), self._precision(), closing(stream):
            for batch, prompts in zip(batches, stream, strict=True):
                drawn = self._in_memory([questions[i] for i in batch], prompts, sampling)
                groups |= zip(batch, drawn, strict=True)
        return [groups[i] for i in range(len(questions))]

    def _in_memory(
        self, questions: Sequence[Question], prompts: Sequence[EmbeddedPrompt | str], sampling: Sampling
    ) -> list[Group]:
        """A batch, by halves where the device has no memory for it; a question that does not fit alone has failed."""
        try:
            return self._generate_batch(questions, prompts, sampling)
        except torch.OutOfMemoryError:
            self._prefills.drop()
        # outside of the except block the error no longer holds the tensors of the batch
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(questions) == 1:
            return [Group(questions[0], (), (), error="the device has no memory for this question and its samples")]
        half = len(questions) // 2
        parts = ((questions[:half], prompts[:half]), (questions[half:], prompts[half:]))
        return [group for part in parts for group in self._in_memory(*part, sampling)]

    def _generate_batch(
        self, questions: Sequence[Question], prompts: Sequence[EmbeddedPrompt | str], sampling: Sampling
    ) -> list[Group]:
        usable = [p for p in prompts if isinstance(p, EmbeddedPrompt)]
        drawn: Iterator[Group] = iter(())
        if usable:
            with self.decoding.precision():
                rows = self.decoding.start(self._prefills.of(self.checkpoint, usable))
                drawn = iter(sample(self.checkpoint, self._end_ids, [p.question for p in usable], rows, sampling))
        return [
            _heard(next(drawn), prompt) if isinstance(prompt, EmbeddedPrompt) else Group(question, (), (), error=prompt)
            for question, prompt in zip(questions, prompts, strict=True)
        ]

    def encode(self, question: Question, text: str) -> Group:
        """A group of one given completion, closed by the end token."""
        ids = self.tokenizer.encode(text, add_special_tokens=False)
        tokens = (*ids, self.tokenizer.eos_token_id)
        return Group(question, (Completion(text, tokens),), (1,))

    def logprobs(self, groups: Sequence[Group]) -> list[Group]:
        """The groups with their completions' log-probabilities; a question's prompt is forwarded once for all of them.

        ``token_budget`` and ``logits_chunk`` are those of the training, or the default ones before it begins.
        """
        batch = self._scorer.batch(groups, [range(len(group.completions)) for group in groups])
        scored = dict(zip(batch.places, self._scorer.scores(batch), strict=True))
        found = []
        for g, group in enumerate(groups):
            rows = [scored.get((g, u), (torch.zeros(0), True)) for u in range(len(group.completions))]
            completions = tuple(
                replace(completion, logprobs=tuple(row.tolist()), greedy=greedy)
                for completion, (row, greedy) in zip(group.completions, rows, strict=True)
            )
            seconds, truncated = batch.heard.get(g, (0.0, False))
            whole = replace(group, completions=completions, audio_seconds=seconds, truncated=truncated)
            error = batch.failed.get(group.question.id)
            found.append(whole if error is None else Group(group.question, (), (), error=error))
        return found

    def self_certainty(self, groups: Sequence[Group]) -> list[np.ndarray]:
        """Self-certainty (U,) of each group's completions under the current weights; 0 for a completion of no tokens.

        ``token_budget`` and ``logits_chunk`` are those of the training, or the default ones before it begins.
        """
        batch = self._scorer.batch(groups, [range(len(group.completions)) for group in groups])
        found = [np.zeros(0 if group.question.id in batch.failed else len(group.completions)) for group in groups]
        for (group, u), value in zip(batch.places, self._scorer.self_certainty(batch), strict=True):
            found[group][u] = value
        return found

    # --- training --------------------------------------------------------------------------------------------------

    def begin_training(self, training: Training, seed: int) -> None:
        """Attach adapters, whose start depends on ``seed``, or unfreeze weights; and set up the optimizer."""
        drop = self._prefills.drop
        self._trainer = Trainer(self.encoder, training, seed, self.max_tokens, self._precision, drop)
        self._scorer = self._trainer.scorer
        if self._trainer.peft is not None:
            self.decoding.adapt(self._trainer.peft)

    def train_step(self, groups: Sequence[Group], advantages: Sequence[np.ndarray], lr_scale: float = 1.0) -> Update:
        """Optimizer updates on the groups. A group whose advantages are all zero counts in the means and costs nothing,
        unless there is a KL penalty (``beta``) or an entropy bonus (``entropy_coef``), which apply to it as well. A
        mini-batch in which nothing has a gradient makes no update.

        Metrics are the learner's and ``grad_norm``, means over the mini-batches of the last pass; ``updates``, the
        number of optimizer updates; ``oom_retries``; ``truncated``, the share of completions cut at max_tokens.
        """
        return self._in_training.step(groups, advantages, lr_scale)

    # --- state -----------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Trained weights (``adapter*.safetensors``) and ``optimizer.safetensors``."""
        self._in_training.save(folder)

    def save_weights(self, folder: Path) -> None:
        """The trained weights alone."""
        self._in_training.save(folder, weights_only=True)

    @property
    def chosen(self) -> dict[str, Any]:
        """Settings of the training that follow from the device's memory."""
        return self._in_training.chosen

    def checkpoint_bytes(self, weights_only: bool) -> int:
        """Bytes of what ``save`` writes, or ``save_weights``."""
        return self._in_training.bytes(weights_only)

    def load(self, folder: Path) -> None:
        """Read back what ``save`` wrote, after ``begin_training`` with the same settings."""
        self._in_training.load(folder)

    def reset(self) -> None:
        """Take adapters off, or load the unadapted model again once the trained one is gone: there are never two.

        Encoded clips are kept where the tower did not change.
        """
        if self._trainer is None and hasattr(self, "model"):
            return
        encoder = self.encoder if self.encoder.frozen else None
        if self._trainer is not None and self._trainer.take_off():
            self._start(self.checkpoint, encoder)
            return
        self.encoder.checkpoint = self._trainer = None  # type: ignore[assignment]
        for name in ("checkpoint", "model", "_scorer", "_prefills", "decoding"):  # absent where a load failed
            self.__dict__.pop(name, None)
        gc.collect()  # modules refer to each other in circles
        self._start(self._load(), encoder)

    @property
    def _in_training(self) -> Trainer:
        assert self._trainer is not None, "begin_training comes first"
        return self._trainer


def _heard(group: Group, prompt: EmbeddedPrompt) -> Group:
    """The group with what the model was given to hear."""
    return replace(group, truncated=prompt.truncated, audio_seconds=prompt.seconds) if prompt.clips else group


def device_of(name: str | None) -> torch.device:
    """The device of that name; None: the GPU, where there is one."""
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def _dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype of that name; "auto" is bfloat16 on a GPU and float32 on a CPU."""
    if name == "auto":
        name = "bfloat16" if device.type == "cuda" else "float32"
    return getattr(torch, name)


def _precision(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Autocast to the weights' dtype; weights in training are float32."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype=dtype)
