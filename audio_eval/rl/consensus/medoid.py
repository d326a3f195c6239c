"""Rewards for answers close to the centre of the group: its medoid (OP-TTRAV) or its centroid."""

from __future__ import annotations

import numpy as np

from audio_eval.rl.consensus.semantic import Answers, Consensus, mean_to_others, winner

LENGTH_PENALTY = 0.7  # OP-TTRAV's factor for short answers


def medoid(similarity: np.ndarray, counts: np.ndarray, valid: np.ndarray) -> int | None:
    """The row of the answer with the highest mean similarity to the other N - 1 samples; None where none is valid.

    ``similarity`` (V, V), 0 to invalid rows; ``counts`` (V,), ``valid`` (V,). A copy is another sample with similarity
    1. On a tie the answer with the most samples wins, then the first row.
    """
    return winner(mean_to_others(similarity, counts), counts, valid)


def medoid_reward(answers: Answers, min_words: int = 0) -> Consensus:
    """The reward clip(cos(answer, medoid), 0, 1) (OP-TTRAV ttrl_open_ended_vote.py); 0 for an empty answer.

    The cosine is not rescaled by (x+1)/2, as unrelated texts are at about .6 already with BGE models. Answers of fewer
    than ``min_words`` words get 0.7 of it. The confidence is the medoid's mean similarity to the other samples, where
    empty answers count as 0, like unparsable samples in a vote; it is 1 for a single sample.
    """
    best = medoid(answers.similarity, answers.counts, answers.valid)
    if best is None:
        return Consensus.of(answers, np.zeros(len(answers.texts)), None, 0.0, {})
    alone = answers.counts.sum() == 1
    mean = 1.0 if alone else float(mean_to_others(answers.similarity, answers.counts)[best])
    rewards = _cosine_reward(answers, answers.vectors[best], min_words)
    return Consensus.of(answers, rewards, best, mean, {"medoid_mean_sim": mean})


def centroid_reward(answers: Answers, min_words: int = 0) -> Consensus:
    """The reward clip(cos(answer, centroid), 0, 1), the centroid being the samples' mean vector.

    The label is the answer nearest to the centroid. The confidence is the length of the mean vector times the share of
    answers that are not empty; it is 1 where all answers are the same. Empty answers get 0, those of fewer than
    ``min_words`` words 0.7 of the reward. Where the vectors cancel out, all rewards are 0 and there is no label.
    """
    total = answers.counts @ answers.vectors
    length = float(np.linalg.norm(total)) / max(answers.counts.sum(), 1)
    if length < 1e-9:
        return Consensus.of(answers, np.zeros(len(answers.texts)), None, 0.0, {})
    centre = total / np.linalg.norm(total)
    best = winner(answers.vectors @ centre, answers.counts, answers.valid)
    return Consensus.of(answers, _cosine_reward(answers, centre, min_words), best, length, {})


def _cosine_reward(answers: Answers, target: np.ndarray, min_words: int) -> np.ndarray:
    """(V,) clipped cosines to a unit vector (d,), reduced for short answers."""
    words = np.array([len(text.split()) for text in answers.texts])
    return np.clip(answers.vectors @ target, 0.0, 1.0) * np.where(words < min_words, LENGTH_PENALTY, 1.0)
