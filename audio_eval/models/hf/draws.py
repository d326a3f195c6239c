"""Draws a token for each sample on the device, by inverting the cumulative distribution of the row it is in.

A sample's token depends only on its own uniform number and its row's distribution. Only these numbers and the tokens
are copied between host and device, never a whole distribution.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from audio_eval.models.hf.transfer import to_device
from audio_eval.models.policy import Sampling

_CELLS = 1 << 25  # rows x vocabulary that are handled at once: 256 MB of cumulative sums
_ONE = 2.0**62  # a probability of 1 as an integer
_HEAD = 1024  # most probable tokens among which top_p mostly ends


def draw(head: Any, hidden_RH: torch.Tensor, row_S: np.ndarray, point_S: np.ndarray, sampling: Sampling) -> np.ndarray:
    """The next token (S,) of samples in rows ``row_S`` (rising), by points (S,) in [0, 1), unused when greedy.

    ``head`` maps hidden states (R, hidden) to logits (R, V).
    """
    rows = len(hidden_RH)
    chunk = max(1, _CELLS // head.weight.shape[0])
    found, picked, offset = [], [], 0
    for start in range(0, rows, chunk):
        logits_RV = head(hidden_RH[start : start + chunk]).float()
        first, last = np.searchsorted(row_S, [start, start + chunk])
        part_S = row_S[first:last] - start
        if sampling.temperature == 0:
            tokens, at = logits_RV.argmax(dim=-1), part_S
        else:
            tokens, at = _invert(probabilities(logits_RV, sampling), part_S, point_S[first:last])
        found.append(tokens)
        picked.append(at + offset)
        offset += len(tokens)
    return torch.cat(found).cpu().numpy()[np.concatenate(picked)]  # the only place where the host waits


def probabilities(logits_RV: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """The distributions to draw from (R, V), not normalised: after temperature, top_k and top_p, in this order.

    Tokens as probable as the last kept one are kept too, so that the order among equals does not matter.
    """
    probs_RV = torch.softmax(logits_RV / sampling.temperature, dim=-1)
    vocabulary = probs_RV.shape[-1]
    if sampling.top_k and sampling.top_k < vocabulary:
        least_R1 = probs_RV.topk(sampling.top_k, dim=-1).values[:, -1:]
        probs_RV = probs_RV.masked_fill(probs_RV < least_R1, 0.0)
    if sampling.top_p < 1:
        bound_R1 = sampling.top_p * probs_RV.sum(dim=-1, keepdim=True)
        ordered = probs_RV.topk(min(_HEAD, vocabulary), dim=-1).values
        if bool((ordered.sum(dim=-1, keepdim=True) < bound_R1).any()):
            ordered = probs_RV.sort(dim=-1, descending=True).values
        # the token that crosses the bound is kept, and always the first one
        before = _cumulative(ordered.clone()).double() / _ONE - ordered
        kept_R1 = (before < bound_R1).sum(dim=-1, keepdim=True).clamp(min=1)
        probs_RV = probs_RV.masked_fill(probs_RV < ordered.gather(-1, kept_R1 - 1), 0.0)
    return probs_RV


def _invert(probs_RV: torch.Tensor, row_S: np.ndarray, point_S: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
    """For each sample the token whose interval of its row's cumulative sum contains the sample's point.

    Tokens on the device, and the place (S,) of each sample's among them.
    """
    cumulative_RV = _cumulative(probs_RV)
    counts_R = np.bincount(row_S, minlength=len(probs_RV))
    column_S = np.arange(len(row_S)) - (counts_R.cumsum() - counts_R)[row_S]
    points_RM = np.zeros((len(probs_RV), int(counts_R.max())))
    points_RM[row_S, column_S] = point_S
    [points] = to_device([points_RM.ravel()], probs_RV.device)
    total_R1 = cumulative_RV[:, -1:]
    scaled_RM = torch.minimum((points.view(points_RM.shape) * total_R1).long(), total_R1 - 1)
    tokens_RM = torch.searchsorted(cumulative_RV, scaled_RM, right=True)  # never a token with probability zero
    return tokens_RM.flatten(), row_S * points_RM.shape[1] + column_S


def _cumulative(probs_RV: torch.Tensor) -> torch.Tensor:
    """Cumulative sums (R, V) of probabilities, as integers in units of 2**-62, which hold every float32 above 2**-38.
    ``probs_RV`` itself becomes these units, as there may be no memory for both.

    They are exact: no rare token is lost to rounding, and the order in which a GPU adds up does not matter. Of floating
    point numbers PyTorch has no deterministic cumulative sum there.
    """
    return probs_RV.mul_(_ONE).cumsum(dim=-1, dtype=torch.int64)
