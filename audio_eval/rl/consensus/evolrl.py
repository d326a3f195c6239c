"""EVOL-RL (arXiv 2509.15194): reward for the majority, and for novelty within it."""

from __future__ import annotations

import numpy as np

from audio_eval.rl.consensus.clusters import Clustering, cluster_statistics, clusters
from audio_eval.rl.consensus.semantic import TIE, Answers, Consensus


def evolrl_reward(answers: Answers, settings: Clustering) -> Consensus:
    """Rewards in [-1, 1]: .5 + .5u in the modal cluster, -1 + .5u outside it, -1 for an empty answer.

    u in [0, 1] is the ``novelty``, scaled to this range within each band; it is .5 where a band has no differences. The
    bands are semantic clusters, as in OP-TTRAV; in the paper they are equal answers. Label and confidence are those of
    ``cluster_reward``.
    """
    found = clusters(answers.vectors, answers.counts, answers.valid, settings)
    metrics = cluster_statistics(answers, found)
    rewards = np.full(len(answers.texts), -1.0)
    modal, others = found.in_modal, answers.valid & ~found.in_modal
    fresh = novelty(answers.similarity, answers.counts, modal, others)
    for band, base in ((modal, 0.5), (others, -1.0)):
        if band.any():
            rewards[band] = base + 0.5 * _scaled(fresh[band])
    if answers.valid.any():
        said = answers.counts[answers.valid]
        mean = float(np.average(fresh[answers.valid], weights=said))
        metrics["novelty_mean"] = mean
        metrics["novelty_std"] = float(np.sqrt(np.average((fresh[answers.valid] - mean) ** 2, weights=said)))
    return Consensus.of(answers, rewards, found.anchor, metrics["modal_frac"], metrics)


def novelty(similarity: np.ndarray, counts: np.ndarray, *bands: np.ndarray) -> np.ndarray:
    """1 - .5 mean similarity to the others of the band - .5 max similarity to all others; (V,), 0 outside the bands.

    ``similarity`` (V, V), ``counts`` (V,), ``bands`` (V,) bool each, without overlap. "All others" are the samples of
    all bands; a copy of an answer is another sample. Mean and max are 0 without other samples.
    """
    result = np.zeros(len(counts))
    everyone = np.any(bands, axis=0)
    for band in bands:
        for row in np.flatnonzero(band):
            left = counts.copy()
            left[row] -= 1
            near, far = left * band, everyone & (left > 0)
            mean = similarity[row] @ near / near.sum() if near.any() else 0.0
            most = similarity[row][far].max() if far.any() else 0.0
            result[row] = 1.0 - 0.5 * mean - 0.5 * most
    return result


def _scaled(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high - low > TIE else np.full(len(values), 0.5)
