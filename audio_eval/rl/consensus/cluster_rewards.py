"""Rewards from semantic clusters: membership, closeness or density, and a bonus for novelty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from audio_eval.rl.consensus.clusters import Clustering, cluster_statistics, clusters
from audio_eval.rl.consensus.semantic import Answers, Consensus, mean_to_others

ClusterMode = Literal["binary", "continuous", "kde"]


def cluster_reward(answers: Answers, mode: ClusterMode, settings: Clustering, tau: float = 0.2) -> Consensus:
    """Rewards in [0, 1] of OP-TTRAV's simple_cluster (ttrl_evolrl_cluster_vote.py); 0 for an empty answer.

    "binary": 1 in the modal cluster. "continuous": (cos(answer, anchor) + 1) / 2. "kde": the mean over the other
    samples of exp((cos - 1) / ``tau``), divided by the largest. The label is the anchor, the confidence the modal
    cluster's share of all N samples.
    """
    found = clusters(answers.vectors, answers.counts, answers.valid, settings)
    metrics = cluster_statistics(answers, found)
    if mode == "binary":
        rewards = found.in_modal.astype(float)
    elif mode == "continuous":
        rewards = np.zeros(len(answers.texts))
        if found.anchor is not None:
            rewards = np.where(answers.valid, (answers.similarity[:, found.anchor] + 1) / 2, 0.0)
    else:
        rewards = _density(answers, tau)
    return Consensus.of(answers, rewards, found.anchor, metrics["modal_frac"], metrics)


def novelty_bonus(
    rewards: np.ndarray, answers: Answers, past: Sequence[np.ndarray] | np.ndarray, beta: float
) -> np.ndarray:
    """Rewards (U,) plus ``beta`` clip(1 - max cos(answer, past label), 0, 1), clipped to [0, 1].

    ``past`` are the unit vectors (d,) of earlier labels; OP-TTRAV keeps 100. An empty answer gets no bonus. Without
    earlier labels there is no bonus: the same one for all would only push good rewards against the limit of 1.
    """
    if not len(past) or not len(answers.rows):
        return rewards
    closest = (answers.vectors @ np.stack(list(past)).T).max(axis=1) if answers.valid.any() else np.ones(1)
    bonus = np.where(answers.valid, beta * np.clip(1.0 - closest, 0.0, 1.0), 0.0)[answers.rows]
    return np.clip(rewards + bonus, 0.0, 1.0)


def _density(answers: Answers, tau: float) -> np.ndarray:
    """(V,) densities divided by the largest; 1 for a single sample that is not empty."""
    valid = answers.valid
    rewards = np.zeros(len(valid))
    counts = answers.counts[valid]
    if counts.sum() == 1:
        rewards[valid] = 1.0
    elif valid.any():
        density = mean_to_others(np.exp((answers.similarity[np.ix_(valid, valid)] - 1) / tau), counts)
        rewards[valid] = density / density.max()
    return rewards
