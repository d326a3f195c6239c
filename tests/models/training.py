"""What tests of training share: policies in training, groups, and the gradient of GRPO computed plainly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from audio_eval.group import Completion, Group
from audio_eval.models.hf.layout import SharedPrefix
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import LossName, Sampling, Training
from audio_eval.questions import Question
from tests.models.checkpoints import model_inputs, question
from tests.models.conftest import Built

UNCLIPPED = 1e9  # max_grad_norm: gradients are compared as they are
Gradients = dict[str, torch.Tensor]
LOSSES: tuple[LossName, ...] = ("grpo", "dr_grpo", "dapo", "bnpo")


def settings(tune: str = "lora", **other: Any) -> Training:
    chosen: dict[str, Any] = {"tune": tune, "lora_r": 4, "lora_alpha": 8, "lr": 1e-3, "max_grad_norm": UNCLIPPED}
    return Training(**chosen | other)


def started(built: Built, training: Training, seed: int = 3) -> HFPolicy:
    """A policy in training. LoRA's second factor gets values: it starts at zero, which makes half the gradient zero."""
    policy = built.policy()
    policy.begin_training(training, seed)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter, name in names_of(policy).items():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return policy


def groups_of(policy: HFPolicy, n: int = 8, questions: Sequence[Question] | None = None) -> list[Group]:
    """Sampled groups with repeated completions: clips of several lengths, one question without audio."""
    asked = questions or [question(1, 0.4), question(2, 1.3), question(3), question(4, 2.1)]
    sampled = policy.generate(asked, Sampling(n=n, temperature=0.15, max_tokens=5, stream="train"))
    return [of_several_lengths(group, policy) for group in sampled]


def of_several_lengths(group: Group, policy: HFPolicy) -> Group:
    """Every third completion is cut to two tokens; those with a placeholder, which is refused, are left out."""
    media = set(policy.tokenizer.convert_tokens_to_ids(["<|AUDIO|>", "<|IMAGE|>", "<|VIDEO|>"]))
    counts: dict[tuple[int, ...], int] = {}
    for u, (completion, count) in enumerate(zip(group.completions, group.counts, strict=True)):
        tokens = completion.tokens[:2] if u % 3 == 1 else completion.tokens
        if not media & set(tokens):
            counts[tokens] = counts.get(tokens, 0) + count
    completions = tuple(Completion(policy.tokenizer.decode(tokens), tokens) for tokens in counts)
    return Group(group.question, completions, tuple(counts.values()))


def advantages_of(groups: Sequence[Group]) -> list[np.ndarray]:
    return [np.random.default_rng(i).normal(size=len(group.counts)) for i, group in enumerate(groups)]


def names_of(policy: HFPolicy) -> dict[torch.nn.Parameter, str]:
    """The parameters in training."""
    return {parameter: name for name, parameter in policy.model.named_parameters() if parameter.requires_grad}


def gradients_of(policy: HFPolicy) -> Gradients:
    return {name: p.grad.clone() for p, name in names_of(policy).items() if p.grad is not None}


def before_each_update(policy: HFPolicy, look: Callable[[], None]) -> None:
    """Call ``look`` whenever the optimizer is about to step."""
    assert policy._trainer is not None
    policy._trainer.optimizer.register_step_pre_hook(lambda *_: look())


def record(policy: HFPolicy) -> list[Gradients]:
    """The gradients of each optimizer step, as they are before it."""
    seen: list[Gradients] = []
    before_each_update(policy, lambda: seen.append(gradients_of(policy)))
    return seen


def all_logprobs(built: Built, policy: HFPolicy, groups: Sequence[Group]) -> list[list[torch.Tensor]]:
    """Log-probabilities (T,) of each *sample* of each group by the whole model's forward, prompt and all."""
    rows: list[list[torch.Tensor]] = []
    for group in groups:
        inputs = model_inputs(built.kind, policy.tokenizer, policy.encoder.checkpoint.extractor, group.question)
        prompt = inputs["input_ids"]
        rows.append([])
        for completion, count in zip(group.completions, group.counts, strict=True):
            ids = torch.cat([prompt, torch.tensor([completion.tokens])], dim=1)
            logits = policy.model(**inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}).logits
            logprobs = torch.log_softmax(logits[0, prompt.shape[1] - 1 : -1].float(), dim=-1)
            rows[-1] += [logprobs[torch.arange(len(completion.tokens)), torch.tensor(completion.tokens)]] * count
    return rows


def detached(rows: list[list[torch.Tensor]]) -> list[list[torch.Tensor]]:
    return [[row.detach() for row in group] for group in rows]


def reference_gradients(
    built: Built,
    policy: HFPolicy,
    groups: Sequence[Group],
    advantages: Sequence[np.ndarray],
    old: list[list[torch.Tensor]] | None = None,
    base: list[list[torch.Tensor]] | None = None,
    clip: float = 0.2,
    beta: float = 0.0,
) -> Gradients:
    """GRPO as it is written in the paper: the mean over samples of the mean over tokens, every sample its own row."""
    loss = torch.zeros(())
    samples = 0
    for g, rows in enumerate(all_logprobs(built, policy, groups)):
        repeated = np.repeat(advantages[g], groups[g].counts)
        for s, logprobs in enumerate(rows):
            before = logprobs.detach() if old is None else old[g][s]
            ratio = torch.exp(logprobs - before)
            advantage = float(repeated[s])
            gain = torch.minimum(ratio * advantage, torch.clamp(ratio, 1 - clip, 1 + clip) * advantage)
            if base is not None:
                away = base[g][s] - logprobs
                gain = gain - beta * (torch.exp(away) - away - 1)
            loss = loss - gain.mean()
            samples += 1
    return gradients_by_name(policy, loss / samples)


def gradients_by_name(policy: HFPolicy, loss: torch.Tensor) -> Gradients:
    """By torch's autograd, of the parameters in training that the loss depends on."""
    names = names_of(policy)
    found = torch.autograd.grad(loss, list(names), allow_unused=True)
    return {name: g for name, g in zip(names.values(), found, strict=True) if g is not None}


def assert_same_gradients(got: Gradients, want: Gradients, tolerance: float = 1e-5) -> None:
    assert want and any(float(g.abs().max()) > 1e-6 for g in want.values())
    assert got.keys() == want.keys()
    whole = torch.sqrt(sum((g.double() ** 2).sum() for g in want.values()))
    for name, gradient in want.items():
        difference = (got[name].double() - gradient.double()).norm()
        # per tensor against its own norm; those that are zero but for rounding against the whole gradient's
        assert difference <= tolerance * max(gradient.double().norm(), 1e-3 * whole), name


def trained(policy: HFPolicy) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for parameter, name in names_of(policy).items()}


def everything(policy: HFPolicy) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in policy.model.state_dict().items()}


def given(lengths: Sequence[Sequence[int]], seconds: Sequence[float | None]) -> list[Group]:
    """Groups of random tokens: for each question the lengths of its completions."""
    rng = np.random.default_rng(0)
    return [
        Group(
            question(i, long),
            tuple(Completion("", tuple(rng.integers(20, 300, n).tolist())) for n in of_question),
            tuple(1 + u % 3 for u in range(len(of_question))),
        )
        for i, (of_question, long) in enumerate(zip(lengths, seconds, strict=True))
    ]


def rows_of(policy: HFPolicy, groups: Sequence[Group]) -> list[SharedPrefix]:
    prompts = policy.encoder.prompts([group.question for group in groups])
    return [
        SharedPrefix(prompt.embeds, [c.tokens for c in group.completions])
        for group, prompt in zip(groups, prompts, strict=True)
    ]


def step(policy: HFPolicy, groups: Sequence[Group], advantages: Sequence[np.ndarray]) -> tuple[Gradients, dict]:
    seen = record(policy)
    stats = policy.train_step(groups, advantages).metrics
    return seen[0], stats


MIXED = given([[1, 6, 3], [2], [1], [9, 1, 1, 4], [5, 5]], [0.2, 2.3, None, 1.1, None])
both_ways = pytest.mark.parametrize("tune", ["lora", "full"])
