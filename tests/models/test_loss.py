"""The loss against values worked by hand, in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch

from audio_eval.models.hf.loss import Totals, completion_weights, token_terms, weighted_sum
from audio_eval.models.policy import LossName, Training


def tensor(values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@dataclass
class Sums:
    loss: torch.Tensor
    kl: float
    clipped: float


def loss(
    logprobs: torch.Tensor,
    advantages: list[float],
    counts: list[float],
    old: torch.Tensor | None = None,
    ref: torch.Tensor | None = None,
    mask: torch.Tensor | None = None,
    clip: float = 0.2,
    clip_high: float | None = None,
    beta: float = 0.0,
    name: LossName = "grpo",
    totals: Totals | None = None,
    entropy: torch.Tensor | None = None,
    entropy_coef: float = 0.0,
) -> Sums:
    """The loss of a step; without ``totals`` the sum over completions of their token means."""
    mask = torch.ones_like(logprobs, dtype=torch.bool) if mask is None else mask
    old = logprobs.detach() if old is None else old
    entropy = torch.zeros_like(logprobs) if entropy is None else entropy
    training = Training(loss=name, clip=clip, clip_high=clip_high, beta=beta, entropy_coef=entropy_coef)
    terms = token_terms(logprobs, old, ref, entropy, mask, tensor(advantages), training)
    weights = completion_weights(name, mask.sum(dim=1), tensor(counts), totals or Totals(1, 1, 1))
    sums = [weighted_sum(values, mask, weights) for values in (terms.loss_UT, terms.kl_UT, terms.clipped_UT)]
    return Sums(sums[0], float(sums[1]), float(sums[2]))


def test_on_policy_the_loss_is_minus_the_advantages_and_the_gradient_the_policy_gradient() -> None:
    logprobs = tensor([[-1.0, -2.0], [-0.5, -3.0]]).requires_grad_()
    terms = loss(logprobs, [2.0, -1.0], [3, 1], mask=torch.tensor([[True, True], [True, False]]))
    # 3 samples of advantage 2 and one of -1: -(3 * 2 - 1)
    assert terms.loss.item() == -5.0
    terms.loss.backward()
    # -(count * advantage / length) at real tokens, nothing at the padding
    assert torch.equal(logprobs.grad, tensor([[-3.0, -3.0], [1.0, 0.0]]))
    assert terms.kl == 0.0 and terms.clipped == 0.0


def test_ratios_are_clipped_on_the_side_where_they_would_gain() -> None:
    old = tensor([[0.0], [0.0], [0.0], [0.0], [0.0]])
    ratios = [1.5, 1.5, 0.5, 0.5, 1.1]
    advantages = [1.0, -1.0, 1.0, -1.0, 1.0]
    logprobs = tensor([[math.log(r)] for r in ratios]).requires_grad_()
    terms = loss(logprobs, advantages, [1] * 5, old=old)
    #         min(1.5, 1.2)  min(-1.5, -1.2)  min(0.5, 0.8)  min(-0.5, -0.8)  1.1
    expected = -(1.2 + -1.5 + 0.5 + -0.8 + 1.1)
    assert terms.loss.item() == pytest.approx(expected, rel=1e-14)
    terms.loss.backward()
    # the gradient of -ratio * advantage is itself; the clipped ones have none
    assert torch.allclose(logprobs.grad, tensor([[0.0], [1.5], [-0.5], [0.0], [-1.1]]), rtol=1e-14, atol=0)
    assert terms.clipped == 2.0


def test_clipped_is_the_share_of_tokens_weighted_by_counts() -> None:
    old = tensor([[0.0, 0.0, 0.0, 9.0], [0.0, 0.0, 0.0, 0.0]])
    logprobs = tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    mask = torch.tensor([[True, True, True, False], [True, True, True, True]])
    assert loss(logprobs, [1.0, 1.0], [3, 2], old=old, mask=mask).clipped == pytest.approx(3 * (1 / 3) + 2 * (2 / 4))


def test_k3_kl_and_its_gradient() -> None:
    difference = math.log(2.0)  # ref - new
    logprobs = tensor([[-2.0, -1.0]]).requires_grad_()
    ref = tensor([[-2.0 + difference, -1.0]])
    terms = loss(logprobs, [0.0], [4], ref=ref, beta=0.5)
    kl = (2.0 - difference - 1.0) / 2  # the mean of this token and of one with none
    assert terms.kl == pytest.approx(4 * kl, rel=1e-14)
    assert terms.loss.item() == pytest.approx(0.5 * 4 * kl, rel=1e-14)
    terms.loss.backward()
    # d(e^d - d - 1)/d logprob = 1 - e^d = -1, times beta * count / length
    assert torch.allclose(logprobs.grad, tensor([[-1.0, 0.0]]), rtol=1e-14, atol=1e-16)


def test_kl_is_zero_to_oneself_and_positive_otherwise() -> None:
    logprobs = tensor([[-1.0, -0.2, -3.0]])
    assert loss(logprobs, [0.0], [1], ref=logprobs.clone(), beta=1.0).kl == 0.0
    for shift in (-0.7, 0.7):
        assert loss(logprobs, [0.0], [1], ref=logprobs + shift, beta=1.0).kl > 0


def test_without_beta_the_reference_is_not_looked_at() -> None:
    logprobs = tensor([[-1.0]])
    terms = loss(logprobs, [1.0], [1], ref=tensor([[float("nan")]]), beta=0.0)
    assert float(terms.loss) == -1.0 and terms.kl == 0.0


def test_counts_are_repetitions() -> None:
    generator = torch.Generator().manual_seed(0)

    def draw() -> torch.Tensor:
        return -torch.rand(3, 4, generator=generator, dtype=torch.float64) * 3

    logprobs, old, ref = draw(), draw(), draw()
    mask = torch.tensor([[True] * 4, [True, True, False, False], [True, False, False, False]])
    counts, advantages = [2, 5, 1], [0.3, -1.2, 2.0]
    once = loss(logprobs, advantages, counts, old, ref, mask, beta=0.1)
    index = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
    each = loss(
        logprobs[index], tensor(advantages)[index].tolist(), [1] * 8, old[index], ref[index], mask[index], beta=0.1
    )
    assert float(once.loss) == pytest.approx(float(each.loss), rel=1e-13)
    assert once.kl == pytest.approx(each.kl, rel=1e-13) and once.clipped == pytest.approx(each.clipped, rel=1e-13)


def test_micro_batches_add_up() -> None:
    logprobs, old = (
        tensor([[-1.0, -2.0], [-0.3, -0.1], [-4.0, -0.5]]),
        tensor([[-1.3, -1.0], [-0.3, -1.0], [-3.0, -1.0]]),
    )
    whole = loss(logprobs, [1.0, -1.0, 0.5], [1, 2, 3], old=old)
    parts = [
        loss(logprobs[i : i + 1], [a], [c], old=old[i : i + 1])
        for i, (a, c) in enumerate([(1.0, 1), (-1.0, 2), (0.5, 3)])
    ]
    assert float(whole.loss) == pytest.approx(sum(float(part.loss) for part in parts), rel=1e-14)
    assert whole.clipped == pytest.approx(sum(part.clipped for part in parts))


def test_a_supervised_example_is_its_mean_nll() -> None:
    """The gradient of advantage 1 on the policy's own ratio is that of the token mean of -log p."""
    logprobs = tensor([[-1.0, -2.0, -3.0]]).requires_grad_()
    loss(logprobs, [1.0], [1]).loss.backward()
    supervised = logprobs.detach().clone().requires_grad_()
    (-supervised.mean()).backward()
    assert torch.allclose(logprobs.grad, supervised.grad, rtol=1e-15)


def test_what_stands_at_the_padding_does_not_matter() -> None:
    mask = torch.tensor([[True, False]])
    values = [
        loss(tensor([[-1.0, x]]), [1.0], [1], tensor([[-1.1, 0.0]]), tensor([[-0.9, y]]), mask, beta=0.3)
        for x, y in ((0.0, 0.0), (-5.0, 2.0))
    ]
    assert float(values[0].loss) == float(values[1].loss) and values[0].kl == values[1].kl


# --- clip-higher ---------------------------------------------------------------------------------------------------


def test_the_upper_clip_may_differ_from_the_lower() -> None:
    ratios, advantages = [1.25, 1.4, 0.85, 0.7], [1.0, 1.0, -1.0, -1.0]
    logprobs = tensor([[math.log(r)] for r in ratios])
    old = torch.zeros_like(logprobs)
    #                    1.25 < 1.28  clamped   0.85 > 0.8  clamped
    expected = -(1.25 + 1.28 - 0.85 - 0.8)
    terms = loss(logprobs, advantages, [1] * 4, old=old, clip=0.2, clip_high=0.28)
    assert terms.loss.item() == pytest.approx(expected, rel=1e-14) and terms.clipped == 2.0
    same, alone = (loss(logprobs, advantages, [1] * 4, old=old, clip=0.2, clip_high=c) for c in (0.2, None))
    assert same.loss.item() == alone.loss.item() == pytest.approx(-(1.2 + 1.2 - 0.85 - 0.8), rel=1e-14)


# --- what is divided by --------------------------------------------------------------------------------------------

# three unique completions of 3, 1 and 2 tokens, drawn 2, 1 and 1 times: 4 completions and 9 tokens; a skipped group
# adds 2 completions of 4 tokens
LENGTHS, COUNTS, TOTALS = [3, 1, 2], [2, 1, 1], Totals(completions=6, tokens=17, max_tokens=10)
MASK = torch.tensor([[True, True, True], [True, False, False], [True, True, False]])
ADVANTAGES = [1.0, -2.0, 0.5]
BY_HAND: dict[LossName, tuple[list[float], float]] = {
    # -(advantage x count / (length x 6)) a token; summed 2 x 1 - 2 + 0.5 = 0.5 of 6
    "grpo": ([-2 / 18, 2 / 6, -0.5 / 12], -0.5 / 6),
    # a token of 6 x 10; summed over tokens 2 x 3 x 1 - 2 + 2 x 0.5 = 5
    "dr_grpo": ([-2 / 60, 2 / 60, -0.5 / 60], -5 / 60),
    "dapo": ([-2 / 17, 2 / 17, -0.5 / 17], -5 / 17),
    "bnpo": ([-2 / 17, 2 / 17, -0.5 / 17], -5 / 17),
    "gspo": ([-2 / 18, 2 / 6, -0.5 / 12], -0.5 / 6),  # where the ratio is 1, grpo
}


@pytest.mark.parametrize("name", BY_HAND)
def test_each_average_by_hand(name: LossName) -> None:
    logprobs = tensor([[-1.0, -2.0, -0.1], [-0.5, 0.0, 0.0], [-3.0, -1.0, 0.0]]).requires_grad_()
    terms = loss(logprobs, ADVANTAGES, COUNTS, mask=MASK, name=name, totals=TOTALS)
    gradient, value = BY_HAND[name]
    assert terms.loss.item() == pytest.approx(value, rel=1e-14)
    terms.loss.backward()
    assert torch.allclose(logprobs.grad, tensor(gradient)[:, None] * MASK, rtol=1e-14, atol=0)


@pytest.mark.parametrize("name", BY_HAND)
def test_each_average_is_that_of_repeated_rows(name: LossName) -> None:
    """Against the formulas as they are written for a plain batch (TRL's), with the skipped completions standing in it
    at an advantage of zero.
    """
    generator = torch.Generator().manual_seed(4)
    logprobs, old, ref = (-torch.rand(3, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    mask = torch.nn.functional.pad(MASK, (0, 1))
    ours = loss(logprobs, ADVANTAGES, COUNTS, old, ref, mask, 0.1, 0.3, 0.5, name, TOTALS)
    index = torch.tensor([0, 0, 1, 2])
    log_ratio = (logprobs - old)[index]
    if name == "gspo":
        log_ratio = ((log_ratio * mask[index]).sum(-1) / mask[index].sum(-1))[:, None].expand(-1, 4)
    ratio = log_ratio.exp()
    advantage = tensor(ADVANTAGES)[index][:, None]
    away = (ref - logprobs)[index]
    token = -torch.minimum(ratio * advantage, ratio.clamp(0.9, 1.3) * advantage) + 0.5 * (away.exp() - away - 1)
    token = torch.cat([token, torch.zeros(2, 4, dtype=torch.float64)])
    m = torch.cat([mask[index], torch.ones(2, 4, dtype=torch.bool)])
    theirs = {
        "grpo": ((token * m).sum(-1) / m.sum(-1)).mean(),
        "dr_grpo": (token * m).sum() / (token.size(0) * 10),
        "dapo": (token * m).sum() / m.sum(),
        "bnpo": (token * m).sum() / m.sum(),
        "gspo": ((token * m).sum(-1) / m.sum(-1)).mean(),
    }[name]
    assert float(ours.loss) == pytest.approx(float(theirs), rel=1e-13)


# --- one ratio a token, one ratio a completion ---------------------------------------------------------------------

# two completions, of 1 and of 3 tokens, with advantages 1 and -1, clipped at 0.8 and 1.2
RATIOS, LENGTHS_13 = [[2.0, 1.0, 1.0], [2.0, 0.5, 1.331]], torch.tensor([[True, False, False], [True, True, True]])


def two_completions(name: LossName) -> tuple[Sums, torch.Tensor]:
    logprobs = tensor(RATIOS).log().requires_grad_()
    old = torch.zeros_like(logprobs)
    sums = loss(logprobs, [1.0, -1.0], [1, 1], old, mask=LENGTHS_13, name=name, totals=Totals(2, 4, 9))
    sums.loss.backward()
    assert logprobs.grad is not None
    return sums, logprobs.grad


def test_dapo_by_hand() -> None:
    sums, gradient = two_completions("dapo")
    # gains: min(2, 1.2); min(-2, -1.2), min(-0.5, -0.8), min(-1.331, -1.2); over 4 tokens
    assert sums.loss.item() == pytest.approx(-(1.2 - 2.0 - 0.8 - 1.331) / 4, rel=1e-14)
    # -ratio x advantage / 4 where it is not clipped
    assert torch.allclose(gradient, tensor([[0.0, 0.0, 0.0], [2.0 / 4, 0.0, 1.331 / 4]]), rtol=1e-14, atol=0)
    assert sums.clipped == 2 / 4


def test_gspo_by_hand() -> None:
    sums, gradient = two_completions("gspo")
    # s = 2 and (2 x 0.5 x 1.331)^(1/3) = 1.1: no token of the second is clipped, though two of three are far away
    # gains: min(2, 1.2) and min(-1.1, -1.1), over 2 completions
    assert sums.loss.item() == pytest.approx(-(1.2 - 1.1) / 2, rel=1e-14)
    # d s / d logprob = s / 3 at each token: the same for all of a completion
    assert torch.allclose(gradient, tensor([[0.0] * 3, [1.1 / 6] * 3]), rtol=1e-14, atol=0)
    assert sums.clipped == pytest.approx(1 / 2)


def test_gspos_kl_stays_that_of_tokens() -> None:
    logprobs, ref = tensor([[-2.0, -1.0]]), tensor([[-2.0 + math.log(2.0), -1.0 - math.log(2.0)]])
    kl = ((2.0 - math.log(2.0) - 1.0) + (0.5 + math.log(2.0) - 1.0)) / 2  # the mean of the ratios is 1
    assert loss(logprobs, [0.0], [1], ref=ref, beta=0.5, name="gspo").loss.item() == pytest.approx(0.5 * kl, rel=1e-14)


# --- the entropy bonus ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BY_HAND)
def test_an_entropy_bonus_is_weighted_as_the_losses(name: LossName) -> None:
    logprobs = tensor([[-1.0, -2.0, -0.1], [-0.5, 0.0, 0.0], [-3.0, -1.0, 0.0]])
    entropy = tensor([[0.5, 0.25, 2.0], [1.0, 7.0, 7.0], [0.0, 3.0, 7.0]]).requires_grad_()
    got = loss(logprobs, ADVANTAGES, COUNTS, mask=MASK, name=name, totals=TOTALS, entropy=entropy, entropy_coef=0.1)
    got.loss.backward()
    # a token's weight is what its loss has: 0.1 x count / (what the average divides by)
    divisors = {"grpo": [18, 6, 12], "gspo": [18, 6, 12], "dr_grpo": [60] * 3}.get(name, [17] * 3)
    weights = [count / divisor for count, divisor in zip(COUNTS, divisors, strict=True)]
    assert torch.allclose(entropy.grad, -0.1 * tensor(weights)[:, None] * MASK, rtol=1e-14, atol=0)
    bonus = 0.1 * (2.75 * weights[0] + 1.0 * weights[1] + 3.0 * weights[2])
    assert got.loss.item() == pytest.approx(BY_HAND[name][1] - bonus, rel=1e-13)


def test_without_a_coefficient_the_entropy_is_not_looked_at() -> None:
    assert loss(tensor([[-1.0]]), [1.0], [1], entropy=tensor([[float("nan")]])).loss.item() == -1.0
