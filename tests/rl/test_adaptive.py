from __future__ import annotations

import math

import numpy as np
import pytest

from audio_eval.group import Group
from audio_eval.rl.adaptive import (
    Rating,
    adaptive_accuracy,
    adaptive_rewards,
    balance,
    rate_thinking,
    read_rating,
    think_share,
)
from audio_eval.scoring.judge import Judge
from tests.openai_server import Answer, OpenAIServer, completion, prompt
from tests.rl.fake_policy import make_group, make_question

QUESTION = make_question("q", ("cat", "dog"))
RIGHT, WRONG = "<answer>dog</answer>", "<answer>cat</answer>"
THINK = "<think>a bark</think>"


def test_think_share_counts_samples() -> None:
    one = make_group(QUESTION, {THINK + RIGHT: 3, RIGHT: 1})
    other = make_group(QUESTION, {"<think></think>" + RIGHT: 4})
    assert think_share([one, other]) == 3 / 8
    assert think_share([Group(QUESTION, (), (), "unreadable")]) == 0


@pytest.mark.parametrize(
    ("share", "progress", "think", "no"),
    [
        (0.5, 0.0, -0.5, -0.5),
        (1.0, 0.0, -1.0, 0.0),
        (0.25, 0.5, -0.125, -0.375),
        (0.75, 1.0, 0.0, 0.0),
    ],
)
def test_balance(share: float, progress: float, think: float, no: float) -> None:
    assert balance(share, progress) == pytest.approx((math.exp(think), math.exp(no)))


def test_adaptive_accuracy() -> None:
    group = make_group(QUESTION, {THINK + RIGHT: 1, THINK + WRONG: 1, RIGHT: 1, WRONG: 1, "no idea": 1})
    np.testing.assert_allclose(adaptive_accuracy(group, 1, (1.0, 1.0)), [1, 0, 2, -1, -1])
    np.testing.assert_allclose(adaptive_accuracy(group, 1, (0.5, 0.25)), [0.5, 0, 0.5, -0.25, -0.25])


def test_rewards_without_a_judge() -> None:
    """lambda = 6/8 = 3/4 at step/T = 1/2: gamma_think = e^-3/8, gamma_no = e^-1/8."""
    think, no = math.exp(-0.375), math.exp(-0.125)
    groups = [
        make_group(QUESTION, {THINK + RIGHT: 2, f"{THINK} cat": 2}),
        make_group(QUESTION, {RIGHT: 1, "cat": 1, THINK + WRONG: 2}),
    ]
    rewards, metrics = adaptive_rewards(groups, [1, 1], 0.5, None)
    np.testing.assert_allclose(rewards[0], [think + 0.5, 0])
    np.testing.assert_allclose(rewards[1], [2 * no + 0.5, -no, 0.5])
    assert metrics == {"think_share": 0.75}


def script(request: dict, number: int) -> Answer:
    asked = prompt(request)
    if "a bark" in asked:
        return completion("<think>consistency=0 quality=0</think>consistency=1 quality=0.5")
    return completion("it is fine") if "a purr" in asked else completion("consistency: 0, quality: 1.0")


def test_rewards_with_a_judge() -> None:
    drawn = {THINK + RIGHT: 1, f"<think>a purr</think>{RIGHT}": 1, f"<think>so</think>{WRONG}": 1, RIGHT: 1}
    with OpenAIServer(script) as server:
        judge = Judge(server.url, "judge", cache=None)
        rewards, metrics = adaptive_rewards([make_group(QUESTION, drawn)], [1], 1.0, judge)
        assert len(server.requests) == 3, "what does not think is not asked about"
    # R_a (1 + 0.5 R_c) + 0.5 R_f + R_t
    np.testing.assert_allclose(rewards[0], [1 * 1.5 + 0.5 + 0.5, 1 + 0.5, 0 + 0.5 + 1, 2 + 0.5])
    assert metrics == {"think_share": 0.75, "judge_failed": 1}


@pytest.mark.parametrize(
    ("said", "rating"),
    [
        ("consistency=1 quality=0.25", Rating(1, 0.25)),
        ("Consistency: 0.0\nQuality: 1", Rating(0, 1)),
        ("consistency=C quality=Q\nconsistency=1, quality=.5", Rating(1, 0.5)),
        ("consistency=1 quality=1.7", Rating(1, 1)),
        ("quality=1", None),
        ("", None),
    ],
)
def test_read_rating(said: str, rating: Rating | None) -> None:
    assert read_rating(said) == rating


def test_without_a_judge_every_rating_is_0() -> None:
    assert rate_thinking([make_group(QUESTION, {THINK + RIGHT: 1, RIGHT: 1})], None) == ([[Rating(0, 0)] * 2], 0)
