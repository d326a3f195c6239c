"""The gradient of a training step: which completions are scored, and their loss in micro-batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from audio_eval.group import Completion, Group
from audio_eval.models.hf.logprobs import Batch, LogprobEngine
from audio_eval.models.hf.loss import Totals, completion_weights, token_terms, weighted_sum
from audio_eval.models.hf.microbatch import Piece
from audio_eval.models.policy import Training

METRICS = ("loss", "kl", "clipped", "entropy")


@dataclass
class Step:
    """The batch of an update, with an advantage and a count for each of its completions (U).

    ``totals`` are over all completions of the update, skipped ones included; ``truncated`` of them were cut.
    """

    batch: Batch
    advantages: list[float]
    counts: list[int]
    totals: Totals
    truncated: int


def mini_batches(
    groups: Sequence[Group], advantages: Sequence[np.ndarray], size: int | None
) -> list[tuple[list[Group], list[np.ndarray]]]:
    """The groups and advantages of a step in parts of ``size`` questions, in order; None: all in one part.

    Groups of the same question, such as its views, stay together.
    """
    place = {id_: i for i, id_ in enumerate(dict.fromkeys(group.question.id for group in groups))}
    parts: dict[int, tuple[list[Group], list[np.ndarray]]] = {}
    for group, of_group in zip(groups, advantages, strict=True):
        part = parts.setdefault(place[group.question.id] // (size or len(place)), ([], []))
        part[0].append(group)
        part[1].append(of_group)
    return list(parts.values())


class Learner:
    """Accumulates gradients in ``parameters``. The policy decides when the optimizer steps."""

    def __init__(
        self, scorer: LogprobEngine, training: Training, parameters: Sequence[torch.nn.Parameter], max_tokens: int
    ) -> None:
        self.scorer, self.training, self.parameters, self.max_tokens = scorer, training, parameters, max_tokens
        if training.checkpointing:
            decoder = scorer.checkpoint.language_model
            newer = getattr(decoder, "activation_checkpointing_enable", None)  # its name from transformers 5.23 on
            (newer or decoder.gradient_checkpointing_enable)({"use_reentrant": False})

    def gather(self, groups: Sequence[Group], advantages: Sequence[np.ndarray]) -> Step:
        """Leave out the completions that have no gradient before any forward pass: without a KL or an entropy bonus
        those with advantage zero, with ``mask_truncated`` those that were cut.
        """
        chosen = [
            [u for u, (c, a) in enumerate(zip(group.completions, of_group, strict=True)) if self._matters(c, a)]
            for group, of_group in zip(groups, advantages, strict=True)
        ]
        batch = self.scorer.batch(groups, chosen)
        drawn = [(c, n) for group in groups for c, n in zip(group.completions, group.counts, strict=True)]
        return Step(
            batch,
            [float(advantages[g][u]) for g, u in batch.places],
            [groups[g].counts[u] for g, u in batch.places],
            Totals(
                sum(n for _, n in drawn),
                sum(len(c.token_ids) * n for c, n in drawn if not self._masked(c)),
                self.max_tokens,
            ),
            sum(n for c, n in drawn if not c.finished),
        )

    def backward(
        self, step: Step, old: list[torch.Tensor] | None, reference: list[torch.Tensor] | None
    ) -> dict[str, float]:
        """Leave the gradient of the update's loss in the parameters. ``old`` None: the ratios are 1.

        Metrics: ``loss``; ``kl`` and ``clipped``, means over all completions of their token means, whatever the loss;
        ``entropy`` in nats, the mean over the tokens that were scored.
        """

        def accumulate(micro: list[list[Piece]]) -> dict[str, float]:
            for parameter in self.parameters:
                parameter.grad = None
            sums = dict.fromkeys(METRICS, 0.0)
            for pieces in micro:
                part = self._add_gradient(step, pieces, old, reference)
                sums = {name: sums[name] + part[name] for name in METRICS}
            return sums

        return self.scorer.in_budget(step.batch, accumulate)

    def _add_gradient(
        self, step: Step, pieces: list[Piece], old: list[torch.Tensor] | None, reference: list[torch.Tensor] | None
    ) -> dict[str, float]:
        index = [u for piece in pieces for u in piece.completions]
        scored = self.scorer.forward(step.batch, pieces)
        mask_UT, like = scored.mask_UT, scored.logprobs_UT.detach()

        def padded(rows: list[torch.Tensor]) -> torch.Tensor:
            return torch.zeros_like(like).masked_scatter(mask_UT, torch.cat([rows[u] for u in index]))

        terms = token_terms(
            scored.logprobs_UT,
            like if old is None else padded(old),
            None if reference is None else padded(reference),
            scored.entropy_UT,
            mask_UT,
            like.new_tensor([step.advantages[u] for u in index]),
            self.training,
        )
        lengths_U = mask_UT.sum(dim=1)
        counts_U = like.new_tensor([step.counts[u] for u in index])
        weights_U = completion_weights(self.training.loss, lengths_U, counts_U, step.totals)
        loss = weighted_sum(terms.loss_UT, mask_UT, weights_U)
        loss.backward()
        means_U = completion_weights("grpo", lengths_U, counts_U, step.totals)
        tokens = sum(len(row) * count for row, count in zip(step.batch.tokens, step.counts, strict=True))
        return {
            "loss": float(loss.detach()),
            "kl": float(weighted_sum(terms.kl_UT, mask_UT, means_U)),
            "clipped": float(weighted_sum(terms.clipped_UT, mask_UT, means_U)),
            "entropy": float(weighted_sum(scored.entropy_UT.detach(), mask_UT, counts_U)) / tokens,
        }

    def _masked(self, completion: Completion) -> bool:
        return self.training.mask_truncated and not completion.finished

    def _matters(self, completion: Completion, advantage: float) -> bool:
        """Whether it can have a gradient. With a KL or an entropy bonus even an advantage of zero has one."""
        regularised = self.training.beta > 0 or self.training.entropy_coef > 0
        return not self._masked(completion) and (regularised or advantage != 0)
