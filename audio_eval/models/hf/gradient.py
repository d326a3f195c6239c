"""Log-probabilities of unique completions under the model, and micro-batches by token budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from audio_eval.models.hf.inputs import Prompt, right_pad


@dataclass
class Sequences:
    """Completions to score: for each (U) its prompt, its tokens, its advantage and its count."""

    prompts: list[Prompt]
    tokens: list[tuple[int, ...]]
    advantages: list[float]
    counts: list[int]

    def __len__(self) -> int:
        return len(self.tokens)

    def select(self, index: Sequence[int]) -> Sequences:
        """The completions of these indices."""
        return Sequences(
            [self.prompts[i] for i in index],
            [self.tokens[i] for i in index],
            [self.advantages[i] for i in index],
            [self.counts[i] for i in index],
        )

    def micro_batches(self, budget: int) -> Iterator[list[int]]:
        """Indices of batches of at most ``budget`` tokens after padding, longest first; never empty."""
        length = [len(p.embeds) + len(t) for p, t in zip(self.prompts, self.tokens, strict=True)]
        batch: list[int] = []
        for i in sorted(range(len(self)), key=lambda i: (-length[i], i)):
            if batch and length[batch[0]] * (len(batch) + 1) > budget:
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch


@dataclass
class Scored:
    """Token log-probabilities (U, T), the mask of real tokens (U, T), and the mean entropy of their distributions."""

    logprobs: torch.Tensor
    mask: torch.Tensor
    entropy: torch.Tensor


def score_completions(model: Any, sequences: Sequences) -> Scored:
    """Forward prompt and completion of each sequence; the head is applied to completion positions only."""
    embed = model.get_input_embeddings()
    device = model.lm_head.weight.device
    tokens = [torch.tensor(t, device=device) for t in sequences.tokens]
    rows = [
        torch.cat([p.embeds, embed(t[:-1]).to(p.embeds.dtype)]) for p, t in zip(sequences.prompts, tokens, strict=True)
    ]
    embeds, mask = right_pad(rows)
    positions = torch.arange(mask.shape[1], device=device).expand_as(mask)
    hidden = model.model.language_model(
        inputs_embeds=embeds, attention_mask=mask, position_ids=positions, use_cache=False
    ).last_hidden_state
    longest = max(len(t) for t in tokens)
    starts = torch.tensor([len(p.embeds) - 1 for p in sequences.prompts], device=device)
    at = (starts[:, None] + torch.arange(longest, device=device)[None, :]).clamp(max=hidden.shape[1] - 1)
    lengths = torch.tensor([len(t) for t in tokens], device=device)
    real = torch.arange(longest, device=device)[None, :] < lengths[:, None]
    predicting = hidden.gather(1, at[:, :, None].expand(-1, -1, hidden.shape[-1]))[real]
    logprobs = torch.log_softmax(model.lm_head(predicting).float(), dim=-1)
    chosen = logprobs.gather(1, torch.cat(tokens)[:, None])[:, 0]
    entropy = -(logprobs.detach().exp() * logprobs.detach()).sum(dim=-1)
    scored = torch.zeros(real.shape, device=device, dtype=chosen.dtype)
    return Scored(scored.masked_scatter(real, chosen), real, entropy.mean())
