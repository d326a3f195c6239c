"""The GRPO family's loss on unique completions. SFT is a special case: one given completion with advantage 1.

A step's loss is the sum over unique completions u of ``weight_u`` times the sum of u's token losses. All divisors are
in the weights and are totals of the whole step, so the gradient does not depend on the micro-batches. A completion that
was drawn c times has c times the weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from audio_eval.models.policy import LossName, Training


@dataclass(frozen=True)
class Totals:
    """The numbers of sampled completions and of their tokens in a step, and the longest length allowed.

    Skipped groups count as well: an advantage of zero is a loss of zero, not a missing one. A completion that is masked
    because it was cut counts in ``completions``, but not in ``tokens``.
    """

    completions: int
    tokens: int
    max_tokens: int


@dataclass
class TokenTerms:
    """For each token (U, T): the loss, which carries the gradient, the KL, and 1 where the ratio was clipped."""

    loss_UT: torch.Tensor
    kl_UT: torch.Tensor
    clipped_UT: torch.Tensor


def token_terms(
    logprobs_UT: torch.Tensor,
    old_logprobs_UT: torch.Tensor,
    ref_logprobs_UT: torch.Tensor | None,
    entropy_UT: torch.Tensor,
    mask_UT: torch.Tensor,
    advantages_U: torch.Tensor,
    training: Training,
) -> TokenTerms:
    """Clipped policy gradient with a KL and an entropy bonus, token by token; ``mask_UT`` is 1 at real tokens.

        ratio = p / p_old
        loss  = -min(ratio A, clamp(ratio, 1 - clip, 1 + clip_high) A) + beta KL - entropy_coef H
        KL    = p_ref / p - log(p_ref / p) - 1

    DeepSeekMath, arXiv 2402.03300, eq. 3, and eq. 4 for the KL (the estimator k3 of Schulman, "Approximating KL
    divergence", 2020). A separate ``clip_high`` is DAPO's clip-higher, arXiv 2503.14476, section 3.1; None: ``clip``.
    H is the entropy in nats of the token's distribution. Under ``gspo`` the ratio is that of the whole completion.
    """
    advantages_U1 = advantages_U[:, None]
    ratio = _ratios(training.loss, logprobs_UT - old_logprobs_UT, mask_UT)
    gain = ratio * advantages_U1
    above = training.clip if training.clip_high is None else training.clip_high
    clipped_gain = ratio.clamp(1 - training.clip, 1 + above) * advantages_U1
    loss_UT = -torch.minimum(gain, clipped_gain)
    kl_UT = torch.zeros_like(loss_UT)
    if ref_logprobs_UT is not None and training.beta > 0:
        difference = ref_logprobs_UT - logprobs_UT
        kl_UT = difference.exp() - difference - 1
        loss_UT = loss_UT + training.beta * kl_UT
    if training.entropy_coef > 0:
        loss_UT = loss_UT - training.entropy_coef * entropy_UT
    return TokenTerms(loss_UT, kl_UT.detach(), (clipped_gain < gain).to(loss_UT.dtype))


def _ratios(loss: LossName, log_ratios_UT: torch.Tensor, mask_UT: torch.Tensor) -> torch.Tensor:
    """P / p_old of each token; under ``gspo`` the geometric mean over the completion, for each of its tokens."""
    if loss == "gspo":
        lengths_U1 = mask_UT.sum(dim=1, keepdim=True).clamp(min=1)
        means_U1 = (log_ratios_UT * mask_UT).sum(dim=1, keepdim=True) / lengths_U1
        log_ratios_UT = means_U1.expand_as(log_ratios_UT)
    return log_ratios_UT.exp()


def completion_weights(loss: LossName, lengths_U: torch.Tensor, counts_U: torch.Tensor, totals: Totals) -> torch.Tensor:
    """The weight (U,) of each token of a completion. Names and formulas are TRL's (``GRPOTrainer._compute_loss``).

    With N completions of T_i tokens in the step and l the token losses:

    - ``grpo``: 1/N sum_i 1/T_i sum_t l_it. DeepSeekMath, arXiv 2402.03300, eq. 3.
    - ``dr_grpo``: 1/(N max_tokens) sum_i sum_t l_it: no length bias. Dr. GRPO, arXiv 2503.20783.
    - ``dapo``: 1/(sum_i T_i) sum_i sum_t l_it: all tokens weigh the same. DAPO, arXiv 2503.14476, section 3.3.
    - ``bnpo``: divided by the tokens of the batch, arXiv 2506.02864. TRL's batch is the micro-batch, so there the
      gradient depends on the micro-batches. Here the batch is the step, which makes it equal to ``dapo``.
    - ``gspo``: like ``grpo``, with one ratio per completion, exp(mean_t(log p - log p_old)), which is clipped as a
      whole. GSPO, arXiv 2507.18071, eq. 5 to 7 (TRL: ``importance_sampling_level="sequence"``). Such ratios stay closer
      to 1: the paper's ``clip`` and ``clip_high`` are 3e-4 and 4e-4.
    """
    if loss in ("grpo", "gspo"):
        return counts_U / (lengths_U.clamp(min=1) * totals.completions)
    if loss == "dr_grpo":
        return counts_U / (totals.completions * totals.max_tokens)
    return counts_U / totals.tokens


def weighted_sum(values_UT: torch.Tensor, mask_UT: torch.Tensor, weights_U: torch.Tensor) -> torch.Tensor:
    """Sum over real tokens, each with its completion's weight."""
    return ((values_UT * mask_UT).sum(dim=1) * weights_U).sum()
