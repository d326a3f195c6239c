"""The GRPO loss on unique completions. SFT is its special case: one given completion with advantage 1."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass
class LossTerms:
    """Sums over the completions of a micro-batch, each weighted by its count; ``loss`` carries the gradient."""

    loss: torch.Tensor
    kl: float
    clipped: float


def grpo_loss(
    logprobs_UT: torch.Tensor,
    old_logprobs_UT: torch.Tensor,
    ref_logprobs_UT: torch.Tensor | None,
    mask_UT: torch.Tensor,
    advantages_U: torch.Tensor,
    counts_U: torch.Tensor,
    clip: float,
    beta: float,
) -> LossTerms:
    """Clipped policy gradient with a k3 KL, token mean within a completion (DeepSeekMath, arXiv 2402.03300, eq. 3).

    The sum over completions is not yet divided by their number, so that micro-batches add up: the caller divides by
    the step's total count.
    """
    ratio = (logprobs_UT - old_logprobs_UT).exp()
    gain = ratio * advantages_U[:, None]
    clipped_gain = ratio.clamp(1 - clip, 1 + clip) * advantages_U[:, None]
    per_token = -torch.minimum(gain, clipped_gain)
    kl_UT = torch.zeros_like(per_token)
    if ref_logprobs_UT is not None and beta > 0:
        difference = ref_logprobs_UT - logprobs_UT
        kl_UT = difference.exp() - difference - 1
        per_token = per_token + beta * kl_UT
    lengths_U = mask_UT.sum(dim=1).clamp(min=1)

    def total(values_UT: torch.Tensor) -> torch.Tensor:
        return ((values_UT * mask_UT).sum(dim=1) / lengths_U * counts_U).sum()

    return LossTerms(total(per_token), float(total(kl_UT.detach())), float(total((clipped_gain < gain).float())))
