"""Semantic clusters of a group's answers: k-means on unit vectors, number of clusters by silhouette (OP-TTRAV)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio_eval.errors import UserError
from audio_eval.rl.consensus.semantic import TIE, Answers, sample_pairs, winner

AMBIGUOUS = 0.5  # OP-TTRAV's cluster_frac_ambiguous: the modal cluster has less than half of the samples


@dataclass(frozen=True)
class Clusters:
    """``assignment`` (V,): the cluster of each answer, -1 for an empty one. ``k``: how many clusters there are.

    ``modal`` is the largest cluster, ``anchor`` the row of the answer nearest to its centroid; both None where ``k`` is
    0. ``silhouette`` is the best mean silhouette over all K that were tried, None where none was.
    """

    assignment: np.ndarray
    k: int
    modal: int | None
    anchor: int | None
    silhouette: float | None

    @property
    def in_modal(self) -> np.ndarray:
        """(V,) whether an answer is in the modal cluster."""
        return (self.assignment == self.modal) & (self.assignment >= 0)


@dataclass(frozen=True)
class Clustering:
    """Settings of ``clusters``. Raises ``UserError`` unless 2 <= ``k_min`` <= ``k_max``.

    OP-TTRAV forces K >= 2 and so splits sixteen answers that mean the same. Here all answers are one cluster where
    every pair has a cosine of at least ``same`` (1: only where all vectors are equal), or where the best silhouette is
    below ``min_silhouette``. A silhouette does not depend on scale, so near paraphrases can score high; ``same`` sets
    the scale, and its value depends on the encoder.
    """

    k_min: int = 2
    k_max: int = 4
    min_silhouette: float = 0.0
    same: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.k_min <= self.k_max:
            raise UserError(f"clusters need 2 <= k_min <= k_max, not k_min={self.k_min}, k_max={self.k_max}.")


def clusters(vectors: np.ndarray, counts: np.ndarray, valid: np.ndarray, settings: Clustering) -> Clusters:
    """Cluster the answers: unit ``vectors`` (V, d), ``counts`` (V,), ``valid`` (V,).

    K is the number in [k_min, k_max] with the best mean cosine silhouette, the smaller one on a tie. It stays below the
    number of distinct vectors: with one cluster each, the copies alone would give any texts a perfect silhouette. Two
    distinct vectors, too few for a silhouette, are two clusters unless they mean the same. The cluster with the most
    samples is modal; on a tie the one with the higher mean cosine to its own centroid, then the one with the first
    text.
    """
    assignment = np.full(len(counts), -1)
    if not valid.any():
        return Clusters(assignment, 0, None, None, None)
    points, weights = vectors[valid], counts[valid]
    labels, silhouette = _split(points, weights, settings)
    assignment[valid] = labels
    k = int(labels.max()) + 1
    centres = [_centre(points[labels == c], weights[labels == c]) for c in range(k)]
    sizes = np.array([weights[labels == c].sum() for c in range(k)])
    tightness = [np.average(points[labels == c] @ centres[c], weights=weights[labels == c]) for c in range(k)]
    modal = winner(np.array(tightness), np.zeros(k), sizes == sizes.max())
    assert modal is not None, "one of them is the largest"
    anchor = winner(vectors @ centres[modal], counts, assignment == modal)
    return Clusters(assignment, k, modal, anchor, silhouette)


def silhouette_score(distance: np.ndarray, counts: np.ndarray, labels: np.ndarray) -> float:
    """Mean silhouette of the N samples (Rousseeuw 1987): ``distance`` (V, V), ``counts`` (V,), ``labels`` (V,) 0..K-1.

    s = (b - a) / max(a, b); a: mean distance to the other samples of the own cluster, b: to those of the nearest other
    cluster. s is 0 for a sample alone in its cluster, and where a = b = 0. The result is scikit-learn's for the N
    samples written out one by one.
    """
    member = (labels[:, None] == np.arange(labels.max() + 1)).astype(float)  # (V, K)
    sizes = counts @ member
    totals = distance @ (counts[:, None] * member)
    own = member.astype(bool)
    a = totals[own] / np.maximum(sizes[labels] - 1, 1)
    b = np.where(own, np.inf, totals / sizes).min(axis=1)
    larger = np.maximum(a, b)
    s = np.where((sizes[labels] > 1) & (larger > 0), (b - a) / np.where(larger > 0, larger, 1.0), 0.0)
    return float(np.average(s, weights=counts))


def cluster_statistics(answers: Answers, found: Clusters) -> dict[str, float]:
    """Metrics for the log (OP-TTRAV ttrl_utils.py, ``cluster_*``). Shares are of all N samples, means over pairs.

    ``intra_modal_sim`` is 1 for a modal cluster of one sample; ``inter_cluster_sim`` is 0 for a single cluster.
    """
    n = max(int(answers.counts.sum()), 1)
    share = float(answers.counts[found.in_modal].sum()) / n
    intra, inter = float(found.k > 0), 0.0
    modal = found.in_modal
    values, weights = sample_pairs(answers.similarity[np.ix_(modal, modal)], answers.counts[modal])
    if weights.sum() > 0:
        intra = float(np.average(values, weights=weights))
    if found.k > 1:
        valid = answers.valid
        apart = (found.assignment[:, None] != found.assignment) & valid[:, None] & valid
        inter = float(np.average(answers.similarity[apart], weights=np.outer(answers.counts, answers.counts)[apart]))
    return {
        "K": float(found.k),
        "modal_frac": share,
        "intra_modal_sim": intra,
        "inter_cluster_sim": inter,
        "frac_invalid": float(answers.counts[~answers.valid].sum()) / n,
        "ambiguous": float(share < AMBIGUOUS),
    }


def _split(points: np.ndarray, counts: np.ndarray, settings: Clustering) -> tuple[np.ndarray, float | None]:
    """Labels (V,), numbered in the order of the texts, and the best silhouette."""
    from sklearn.cluster import KMeans

    cosine = np.clip(points @ points.T, -1.0, 1.0)
    copies = np.tril(cosine >= 1 - TIE, -1).any(axis=1)  # texts with the same vector ("Dog", "dog")
    distance = 1.0 - cosine
    np.fill_diagonal(distance, 0.0)
    best, labels = None, np.zeros(len(points), int)
    if cosine.min() >= settings.same - TIE:
        return labels, best
    if (~copies).sum() == 2:  # too few for a silhouette, and not the same
        return cosine[:, ~copies].argmax(axis=1), best
    for k in range(settings.k_min, min(settings.k_max, int((~copies).sum()) - 1) + 1):
        means = KMeans(k, n_init=4, random_state=settings.seed).fit(points, sample_weight=counts)
        _, first, numbered = np.unique(means.labels_, return_index=True, return_inverse=True)
        tried = np.argsort(np.argsort(first))[numbered]
        score = silhouette_score(distance, counts, tried)
        if best is None or score > best + TIE:
            best, labels = score, tried
    if best is not None and best < settings.min_silhouette:
        labels = np.zeros_like(labels)
    return labels, best


def _centre(points: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean vector's direction (d,); zero where the vectors cancel out."""
    total = counts @ points
    length = float(np.linalg.norm(total))
    return total / length if length > TIE else np.zeros_like(total)
