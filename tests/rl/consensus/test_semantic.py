"""Answers of a group as vectors, the medoid and the centroid, against numbers by hand and the samples one by one."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given

from audio_eval.group import Group
from audio_eval.rl.consensus.medoid import centroid_reward, medoid, medoid_reward
from audio_eval.rl.consensus.semantic import Answers, answer_spans, embed, pair_statistics
from tests.rl.consensus.answers import QUESTION, Expanded, answers_at, at, multisets
from tests.rl.fake_policy import make_group

C30, C60, C90 = np.cos(np.radians([30, 60, 90]))


def test_only_the_answer_is_embedded() -> None:
    drawn = {
        "<think>I hear a bark.</think>**a dog**": 2,
        "<think>No music.</think><answer>a dog</answer>": 1,
        "<think>cut": 1,
        "a cat": 1,
    }
    group = make_group(QUESTION, drawn)
    assert answer_spans(group) == ["a dog", "a dog", "", "a cat"]
    asked: list[list[str]] = []

    def encode(texts: list[str]) -> np.ndarray:
        asked.append(list(texts))
        return np.stack([at(0.0), at(60.0)])

    answers = embed([group, group], encode)[0]
    assert asked == [["a cat", "a dog"]], "one call, no empty text"
    assert answers.texts == ("", "a cat", "a dog")
    assert answers.counts.tolist() == [1, 1, 3] and answers.rows.tolist() == [2, 2, 0, 1]
    assert answers.similarity == pytest.approx(np.array([[0, 0, 0], [0, 1, 0.5], [0, 0.5, 1]]))
    found = medoid_reward(answers)
    assert found.rewards == pytest.approx([1, 1, 0, 0.5]), "equal answers, equal rewards"
    assert found.label == "a dog"


def test_the_medoid_of_three() -> None:
    # at 0, 30 and 90 degrees. Means of the other two: (cos30 + cos90) / 2 = .433, (cos30 + cos60) / 2 = .683,
    # (cos90 + cos60) / 2 = .25: the middle one
    answers = answers_at({"a": 1, "b": 1, "c": 1}, {"a": 0, "b": 30, "c": 90})
    found = medoid_reward(answers)
    assert (found.label, found.confidence) == ("b", pytest.approx((C30 + C60) / 2))
    assert found.rewards == pytest.approx([C30, 1.0, C60])
    assert found.vector == pytest.approx(at(30))


def test_copies_are_samples() -> None:
    # "c" three times: its mean over the other 5 - 1 = 4 is (2 x 1 + cos60 + cos90) / 4 = .625; "b" has
    # (cos30 + 3 cos60) / 4 = .592
    found = medoid_reward(answers_at({"a": 1, "b": 1, "c": 3}, {"a": 0, "b": 30, "c": 90}))
    assert (found.label, found.confidence) == ("c", pytest.approx(0.625))
    assert found.rewards == pytest.approx([0.0, C60, 1.0], abs=1e-12)


def test_obtuse_answers_get_nothing_and_a_cosine_is_not_rescaled() -> None:
    # means over the other five: a (3 - .5 + .5) / 5 = .6, c (4 x .5 + .5) / 5 = .5
    found = medoid_reward(answers_at({"a": 4, "b": 1, "c": 1}, {"a": 0, "b": 120, "c": 60}))
    assert found.rewards == pytest.approx([1.0, 0.0, 0.5])


def test_a_tie_does_not_depend_on_the_order_of_drawing() -> None:
    angles = {"x": 0.0, "y": 60.0}
    assert medoid_reward(answers_at({"y": 1, "x": 1}, angles)).label == "x", "the first by text"
    for order in permutations([("x", 1), ("y", 1), ("z", 1), ("w", 1)]):
        around = {"w": 270.0, "x": 0.0, "y": 90.0, "z": 180.0}  # every mean is -1/3
        assert medoid_reward(answers_at(dict(order), around)).label == "w"
    # w and x are at 0, y twice at 90 degrees: every sample has one other like it, each mean is 1/3
    assert medoid_reward(answers_at({"w": 1, "x": 1, "y": 2}, {"w": 0, "x": 0, "y": 90})).label == "y", "most often"


def test_empty_answers_lower_the_confidence_and_get_nothing() -> None:
    # "a" twice and twice nothing: the other three of an "a" are 1, 0, 0
    found = medoid_reward(answers_at({"a": 2, "": 2}, {"a": 0}))
    assert found.confidence == pytest.approx(1 / 3)
    assert found.rewards == pytest.approx([1, 0])


@pytest.mark.parametrize("reward", [medoid_reward, centroid_reward])
def test_groups_without_an_answer(reward) -> None:
    nothing = reward(answers_at({"": 3, "<think>cut": 1}, {}))
    assert (nothing.label, nothing.vector, nothing.confidence) == (None, None, 0.0)
    assert nothing.rewards.tolist() == [0.0, 0.0]
    empty = reward(embed([Group(QUESTION, (), (), "no audio")], lambda texts: np.zeros((0, 0)))[0])
    assert empty.rewards.shape == (0,) and empty.label is None
    alone = reward(answers_at({"a": 1}, {"a": 10}))
    assert (alone.label, alone.confidence) == ("a", pytest.approx(1.0)) and alone.rewards == pytest.approx([1.0])


def test_the_length_floor() -> None:
    drawn, angles = {"a dog": 2, "a loud dog": 1}, {"a dog": 0, "a loud dog": 60}
    assert medoid_reward(answers_at(drawn, angles), min_words=3).rewards == pytest.approx([0.7, 0.5])
    assert centroid_reward(answers_at({"a dog": 2}, angles), min_words=3).rewards == pytest.approx([0.7])


def test_the_centroid() -> None:
    # (3 (1, 0) + (0, 1)) / 4 = (3, 1) / 4, length sqrt(10) / 4 = .791; direction (3, 1) / sqrt(10)
    found = centroid_reward(answers_at({"a": 3, "b": 1}, {"a": 0, "b": 90}))
    assert found.rewards == pytest.approx([3 / np.sqrt(10), 1 / np.sqrt(10)])
    assert (found.label, found.confidence) == ("a", pytest.approx(np.sqrt(10) / 4))
    opposite = centroid_reward(answers_at({"a": 1, "b": 1}, {"a": 0, "b": 180}))
    assert opposite.label is None and not opposite.rewards.any()


@given(multisets())
def test_the_multiset_is_the_samples_one_by_one(answers: Answers) -> None:
    samples = Expanded(answers)
    n = int(answers.counts.sum())
    means = [sum(samples.others(i)) / max(n - 1, 1) for i in range(len(samples.place))]
    best = max(range(len(means)), key=means.__getitem__)
    best_row = medoid(answers.similarity, answers.counts, answers.valid)
    assert best_row is not None
    assert means[list(samples.place).index(best_row)] == pytest.approx(means[best], abs=1e-9)
    found = medoid_reward(answers)
    cosines = [answers.vectors[row] @ answers.vectors[best_row] for row in answers.rows]
    assert found.rewards == pytest.approx(np.clip(cosines, 0, 1))
    centre = samples.vectors.mean(axis=0)
    expected = np.clip(answers.vectors[answers.rows] @ centre / np.linalg.norm(centre), 0, 1)
    assert centroid_reward(answers).rewards == pytest.approx(expected, abs=1e-9)


@given(multisets())
def test_the_statistics_are_those_of_the_pairs(answers: Answers) -> None:
    samples = Expanded(answers)
    stats = pair_statistics(answers)
    assert stats["unique_responses"] == len(set(samples.place))
    pairs = [samples.cos(i, j) for i, j in combinations(range(len(samples.place)), 2)]
    if not pairs:
        assert stats["mean_pairwise_sim"] == stats["frac_high_sim"] == 0.0
        return
    assert stats["mean_pairwise_sim"] == pytest.approx(np.mean(pairs))
    assert stats["max_pairwise_sim"] == pytest.approx(max(pairs))
    assert stats["sim_std"] == pytest.approx(np.std(pairs), abs=1e-7)
    assert stats["frac_high_sim"] == pytest.approx(np.mean([pair > 0.95 for pair in pairs]))
    assert stats["medoid_mean_sim"] == pytest.approx(max(np.mean(samples.others(i)) for i in range(len(samples.place))))
