"""Semantic clusters and the rewards from them, against numbers by hand, scikit-learn and the samples one by one."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from audio_eval.errors import UserError
from audio_eval.rl.consensus.cluster_rewards import cluster_reward, novelty_bonus
from audio_eval.rl.consensus.clusters import Clustering, cluster_statistics, clusters, silhouette_score
from audio_eval.rl.consensus.evolrl import evolrl_reward, novelty
from audio_eval.rl.consensus.semantic import Answers
from tests.rl.consensus.answers import Expanded, answers_at, at, multisets

AUTO = Clustering()
# "a", "b", "c" say one thing, "x", "y" another
ANGLES = {"a": 0, "b": 10, "c": 20, "x": 90, "y": 100}
DRAWN = {"y": 1, "a": 1, "b": 4, "x": 2, "c": 1, "": 1}  # sorted: "", a, b, c, x, y


def cos(*degrees: float) -> np.ndarray:
    return np.cos(np.radians(degrees))


def test_the_silhouette_of_four() -> None:
    # distances: 0 and 1 apart by .2, 2 and 3 by .4, all else 1. Of the first two (1 - .2) / 1 = .8, of the others .6
    distance = np.array([[0, 0.2, 1, 1], [0.2, 0, 1, 1], [1, 1, 0, 0.4], [1, 1, 0.4, 0]])
    labels = np.array([0, 0, 1, 1])
    assert silhouette_score(distance, np.ones(4, int), labels) == pytest.approx(0.7)
    # twice the first: a is .2 / 2 for its two copies (s = .9), 2 x .2 / 2 for its partner (.8): (1.8 + .8 + 1.2) / 5
    assert silhouette_score(distance, np.array([2, 1, 1, 1]), labels) == pytest.approx(0.76)
    # alone in a cluster: 0. The third has a = .4 from the fourth and b = 1 from either
    assert silhouette_score(distance, np.ones(4, int), np.array([0, 1, 2, 2])) == pytest.approx((0.6 + 0.6) / 4)


@given(multisets(min_size=2, empty=False), st.lists(st.integers(0, 3), min_size=7, max_size=7))
def test_the_silhouette_is_scikit_learns(answers: Answers, drawn: list[int]) -> None:
    from sklearn.metrics import silhouette_score as reference

    labels = np.unique(drawn[: len(answers.texts)], return_inverse=True)[1]
    assume(2 <= labels.max() + 1 < answers.counts.sum())
    samples = Expanded(answers)
    ours = silhouette_score(1 - answers.similarity, answers.counts, labels)
    assert ours == pytest.approx(reference(samples.vectors, labels[samples.place], metric="cosine"), abs=1e-9)


def test_two_meanings_are_two_clusters() -> None:
    answers = answers_at(DRAWN, ANGLES)
    found = clusters(answers.vectors, answers.counts, answers.valid, AUTO)
    assert found.assignment.tolist() == [-1, 0, 0, 0, 1, 1]
    assert (found.k, found.modal, found.anchor) == (2, 0, 2), "the centroid is at 10 degrees: b"
    assert found.silhouette is not None and found.silhouette > 0.9
    stats = cluster_statistics(answers, found)
    # modal samples: a, b x 4, c; 15 pairs: 6 of b with itself, 4 + 4 at 10 degrees, 1 at 20
    intra = (6 + 8 * cos(10)[0] + cos(20)[0]) / 15
    inter = cos(90, 100, 80, 90, 70, 80) @ [2, 1, 8, 4, 2, 1] / 18  # a-x a-y b-x b-y c-x c-y
    assert stats == pytest.approx(
        {
            "K": 2,
            "modal_frac": 0.6,
            "intra_modal_sim": intra,
            "inter_cluster_sim": inter,
            "frac_invalid": 0.1,
            "ambiguous": 0,
        }
    )


@pytest.mark.parametrize(
    ("drawn", "angles", "settings"),
    [
        ({"a": 8, "b": 8}, ANGLES, Clustering(same=0.9)),  # two texts that mean the same
        ({"a": 1, "b": 1, "c": 1}, {"a": 5, "b": 5, "c": 5}, AUTO),  # all alike
        ({"a": 1, "b": 1, "x": 1, "y": 1}, ANGLES, Clustering(min_silhouette=0.99)),
        ({"a": 5, "b": 5, "c": 5}, ANGLES, Clustering(same=0.9)),  # cos 20 = .94
    ],
)
def test_one_cluster(drawn: dict[str, int], angles: dict[str, float], settings: Clustering) -> None:
    answers = answers_at(drawn, angles)
    found = clusters(answers.vectors, answers.counts, answers.valid, settings)
    assert found.k == 1 and not found.assignment.any()
    assert cluster_reward(answers, "binary", settings).rewards.tolist() == [1.0] * len(drawn)


@pytest.mark.parametrize(
    ("drawn", "angles", "assignment"),
    [
        ({"a": 10, "x": 6}, ANGLES, [0, 1]),
        ({"A": 2, "a": 1, "x": 4}, ANGLES | {"A": 0}, [0, 0, 1]),  # three texts, two vectors
    ],
)
def test_two_vectors_are_two_clusters(drawn: dict[str, int], angles: dict[str, float], assignment: list[int]) -> None:
    answers = answers_at(drawn, angles)
    found = clusters(answers.vectors, answers.counts, answers.valid, AUTO)
    assert found.assignment.tolist() == assignment and found.modal == int(max(drawn, key=drawn.__getitem__) == "x")


def test_copies_alone_do_not_make_clusters() -> None:
    # five of each: K = 3 would have a silhouette of 1 for any three texts
    answers = answers_at({"a": 5, "b": 5, "x": 5}, ANGLES)
    assert clusters(answers.vectors, answers.counts, answers.valid, AUTO).assignment.tolist() == [0, 0, 1]


def test_of_two_largest_clusters_the_tighter_one_is_modal() -> None:
    # x, y: each 5 degrees off their centroid; a, c: 10 degrees off
    answers = answers_at({"a": 1, "c": 1, "x": 1, "y": 1}, ANGLES)
    found = clusters(answers.vectors, answers.counts, answers.valid, AUTO)
    assert found.assignment.tolist() == [0, 0, 1, 1] and found.modal == 1
    assert found.anchor == 2, "both are 5 degrees off: the first by text"


def test_nobody_spoke() -> None:
    answers = answers_at({"": 2}, {})
    found = clusters(answers.vectors, answers.counts, answers.valid, AUTO)
    assert (found.k, found.modal, found.anchor, found.in_modal.tolist()) == (0, None, None, [False])
    for mode in ("binary", "continuous", "kde"):
        reward = cluster_reward(answers, mode, AUTO)
        assert (reward.rewards.tolist(), reward.label, reward.confidence) == ([0.0], None, 0.0)
    assert evolrl_reward(answers, AUTO).rewards.tolist() == [-1.0]
    assert novelty_bonus(np.zeros(1), answers, [at(0)], 0.5).tolist() == [0.0]


def test_settings_are_checked() -> None:
    for bounds in ((1, 4), (3, 2)):
        with pytest.raises(UserError, match="k_min"):
            Clustering(*bounds)


def test_membership_and_closeness() -> None:
    answers = answers_at(DRAWN, ANGLES)
    binary = cluster_reward(answers, "binary", AUTO)
    assert dict(zip(DRAWN, binary.rewards, strict=True)) == {"y": 0, "a": 1, "b": 1, "x": 0, "c": 1, "": 0}
    assert (binary.label, binary.confidence) == ("b", 0.6)
    continuous = cluster_reward(answers, "continuous", AUTO)  # the anchor is at 10 degrees
    expected = [*(cos(90, 10, 0, 80, 10) + 1) / 2, 0]
    assert continuous.rewards == pytest.approx(expected)


def test_density() -> None:
    # "a" twice, "b" once, at a right angle; tau .2, e = exp(-1 / .2). Means over the other two samples:
    # a: (1 + e) / 2, b: (e + e) / 2 = e; over the largest: 1 and 2 e / (1 + e)
    e = np.exp(-5)
    found = cluster_reward(answers_at({"a": 2, "b": 1, "": 1}, {"a": 0, "b": 90}), "kde", AUTO)
    assert found.rewards == pytest.approx([1, 2 * e / (1 + e), 0])
    assert cluster_reward(answers_at({"a": 1, "": 3}, {"a": 0}), "kde", AUTO).rewards.tolist() == [1, 0]


def test_the_bonus_for_what_past_labels_did_not_say() -> None:
    answers = answers_at({"a": 1, "b": 1, "": 1}, {"a": 0, "b": 60})
    rewards = np.array([0.9, 0.2, 0.0])
    # past labels at 60 and 180 degrees: a is 60 off (1 - .5), b is said already
    bonus = novelty_bonus(rewards, answers, [at(60), at(180)], beta=0.1)
    assert bonus == pytest.approx([0.95, 0.2, 0.0])
    assert novelty_bonus(rewards, answers, [at(60)], beta=1.0) == pytest.approx([1.0, 0.2, 0.0]), "clipped"
    assert novelty_bonus(rewards, answers, [at(240)], beta=0.1) == pytest.approx([1.0, 0.3, 0.0]), (
        "novelty is at most 1"
    )
    assert (novelty_bonus(rewards, answers, [], beta=1.0) == rewards).all()


def test_evolrl_bands() -> None:
    # Modal: a, b x 4, c; outside: x x 2, y; nothing said: -1.
    answers = answers_at(DRAWN, ANGLES)
    ten, twenty = cos(10, 20)
    # a: others of the band 4 x cos10, cos20; nearest of all cos10. b: three copies, a, c; nearest a copy.
    a = 1 - 0.5 * (4 * ten + twenty) / 5 - 0.5 * ten
    b = 1 - 0.5 * (3 + 2 * ten) / 5 - 0.5
    x, y = 1 - 0.5 * (1 + ten) / 2 - 0.5, 1 - 0.5 * ten - 0.5 * ten
    similarity, counts, valid = answers.similarity, answers.counts, answers.valid
    modal = np.array([False, True, True, True, False, False])
    assert novelty(similarity, counts, modal, valid & ~modal) == pytest.approx([0, a, b, a, x, y])
    found = evolrl_reward(answers, AUTO)
    rewards = dict(zip(DRAWN, found.rewards, strict=True))
    # a and c are the most novel of the band, b the least; y of the others, x the least
    assert rewards == pytest.approx({"a": 1.0, "b": 0.5, "c": 1.0, "x": -1.0, "y": -0.5, "": -1.0})
    assert (found.label, found.confidence) == ("b", 0.6)
    assert found.metrics["novelty_mean"] == pytest.approx((2 * a + 4 * b + 2 * x + y) / 9)


def test_evolrl_of_equals_is_the_middle_of_the_band() -> None:
    # x alone outside, y's band has two at equal distance
    found = evolrl_reward(answers_at({"a": 2, "b": 2, "x": 1}, ANGLES), AUTO)
    assert found.rewards == pytest.approx([0.75, 0.75, -0.75])
    assert evolrl_reward(answers_at({"a": 4}, ANGLES), AUTO).rewards == pytest.approx([0.75])


@given(multisets())
def test_novelty_and_density_of_the_multiset_are_those_of_the_samples(answers: Answers) -> None:
    samples = Expanded(answers)
    found = clusters(answers.vectors, answers.counts, answers.valid, AUTO)
    in_modal = found.in_modal[samples.place]
    fresh = novelty(answers.similarity, answers.counts, found.in_modal, answers.valid & ~found.in_modal)
    density = []
    for i in range(len(samples.place)):
        near = samples.others(i, np.flatnonzero(in_modal == in_modal[i]))
        far = samples.others(i)
        expected = 1 - 0.5 * (np.mean(near) if near else 0.0) - 0.5 * (max(far) if far else 0.0)
        assert fresh[samples.place[i]] == pytest.approx(expected, abs=1e-9)
        density.append(np.mean(np.exp((np.array(far) - 1) / 0.2)) if far else 1.0)
    kde = cluster_reward(answers, "kde", AUTO).rewards
    for i, row in enumerate(samples.place):
        assert kde[list(answers.rows).index(row)] == pytest.approx(density[i] / max(density), abs=1e-9)


@given(multisets())
def test_cluster_statistics_are_those_of_the_samples(answers: Answers) -> None:
    samples = Expanded(answers)
    found = clusters(answers.vectors, answers.counts, answers.valid, AUTO)
    labels = found.assignment[samples.place]
    stats = cluster_statistics(answers, found)
    pairs = [(i, j) for i, j in combinations(range(len(labels)), 2)]
    intra = [samples.cos(i, j) for i, j in pairs if labels[i] == labels[j] == found.modal]
    inter = [samples.cos(i, j) for i, j in pairs if labels[i] != labels[j]]
    assert stats["intra_modal_sim"] == pytest.approx(np.mean(intra) if intra else 1.0)
    assert stats["inter_cluster_sim"] == pytest.approx(np.mean(inter) if inter else 0.0, abs=1e-9)
    assert stats["modal_frac"] == pytest.approx((labels == found.modal).sum() / answers.counts.sum())
    assert stats["modal_frac"] * answers.counts.sum() == pytest.approx(np.bincount(labels).max()), "the largest"
