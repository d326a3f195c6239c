"""The language model's head, applied to completion positions only and to a bounded number of them at a time."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint


def token_logprobs(
    head: Any, hidden_NH: torch.Tensor, targets_N: torch.Tensor, temperatures_N: torch.Tensor, chunk: int,
    entropy_gradient: bool = False,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    """Log-probability (N,) of each target and the entropy (N,) in nats of its distribution, softmax(logits / T); and
    whether the target is the most probable token (N,), which is not looked for where gradients are enabled: False.

    Logits are float32. At most ``chunk`` of the N positions have their logits (chunk, vocabulary) in memory: where N is
    larger, the backward pass computes each chunk's again. ``entropy_gradient``: the entropy carries a gradient, which
    keeps the probabilities in memory beside the logits.
    """
    score = partial(_score, entropy_gradient=entropy_gradient)
    if len(targets_N) <= chunk:
        return score(head, hidden_NH, targets_N, temperatures_N)
    parts = [
        checkpoint(score, head, *part, use_reentrant=False, preserve_rng_state=False)
        for part in zip(*(of_all.split(chunk) for of_all in (hidden_NH, targets_N, temperatures_N)), strict=True)
    ]
    logprobs, entropies, greedy = zip(*parts, strict=True)
    return torch.cat(logprobs), torch.cat(entropies), torch.cat(greedy)


def _score(
    head: Any, hidden_NH: torch.Tensor, targets_N: torch.Tensor, temperatures_N: torch.Tensor, entropy_gradient: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    logits_NV = head(hidden_NH).float().div_(temperatures_N[:, None])  # in place: they are the largest tensor here
    norm_N = logits_NV.logsumexp(dim=-1)
    chosen_N = logits_NV.gather(1, targets_N[:, None])[:, 0] - norm_N
    greedy_N = torch.zeros_like(targets_N, dtype=torch.bool)
    if not torch.is_grad_enabled():
        greedy_N = logits_NV.argmax(dim=-1) == targets_N
    with torch.set_grad_enabled(entropy_gradient and torch.is_grad_enabled()):
        entropy_N = norm_N - (torch.softmax(logits_NV, dim=-1) * logits_NV).sum(dim=-1)
    return chosen_N, entropy_N, greedy_N


@torch.no_grad()
def self_certainty(head: Any, hidden_NH: torch.Tensor, chunk: int) -> torch.Tensor:
    """KL(uniform || p) (N,) in nats of the distribution at each position, ``chunk`` positions at a time.

    logsumexp(logits) - mean(logits) - log V over all V rows of the head, unused ones included; zero for the uniform
    distribution. INTUITOR, arXiv 2505.19590; its code leaves out log V.
    """
    return torch.cat([_certainty(head(hidden).float()) for hidden in hidden_NH.split(chunk)])


def _certainty(logits_NV: torch.Tensor) -> torch.Tensor:
    return logits_NV.logsumexp(dim=-1) - logits_NV.mean(dim=-1) - math.log(logits_NV.shape[-1])
