"""What is checked of a family. Each check fails, or returns what it has verified: a cell of docs/models.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from audio_eval.group import Completion, Group
from audio_eval.models.backends import Limits, load_policy
from audio_eval.models.hf.inputs import EmbeddedPrompt
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import Sampling
from audio_eval.questions import Question
from tests.models.checkpoints import clip, question
from tests.models.families.case import FIRST, Case, stereo
from tests.models.training import advantages_of, assert_same_gradients, gradients_by_name, names_of, settings, step

SECONDS = (3.0, 29.9, 30.1, 75.0)
TOLERANCE = dict(rtol=2e-4, atol=2e-4)


@dataclass
class Built:
    """A case with its checkpoint on the disk."""

    case: Case
    folder: Path

    def fresh(self, **limits: int) -> HFPolicy:
        """A policy, loaded as the command line does."""
        policy = load_policy(str(self.folder), Limits(**limits))
        assert isinstance(policy, HFPolicy)
        return policy

    @cached_property
    def policy(self) -> HFPolicy:
        """One for checks that do not train."""
        return self.fresh()

    def theirs(self, policy: HFPolicy, asked: Question, tokens: Sequence[int] = ()) -> torch.Tensor:
        """Logits (L, V) by the model's own forward on the reference's inputs, with ``tokens`` appended."""
        inputs = dict(self.case.inputs(policy, self.folder, asked))
        ids = torch.cat([inputs["input_ids"], torch.tensor([tuple(tokens)], dtype=torch.long)], dim=1)
        inputs["input_ids"], inputs["attention_mask"] = ids, torch.ones_like(ids)
        for name in ("token_type_ids", "mm_token_type_ids"):
            if name in inputs and tokens:
                inputs[name] = torch.nn.functional.pad(inputs[name], (0, len(tokens)))
        return policy.model(**inputs).logits[0] / self.case.divisor

    def ours(self, policy: HFPolicy, asked: Question) -> torch.Tensor:
        """Logits (P, V) at every position of the prompt, by the engine's own prefill."""
        seen: list[torch.Tensor] = []
        checkpoint = policy.checkpoint
        hook = checkpoint.language_model.register_forward_hook(lambda _m, _a, out: seen.append(out.last_hidden_state))
        try:
            with torch.no_grad():
                [prompt] = policy.encoder.prompts([asked])
                assert isinstance(prompt, EmbeddedPrompt), prompt
                policy._prefills.drop()
                policy._prefills.of(checkpoint, [prompt])
                return checkpoint.head(seen[0][0])
        finally:
            hook.remove()


def assert_equal(built: Built, asked: Question) -> None:
    """Our logits at every position of the prompt are the reference's."""
    with torch.no_grad():
        theirs = built.theirs(built.policy, asked)
    ours = built.ours(built.policy, asked)
    assert ours.shape == theirs.shape, f"{len(ours)} positions, and {len(theirs)} of the reference"
    assert float(theirs.std()) > 0.1, "logits that are all alike would prove nothing"
    torch.testing.assert_close(ours, theirs, **TOLERANCE)


def silent(policy: HFPolicy) -> Question:
    """A question without audio; with a short clip where the model is asked none without (``test_own_adapter.py``)."""
    family = policy.checkpoint.family
    return question(3, 0.9 if family.refuses(policy.model, 0) else None)


def mixed(policy: HFPolicy) -> list[Question]:
    """Clips of several lengths, one question without audio."""
    return [question(1, 0.4), question(2, 1.3), silent(policy), question(4, 2.1), question(5, 3.7)]


# --- the checks ----------------------------------------------------------------------------------------------------


def logits(built: Built) -> str:
    """Clips of several lengths and a stereo one."""
    for seconds in SECONDS:
        assert_equal(built, question(1, seconds))
    assert_equal(built, replace(question(2), audio=stereo(2.5)))
    assert_equal(built, silent(built.policy))
    return f"{', '.join(f'{s:g}' for s in SECONDS)} s; stereo 44.1 kHz"


def direct(built: Built) -> str:
    """Greedy tokens are the reference's most probable ones, and log-probabilities its own."""
    policy, asked = built.policy, question(4, 2.1)
    [group] = policy.generate([asked], Sampling(max_tokens=8))
    tokens = group.completions[0].tokens
    with torch.no_grad():
        theirs = built.theirs(policy, asked, tokens)[-len(tokens) - 1 : -1]
    assert theirs.argmax(dim=-1).tolist() == list(tokens)
    [scored] = policy.logprobs([group])
    want = torch.log_softmax(theirs, dim=-1)[torch.arange(len(tokens)), torch.tensor(tokens)]
    torch.testing.assert_close(torch.tensor(scored.completions[0].logprobs), want, **TOLERANCE)
    return "yes"


def batch(built: Built) -> str:
    """Neither the batch, which pads, nor the order matters, to greedy answers and to samples."""
    asked = mixed(built.policy)
    for sampling in (Sampling(max_tokens=6), Sampling(n=6, temperature=0.7, max_tokens=4, stream="vote")):
        built.policy.batch_size = 1
        alone = built.policy.generate(asked, sampling)
        built.policy.batch_size = len(asked)
        together = built.policy.generate(asked, sampling)
        assert alone == together == built.policy.generate(asked[::-1], sampling)[::-1]
    assert len({group.completions[0].tokens for group in built.policy.generate(asked, Sampling(max_tokens=6))}) > 3
    return "1 = 5"


def lora(built: Built) -> str:
    """A step of LoRA: the gradient is that of the model's own forward, and reaches every linear layer there is."""
    policy = built.fresh()
    policy.begin_training(settings("lora"), 3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # LoRA's second factor starts at zero, which makes half the gradient zero
        for parameter, name in names_of(policy).items():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
    _same_gradients(built, policy)
    adapted = {name.split(".lora_")[0] for name in names_of(policy).values()}
    layers = policy.checkpoint.language_model.layers
    bare = [
        n for n, m in layers.named_modules() if isinstance(m, nn.Linear) and "lora_" not in n and "base_layer" not in n
    ]
    return f"{len(adapted)} of {len(adapted) + len(bare)} linear layers"


def full(built: Built) -> str:
    """A step of the language model's own weights: the gradient is that of the model's own forward."""
    policy = built.fresh()
    policy.begin_training(settings("full"), 3)
    _same_gradients(built, policy)
    return "yes"


def several(built: Built) -> str:
    """Two clips in a question, or the reason why not; the other questions of the batch are answered."""
    asked = replace(question(6, FIRST), more_audio=(clip(built.case.second_clip, 9),))
    most = built.policy.checkpoint.family.max_clips
    if most is None or most > 1:
        assert_equal(built, asked)
        swapped = asked.hearing(asked.audios[::-1])
        assert not torch.equal(built.ours(built.policy, asked)[-1], built.ours(built.policy, swapped)[-1])
        return ("yes" if most is None else f"up to {most}") + (
            " (equal length)" if built.case.second_clip == FIRST else ""
        )
    refused, other = built.policy.generate([asked, question(1, 0.4)], Sampling(max_tokens=2))
    assert refused.error and "2 recordings" in refused.error and not refused.completions
    assert other.error is None and other.completions
    return "one"


CHECKS: dict[str, Callable[[Built], str]] = {
    "logits": logits, "direct": direct, "batch": batch, "LoRA": lora, "full": full, "several clips": several,
}  # fmt: skip


def _same_gradients(built: Built, policy: HFPolicy) -> None:
    """The gradient of a policy-gradient step, compared with autograd through the model's own forward."""
    groups = [_group(policy, question(1, 0.4)), _group(policy, question(2, 1.3)), _group(policy, silent(policy))]
    advantages = advantages_of(groups)
    loss, samples = torch.zeros(()), 0
    for group, of_group in zip(groups, advantages, strict=True):
        for completion, count, advantage in zip(group.completions, group.counts, of_group, strict=True):
            tokens = completion.tokens
            theirs = torch.log_softmax(built.theirs(policy, group.question, tokens)[-len(tokens) - 1 : -1], dim=-1)
            logprobs = theirs[torch.arange(len(tokens)), torch.tensor(tokens)]
            loss, samples = loss - logprobs.mean() * float(advantage) * count, samples + count
    want = gradients_by_name(policy, loss / samples)
    policy.model.zero_grad(set_to_none=True)
    got, metrics = step(policy, groups, advantages)
    assert metrics["updates"] == 1 and np.isfinite(metrics["grad_norm"]) and metrics["grad_norm"] > 0
    assert_same_gradients(got, want, tolerance=2e-4)
    still = [name for name, gradient in got.items() if not float(gradient.abs().max())]
    assert not [name for name in still if "lora" in name], still


def _group(policy: HFPolicy, asked: Question) -> Group:
    """Three given completions of several lengths, one of them drawn twice; none holds a special token."""
    rng = np.random.default_rng(len(asked.prompt))
    special = set(policy.tokenizer.all_special_ids) | {policy.checkpoint.placeholder}
    plain = [i for i in range(len(policy.tokenizer)) if i not in special]
    completions = tuple(Completion("", tuple(int(i) for i in rng.choice(plain, n))) for n in (1, 4, 3))
    return Group(asked, completions, (1, 2, 1))
