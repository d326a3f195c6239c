"""Rewards for being close to the group's centre: the medoid (OP-TTRAV) or the centroid."""

from __future__ import annotations

import numpy as np

from audio_eval.rl.consensus.semantic import Answers, Consensus, elect, mean_to_others

LENGTH_PENALTY = 0.7  # OP-TTRAV's factor for answers under its length floor


def medoid(similarity: np.ndarray, counts: np.ndarray, valid: np.ndarray) -> int | None:
    """The row of the answer with the highest mean similarity to the other N - 1 samples; None where none is valid.

    ``similarity`` (V, V), 0 to invalid rows; ``counts`` (V,), ``valid`` (V,). A copy is another sample with similarity
    1. A tie goes to the answer drawn most often, then to the lower row.
    """
    return elect(mean_to_others(similarity, counts), counts, valid)


def medoid_reward(answers: Answers, min_words: int = 0) -> Consensus:
    """The reward clip(cos(answer, medoid), 0, 1) (OP-TTRAV ttrl_open_ended_vote.py); 0 for an empty answer.

    A cosine is not rescaled by (x+1)/2: unrelated texts sit at about .6 with BGE models already. Answers under
    ``min_words`` words get 0.7 of it. The confidence is the medoid's mean similarity to the other samples; those
    that say nothing count as 0, as unparsable samples do in a vote, and a single sample is sure of itself.
    """
    elected = medoid(answers.similarity, answers.counts, answers.valid)
    if elected is None:
        return Consensus.of(answers, np.zeros(len(answers.texts)), None, 0.0, {})
    alone = answers.counts.sum() == 1
    mean = 1.0 if alone else float(mean_to_others(answers.similarity, answers.counts)[elected])
    rewards = _cosine_reward(answers, answers.vectors[elected], min_words)
    return Consensus.of(answers, rewards, elected, mean, {"medoid_mean_sim": mean})


def centroid_reward(answers: Answers, min_words: int = 0) -> Consensus:
    """The reward clip(cos(answer, centroid), 0, 1), the centroid being the samples' mean vector.

    The label is the answer nearest to it. The confidence is the mean vector's length times the share of samples that
    say something: 1 where all say the same. Empty answers get 0, those under ``min_words`` words 0.7 of the reward.
    Where the vectors cancel out there is no centre: all rewards are 0 and there is no label.
    """
    total = answers.counts @ answers.vectors
    length = float(np.linalg.norm(total)) / max(answers.counts.sum(), 1)
    if length < 1e-9:
        return Consensus.of(answers, np.zeros(len(answers.texts)), None, 0.0, {})
    centre = total / np.linalg.norm(total)
    elected = elect(answers.vectors @ centre, answers.counts, answers.valid)
    return Consensus.of(answers, _cosine_reward(answers, centre, min_words), elected, length, {})


def _cosine_reward(answers: Answers, target: np.ndarray, min_words: int) -> np.ndarray:
    """(V,) clipped cosines to a unit vector (d,), with the length floor."""
    words = np.array([len(text.split()) for text in answers.texts])
    return np.clip(answers.vectors @ target, 0.0, 1.0) * np.where(words < min_words, LENGTH_PENALTY, 1.0)
