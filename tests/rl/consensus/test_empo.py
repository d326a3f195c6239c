"""EMPO's rewards, against numbers by hand and the samples one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from audio_eval.rl.consensus.empo import empo_reward, repeats, semantic_clusters
from audio_eval.rl.consensus.semantic import Answers
from tests.rl.consensus.answers import Expanded, answers_at, multisets

ANGLES = {"a dog": 0, "the dog": 10, "dogs": 20, "a cat": 90, "rain": 180, "heard": 270}
COS = {degrees: float(np.cos(np.radians(degrees))) for degrees in (15, 20, 25)}


def test_the_reward_is_the_share_of_what_means_the_same() -> None:
    # dogs 3 of 6, the cat 1 of 6, rain 1 of 6, nothing 1 of 6
    drawn = {"a dog": 1, "the dog": 1, "dogs": 1, "a cat": 1, "rain": 1, "": 1}
    found = empo_reward(answers_at(drawn, ANGLES), COS[25])
    assert found.rewards == pytest.approx([1 / 2, 1 / 2, 1 / 2, 1 / 6, 1 / 6, -0.5])
    assert (found.label, found.confidence) == ("the dog", pytest.approx(0.5))
    assert found.metrics["semantic_entropy"] == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(6))


def test_every_pair_of_a_cluster_is_close() -> None:
    # 0, 10 and 20 degrees: at cos 15 complete linkage joins a neighbouring pair and never 0 with 20
    angles = np.radians([0, 10, 20])
    similarity = np.cos(angles[:, None] - angles)
    assert len(set(semantic_clusters(similarity, COS[15]))) == 2
    assert len(set(semantic_clusters(similarity, COS[20]))) == 1, "the threshold itself is close"
    assert len(set(semantic_clusters(similarity, 1.0))) == 3
    assert semantic_clusters(np.ones((1, 1)), 0.9).tolist() == [0]
    assert semantic_clusters(np.ones((0, 0)), 0.9).shape == (0,)


def test_all_different_is_nothing_to_learn_from() -> None:
    found = empo_reward(answers_at({"a dog": 1, "a cat": 1, "rain": 1}, ANGLES), 0.9)
    assert found.rewards.tolist() == [0.0, 0.0, 0.0]
    assert found.metrics["semantic_entropy"] == pytest.approx(np.log(3))
    # one of the samples without an answer: it agrees with nobody, and is still told so
    assert empo_reward(answers_at({"a dog": 1, "a cat": 1, "": 1}, ANGLES), 0.9).rewards.tolist() == [0, 0, -0.5]


def test_the_guards() -> None:
    # The question is "What is heard in the recording?"
    drawn = {"heard": 2, "a dog": 2}
    assert empo_reward(answers_at(drawn, ANGLES), 0.9).rewards == pytest.approx([0.0, 0.5])
    assert empo_reward(answers_at(drawn, ANGLES), 0.9, guards=False).rewards == pytest.approx([0.5, 0.5])
    # eleven samples, no cluster has more than two: 2 / 11 is below .2
    spread = {f"answer {number}": 1 + (number == 0) for number in range(10)}
    angles = {text: 36 * number for number, text in enumerate(spread)}
    assert not empo_reward(answers_at(spread, angles), 0.99).rewards.any()
    assert empo_reward(answers_at(spread, angles), 0.99, guards=False).rewards[0] == pytest.approx(2 / 11)
    assert empo_reward(answers_at({"a dog": 2, "": 2}, ANGLES), 0.9, guards=False).rewards == pytest.approx([0.5, 0])


def test_an_echo_is_found_out() -> None:
    question = "What is heard in the recording?"
    assert repeats("HEARD in the", question)
    assert repeats("What is heard, in the recording?", question), "precision 1, though the comma is new"
    assert repeats("what is heard in the loud recording", question), "6 of 7 words: .857"
    assert not repeats("what is heard in a recording now", question), "5 of 7 words: .714"
    assert not repeats("a dog", question)


def test_nobody_spoke() -> None:
    found = empo_reward(answers_at({"": 3}, {}), 0.9)
    assert (found.rewards.tolist(), found.label, found.confidence) == ([-0.5], None, 0.0)


@given(multisets())
def test_the_multiset_is_the_samples_one_by_one(answers: Answers) -> None:
    samples, n = Expanded(answers), int(answers.counts.sum())
    labels = semantic_clusters(answers.similarity[np.ix_(answers.valid, answers.valid)], 0.5)
    of_row = dict(zip(np.flatnonzero(answers.valid), labels, strict=True))
    said = [of_row[row] for row in samples.place]
    everyone = said + [f"nothing {number}" for number in range(n - len(said))]
    shares = {label: everyone.count(label) / n for label in everyone}
    entropy = -sum(share * np.log(share) for share in shares.values())
    rewards = empo_reward(answers, 0.5, guards=False).rewards
    for i, row in enumerate(samples.place):
        expected = shares[said[i]] if entropy < np.log(n) - 1e-9 else 0.0
        assert rewards[list(answers.rows).index(row)] == pytest.approx(expected)
