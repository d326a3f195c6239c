"""The hf policy: generates and trains a transformers checkpoint in this process."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audio_eval.models.hf import adapters
from audio_eval.models.hf.checkpoint import load_checkpoint
from audio_eval.models.hf.gradient import Scored, Sequences, score_completions
from audio_eval.models.hf.inputs import Encoder, Prompt
from audio_eval.models.hf.sampler import sample
from audio_eval.models.policy import Sampling, Training, Usage
from audio_eval.questions import Question
from audio_eval.rl.group import Completion, Group
from audio_eval.rl.loss import grpo_loss


class HFPolicy:
    """A TrainablePolicy. ``batch_size`` is the number of questions that are sampled together, ``max_tokens`` the
    length of a completion where the sampling does not say.
    """

    def __init__(
        self,
        name: str,
        source: str,
        seed: int = 0,
        device: str | None = None,
        batch_size: int = 32,
        max_tokens: int = 64,
        revision: str | None = None,
    ) -> None:
        self.name, self.seed, self.batch_size, self.max_tokens = name, seed, batch_size, max_tokens
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._source, self._pinned = source, revision
        self.usage = Usage()
        self._load()

    def _load(self) -> None:
        dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        self._checkpoint = load_checkpoint(self._source, self.device, dtype, self._pinned)
        self.revision = self._checkpoint.revision
        self.model, self.tokenizer = self._checkpoint.model, self._checkpoint.tokenizer
        self.encoder = Encoder(self._checkpoint)
        self._end_ids = self._find_end_ids()
        self._training: Training | None = None
        self._peft: Any | None = None
        self._reference: dict[str, torch.Tensor] = {}
        self._optimizer: torch.optim.Optimizer | None = None

    def _find_end_ids(self) -> frozenset[int]:
        """Every id that ends an answer: the generation config's, and the tokenizer's own."""
        listed = self.model.generation_config.eos_token_id
        ids = listed if isinstance(listed, list) else [listed]
        return frozenset(i for i in [*ids, self.tokenizer.eos_token_id] if i is not None)

    # --- generation ------------------------------------------------------------------------------------------------

    def generate(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        """One Group a question; batches of ``batch_size`` questions, each encoded and prefilled once."""
        sampling = replace(sampling, max_tokens=sampling.max_tokens or self.max_tokens)
        groups: list[Group] = []
        for start in range(0, len(questions), self.batch_size):
            groups += self._generate_batch(questions[start : start + self.batch_size], sampling)
        return groups

    def _generate_batch(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        with torch.no_grad(), self._precision():
            prompts = self.encoder.prompts(questions)
            usable = [p for p in prompts if isinstance(p, Prompt)]
            drawn = iter(
                sample(self.model, self.tokenizer, self._end_ids, usable, sampling, self.seed) if usable else []
            )
        self.usage.samples += sampling.n * len(usable)
        clips = {p.question.id: p.clip for p in usable if p.clip is not None}
        self.usage.audio_seconds += sum(clip.seconds for clip in clips.values())
        self.usage.failed |= {q.id: p for q, p in zip(questions, prompts, strict=True) if isinstance(p, str)}
        self.usage.truncated |= {id_ for id_, clip in clips.items() if clip.truncated}
        return [
            next(drawn) if isinstance(prompt, Prompt) else Group(question, (), (), error=prompt)
            for question, prompt in zip(questions, prompts, strict=True)
        ]

    def encode(self, question: Question, text: str) -> Group:
        """A group of one given completion, closed by the end token."""
        ids = self.tokenizer.encode(text, add_special_tokens=False)
        tokens = (*ids, self.tokenizer.eos_token_id)
        return Group(question, (Completion(text, tokens),), (1,))

    def _precision(self) -> AbstractContextManager[Any]:
        if self.device.type == "cuda":
            return torch.autocast("cuda", dtype=torch.bfloat16)
        return nullcontext()

    # --- training --------------------------------------------------------------------------------------------------

    def begin_training(self, training: Training) -> None:
        """Attach adapters or unfreeze weights, and set up AdamW."""
        self._training = training
        if training.tune == "lora":
            self._peft = adapters.attach_lora(self.model, training, self.seed)
        else:
            adapters.unfreeze(self.model, training)
            self.encoder.frozen = not training.train_tower
            if training.beta > 0:
                self._reference = {n: p.detach().clone() for n, p in self.model.named_parameters() if p.requires_grad}
        self._names = {p: n for n, p in self.model.named_parameters() if p.requires_grad}
        self._optimizer = torch.optim.AdamW(list(self._names), lr=training.lr, weight_decay=training.weight_decay)

    def train_step(
        self, groups: Sequence[Group], advantages: Sequence[np.ndarray], lr_scale: float = 1.0
    ) -> dict[str, float]:
        """Optimizer steps on the groups; those whose advantages are all zero count in the mean and cost nothing, except
        under a KL (``beta``), which holds them as well.
        """
        assert self._training is not None and self._optimizer is not None, "begin_training comes first"
        for parameters in self._optimizer.param_groups:
            parameters["lr"] = self._training.lr * lr_scale
        total = sum(group.size for group in groups)
        pairs = [(g, a) for g, a in zip(groups, advantages, strict=True) if g.completions and self._counts(a)]
        stats = {"loss": 0.0, "kl": 0.0, "clipped": 0.0, "entropy": 0.0, "grad_norm": 0.0}
        if not pairs:
            return stats
        reference = self._score_reference(pairs) if self._training.beta > 0 else None
        old = self._score(pairs) if self._training.inner_updates > 1 else None
        for _ in range(self._training.inner_updates):
            stats = self._backward(pairs, total, old, reference)
            norm = torch.nn.utils.clip_grad_norm_(list(self._names), self._training.max_grad_norm)
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
            stats["grad_norm"] = float(norm)
        return stats

    def _counts(self, advantages: np.ndarray | float) -> bool:
        """Whether these advantages can have a gradient: the KL has one for an advantage of zero too."""
        assert self._training is not None
        return self._training.beta > 0 or bool(np.any(advantages))

    def _sequences(self, pairs: Sequence[tuple[Group, np.ndarray]]) -> Sequences:
        prompts = self.encoder.prompts([group.question for group, _ in pairs])
        sequences = Sequences([], [], [], [])
        for (group, advantages), prompt in zip(pairs, prompts, strict=True):
            if isinstance(prompt, str):  # a training item whose audio is unreadable teaches nothing, and is named
                self.usage.failed[group.question.id] = prompt
                continue
            for completion, advantage, count in zip(group.completions, advantages, group.counts, strict=True):
                if self._counts(advantage) and completion.tokens:
                    sequences.prompts.append(prompt)
                    sequences.tokens.append(completion.tokens)
                    sequences.advantages.append(float(advantage))
                    sequences.counts.append(count)
        return sequences

    def _score(self, pairs: Sequence[tuple[Group, np.ndarray]]) -> list[torch.Tensor]:
        """Token log-probabilities (T,) of every sequence, without gradient."""
        assert self._training is not None
        with torch.no_grad(), self._precision():
            sequences = self._sequences(pairs)
            rows: list[torch.Tensor] = [torch.empty(0)] * len(sequences)
            for batch in sequences.micro_batches(self._training.token_budget):
                scored: Scored = score_completions(self.model, sequences.select(batch))
                for i, logprobs, mask in zip(batch, scored.logprobs, scored.mask, strict=True):
                    rows[i] = logprobs[mask]
        return rows

    def _score_reference(self, pairs: Sequence[tuple[Group, np.ndarray]]) -> list[torch.Tensor]:
        """The same under the unadapted model: adapters off, or the starting weights put back for a moment."""
        if self._peft is not None:
            with self._peft.disable_adapter():
                return self._score(pairs)
        own = {n: p.detach().clone() for n, p in self.model.named_parameters() if p.requires_grad}
        self._assign(self._reference)
        try:
            return self._score(pairs)
        finally:
            self._assign(own)

    def _assign(self, tensors: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for parameter, name in self._names.items():
                parameter.copy_(tensors[name])

    def _backward(
        self,
        pairs: Sequence[tuple[Group, np.ndarray]],
        total: int,
        old: list[torch.Tensor] | None,
        reference: list[torch.Tensor] | None,
    ) -> dict[str, float]:
        """Accumulate the gradient of the mean loss over ``total`` completions, micro-batch by micro-batch."""
        assert self._training is not None
        sums = {"loss": 0.0, "kl": 0.0, "clipped": 0.0, "entropy": 0.0}
        order = list(self._sequences(pairs).micro_batches(self._training.token_budget))
        for batch in order:
            with self._precision():
                # prompts are embedded anew for each micro-batch: where the tower learns, each needs its own graph
                sequences = self._sequences(pairs).select(batch)
                scored = score_completions(self.model, sequences)

                def padded(rows: list[torch.Tensor], like: Scored = scored, index: list[int] = batch) -> torch.Tensor:
                    return torch.zeros_like(like.logprobs).masked_scatter(
                        like.mask, torch.cat([rows[i] for i in index])
                    )

                terms = grpo_loss(
                    scored.logprobs,
                    scored.logprobs.detach() if old is None else padded(old),
                    None if reference is None else padded(reference),
                    scored.mask,
                    torch.tensor(sequences.advantages, device=self.device, dtype=scored.logprobs.dtype),
                    torch.tensor(sequences.counts, device=self.device, dtype=scored.logprobs.dtype),
                    self._training.clip,
                    self._training.beta,
                )
            (terms.loss / total).backward()
            sums["loss"] += float(terms.loss.detach()) / total
            sums["kl"] += terms.kl / total
            sums["clipped"] += terms.clipped / total
            sums["entropy"] += float(scored.entropy) / len(order)
        return sums

    # --- state -----------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Trained weights (``adapter*.safetensors``) and ``optimizer.safetensors``."""
        folder.mkdir(parents=True, exist_ok=True)
        adapters.save_adapter(folder, self.model, self._peft, self._checkpoint.family)
        if self._optimizer is not None:
            adapters.save_optimizer(folder / "optimizer.safetensors", self._optimizer, self._names)

    def load(self, folder: Path) -> None:
        """Read back what ``save`` wrote, after ``begin_training`` with the same settings."""
        adapters.load_adapter(folder, self.model, self._peft)
        if self._optimizer is not None:
            adapters.load_optimizer(folder / "optimizer.safetensors", self._optimizer, self._names)

    def reset(self) -> None:
        """Load the unadapted model again; encoded clips are kept where the tower did not change."""
        if self._training is None:
            return
        cached = self.encoder if self.encoder.frozen else None
        self._load()
        if cached is not None:
            cached.checkpoint = self._checkpoint
            self.encoder = cached
