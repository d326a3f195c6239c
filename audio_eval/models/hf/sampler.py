"""Multiset sampling: the N samples of a question are drawn together from one prefill.

At each position every live unique prefix with count c draws c next tokens; equal tokens stay one row. What comes out
has the distribution of N independent samples, at the cost of the unique ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

from audio_eval.models.hf.inputs import Prompt, right_pad
from audio_eval.models.policy import Sampling
from audio_eval.rl.group import Completion, Group
from audio_eval.rl.streams import stream


@dataclass
class _Row:
    """A live unique prefix: whose it is, its tokens, how many samples share it."""

    owner: int
    tokens: tuple[int, ...]
    count: int


@torch.no_grad()
def sample(
    model: Any, tokenizer: Any, end_ids: frozenset[int], prompts: Sequence[Prompt], sampling: Sampling, seed: int
) -> list[Group]:
    """Draw ``sampling.n`` completions of each prompt (Q) as one Group each.

    Draws come from the stream (seed, question id, sampling.stream): the batch a question is in does not matter.
    """
    language_model, head = model.model.language_model, model.lm_head
    limit = sampling.max_tokens
    assert limit is not None, "the policy has filled in its own limit"
    embeds_QPH, mask_QP = right_pad([prompt.embeds for prompt in prompts])
    lengths_Q = mask_QP.sum(dim=1)
    cache = DynamicCache(config=language_model.config)
    positions = torch.arange(mask_QP.shape[1], device=mask_QP.device).expand_as(mask_QP)
    out = language_model(
        inputs_embeds=embeds_QPH, attention_mask=mask_QP, position_ids=positions, past_key_values=cache, use_cache=True
    )
    last = out.last_hidden_state[torch.arange(len(prompts), device=mask_QP.device), lengths_Q - 1]
    logits = head(last)
    rows = [_Row(owner, (), sampling.n) for owner in range(len(prompts))]
    streams = [stream(seed, prompt.question.id, sampling.stream) for prompt in prompts]
    done: list[dict[tuple[int, ...], int]] = [{} for _ in prompts]
    finished: set[tuple[int, tuple[int, ...]]] = set()
    mask_RP, next_position = mask_QP, lengths_Q
    for step in range(limit):
        parents, live = [], []
        for parent, (row, draws) in enumerate(zip(rows, _draw(logits, rows, streams, sampling), strict=True)):
            for token, count in draws:
                tokens = (*row.tokens, token)
                if token in end_ids or step == limit - 1:
                    done[row.owner][tokens] = count
                    if token in end_ids:
                        finished.add((row.owner, tokens))
                else:
                    parents.append(parent)
                    live.append(_Row(row.owner, tokens, count))
        if not live:
            break
        if parents != list(range(len(rows))):
            index = torch.tensor(parents, device=mask_RP.device)
            cache.batch_select_indices(index)
            mask_RP, next_position = mask_RP[index], next_position[index]
        rows = live
        mask_RP = torch.cat([mask_RP, mask_RP.new_ones(len(rows), 1)], dim=1)
        tokens_R1 = torch.tensor([[row.tokens[-1]] for row in rows], device=mask_RP.device)
        out = language_model(
            input_ids=tokens_R1, attention_mask=mask_RP, position_ids=next_position[:, None],
            past_key_values=cache, use_cache=True,
        )  # fmt: skip
        next_position = next_position + 1
        logits = head(out.last_hidden_state[:, -1])
    return [
        _group(prompt, done[i], {tokens for owner, tokens in finished if owner == i}, tokenizer, end_ids)
        for i, prompt in enumerate(prompts)
    ]


def _draw(
    logits_RV: torch.Tensor, rows: Sequence[_Row], streams: Sequence[np.random.Generator], sampling: Sampling
) -> list[list[tuple[int, int]]]:
    """For each row the tokens drawn next and their counts."""
    if sampling.temperature == 0:
        return [[(token, row.count)] for token, row in zip(logits_RV.argmax(dim=-1).tolist(), rows, strict=True)]
    probs_RV = torch.softmax(logits_RV.double() / sampling.temperature, dim=-1)
    if sampling.top_p < 1:
        ordered, index = probs_RV.sort(dim=-1, descending=True)
        ordered[ordered.cumsum(dim=-1) - ordered >= sampling.top_p] = 0  # keep the token that crosses the bound
        probs_RV = torch.zeros_like(probs_RV).scatter(-1, index, ordered)
    cumulative_RV = probs_RV.cumsum(dim=-1).cpu().numpy()
    drawn = []
    for row, cumulative in zip(rows, cumulative_RV, strict=True):
        points = streams[row.owner].random(row.count) * cumulative[-1]
        tokens, counts = np.unique(np.searchsorted(cumulative, points, side="right"), return_counts=True)
        drawn.append(list(zip(tokens.tolist(), counts.tolist(), strict=True)))
    return drawn


def _group(
    prompt: Prompt, done: dict[tuple[int, ...], int], finished: set[tuple[int, ...]], tokenizer: Any,
    end_ids: frozenset[int],
) -> Group:  # fmt: skip
    ordered = sorted(done.items(), key=lambda item: (-item[1], item[0]))
    completions = tuple(
        Completion(
            tokenizer.decode(tokens[:-1] if tokens in finished else tokens, skip_special_tokens=True).strip(),
            tokens,
            tokens in finished,
        )
        for tokens, _ in ordered
    )
    return Group(prompt.question, completions, tuple(count for _, count in ordered))
