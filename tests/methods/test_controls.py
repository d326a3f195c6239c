"""The controls on a scripted policy: no label goes into the first two, and the third never learns the majority."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio_eval.method import Cost, Method
from audio_eval.models.policy import Sampling
from audio_eval.questions import Question
from audio_eval.registry import method_class
from audio_eval.rl.session import Session
from audio_eval.store import JsonLines
from tests.rl.fake_policy import Drawn, FakePolicy, make_question, tagged

CHOICES = ("cat", "dog", "owl")
QUESTIONS = [make_question(id_, CHOICES) for id_ in ("sure", "split", "mute")]
VOTES: dict[str, Drawn] = {
    "sure": {tagged("dog"): 8},
    "split": {tagged("owl"): 4, tagged("cat"): 3, "no idea": 1},
    "mute": {"no idea": 8},
}
ROLLOUTS: Drawn = {tagged("dog"): 3, tagged("owl"): 2, "cat": 2, "no idea": 1}


def script(question: Question, sampling: Sampling) -> Drawn:
    return VOTES[question.id] if sampling.stream == "vote" else ROLLOUTS


def adapt(name: str, folder: Path, policy: FakePolicy, seed: int = 0, **settings: Any) -> Method:
    cls = method_class(name)
    method = cls(cls.Config(**{"steps": 2, "batch_size": 3, "group_size": 8, "max_attempts": 1, **settings}), seed)
    method.adapt(policy, QUESTIONS, Session(folder, seed, 2))
    return method


def metrics(folder: Path) -> list[dict[str, float]]:
    return JsonLines(folder / "metrics.jsonl").read()


def rollouts(folder: Path) -> list[dict[str, Any]]:
    return JsonLines(folder / "adapt" / "rollouts.jsonl").read()


@pytest.mark.parametrize("name", ["random_reward", "format_reward"])
def test_neither_votes_nor_labels(name: str, tmp_path: Path) -> None:
    policy = FakePolicy(script)
    method = adapt(name, tmp_path, policy)
    assert method.transductive and not method.needs_labels and not method.needs_choices
    assert {s.stream for _, s in policy.asked} == {"step0/attempt0", "step1/attempt0"}
    assert Counter(id_ for id_, _ in policy.asked) == dict.fromkeys(("sure", "split", "mute"), 2), "even what is silent"
    assert {r["label"] for r in rollouts(tmp_path)} == {None}
    assert not list(tmp_path.rglob("labels.jsonl")) and not list(tmp_path.rglob("votes*.jsonl"))
    config = method.Config(steps=5, batch_size=3, group_size=4, max_attempts=2)
    assert type(method)(config).cost(20, 7, 0) == Cost(0, 5, 5 * 3 * 4 * 2, 5 * 3 * 4, 7)


@pytest.mark.parametrize("name", ["random_reward", "format_reward"])
def test_the_options_text_does_not_matter(name: str, tmp_path: Path) -> None:
    """Renamed options, the same words renamed in the answers: the same rewards."""
    other = {"cat": "owl", "dog": "cat", "owl": "dog"}

    def renamed(question: Question, sampling: Sampling) -> Drawn:
        return {text.replace(c, other[c]): n for text, n in ROLLOUTS.items() for c in CHOICES if c in text} | {
            text: n for text, n in ROLLOUTS.items() if not any(c in text for c in CHOICES)
        }

    seen = []
    for folder, policy in (("one", FakePolicy(script)), ("other", FakePolicy(renamed))):
        adapt(name, tmp_path / folder, policy)
        seen.append([advantages.tolist() for step in policy.trained for _, advantages in step])
    assert seen[0] == seen[1]


def test_a_coin_for_each_rollout(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    adapt("random_reward", tmp_path, policy, steps=100)
    rewards: dict[str, list[float]] = {text: [] for text in ROLLOUTS}
    for record in rollouts(tmp_path):
        for text, n, _, reward in record["completions"]:
            assert round(reward * n, 2) == int(round(reward * n, 2)), "heads of n throws"
            rewards[text].append(reward)
    for text, given in rewards.items():  # 300 groups; a mean of n throws has a deviation of 1/2 / sqrt(300 n)
        assert np.mean(given) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(300 * ROLLOUTS[text])), text
    first = rollouts(tmp_path)[0]
    again = {r["step"]: r for r in rollouts(tmp_path) if r["id"] == first["id"]}
    assert again[1]["completions"] != again[2]["completions"], "each step throws anew"
    group, advantages = policy.trained[0][0]
    reward = np.array([row[3] for row in first["completions"]])
    counts = np.array(group.counts)
    mean = (reward * counts).sum() / 8
    std = math.sqrt(8 * mean * (1 - mean) / 7)  # of the 8 coins, not of their means
    assert advantages == pytest.approx((reward - mean) / (std + 1e-4), abs=1e-3)


def test_the_coin_is_keyed_by_seed(tmp_path: Path) -> None:
    drawn = []
    for seed in (0, 0, 1):
        policy = FakePolicy(script)
        adapt("random_reward", tmp_path / str(len(drawn)), policy, seed)
        drawn.append([(g.question.id, a.tolist()) for step in policy.trained for g, a in step])
    assert drawn[0] == drawn[1] != drawn[2]


def test_only_the_tags_are_rewarded(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    adapt("format_reward", tmp_path, policy, steps=1)
    # 5 of 8 are tagged, right or wrong
    std = math.sqrt(8 * 5 / 8 * 3 / 8 / 7)
    expected = np.array([3 / 8, 3 / 8, -5 / 8, -5 / 8]) / (std + 1e-4)
    assert len(policy.trained[0]) == 3
    for _, advantages in policy.trained[0]:
        assert advantages == pytest.approx(expected)
    assert metrics(tmp_path)[0]["reward"] == metrics(tmp_path)[0]["control"] == 0.625


def test_wrong_majority_never_rewards_the_majority(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    method = adapt("wrong_majority", tmp_path, policy, votes=8, steps=3, batch_size=2, conf_weight="none")
    assert method.config.format_weight == 0.0, "tags would be mended whatever the label"  # type: ignore[attr-defined]
    majority = {"sure": "dog", "split": "owl"}
    labels = {r["id"]: r["label"] for r in JsonLines(tmp_path / "adapt" / "labels.jsonl").read()}
    assert labels == {**majority, "mute": None}, "the result of the vote is on the disk"
    for record in rollouts(tmp_path):
        assert record["label"] != majority[record["id"]]
        rewards = {text: reward for text, _, _, reward in record["completions"]}
        assert rewards == {text: float(record["label"] in text) for text in ROLLOUTS}
    assert {r["label"] for r in rollouts(tmp_path) if r["id"] == "split"} == {"cat"}, "the runner-up"
    (sure,) = {r["label"] for r in rollouts(tmp_path) if r["id"] == "sure"}
    assert sure in ("cat", "owl"), "at random where nobody named another one, the same in each step"
    # 2 of 8 say cat, 2 say owl: the same advantages for either
    std = math.sqrt(8 * 0.25 * 0.75 / 7)
    for step in policy.trained:
        for group, advantages in step:
            wanted = "cat" if group.question.id == "split" else sure
            right = np.array([float(wanted in c.text) for c in group.completions])
            assert advantages == pytest.approx((right - 0.25) / (std + 1e-4))


def test_wrong_majority_keeps_the_confidence_of_the_vote(tmp_path: Path) -> None:
    adapt("wrong_majority", tmp_path, FakePolicy(script), votes=8, steps=1, batch_size=2)
    assert metrics(tmp_path)[0]["vote_share"] == 0.75


def test_wrong_majority_votes_again_too(tmp_path: Path) -> None:
    def drifting(question: Question, sampling: Sampling) -> Drawn:
        return {tagged(CHOICES[policy.updates % 3]): 6, tagged(CHOICES[(policy.updates + 1) % 3]): 2}

    policy = FakePolicy(drifting)
    adapt("wrong_majority", tmp_path, policy, votes=8, steps=4, batch_size=1, relabel="every_step")
    assert [r["label"] for r in rollouts(tmp_path)] == ["dog", "owl", "cat", "dog"], "the runner-up of each step"


def test_wrong_majority_without_another_option(tmp_path: Path) -> None:
    cls = method_class("wrong_majority")
    policy, only = FakePolicy(lambda q, s: {"cat": s.n}), [make_question("only", ("cat",))]
    cls(cls.Config(steps=1, batch_size=1, votes=4)).adapt(policy, only, Session(tmp_path, 0, 2))
    assert policy.trained == [[]], "there is no wrong one to learn"
