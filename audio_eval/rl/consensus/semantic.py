"""The answers of a group as vectors, the input of all rewards of open-ended test-time RL.

Completions with the same answer are one answer here, whatever their reasoning, with the sum of their counts. Every
mean, vote and pair counts an answer as often as it was sampled: results are those of the N samples one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from audio_eval.group import Group
from audio_eval.scoring.extraction import plain
from audio_eval.scoring.open_ended import final_answer

TIE = 1e-9  # numbers closer than this are equal, so that the order of summation does not decide
HIGH_SIMILARITY = 0.95  # OP-TTRAV's oe_frac_high_sim


@dataclass(frozen=True)
class Answers:
    """The V distinct answers of a group, sorted by text, so that the order of sampling does not matter.

    ``rows`` (U,): the answer of each completion. ``counts`` (V,): samples with this answer. ``vectors`` (V, d): unit
    vectors, float64; zero for the empty answer, which is not embedded.
    """

    group: Group
    texts: tuple[str, ...]
    rows: np.ndarray
    counts: np.ndarray
    vectors: np.ndarray

    @property
    def valid(self) -> np.ndarray:
        """(V,) whether the answer is not empty."""
        return np.array([bool(text) for text in self.texts], bool)

    @cached_property
    def similarity(self) -> np.ndarray:
        """(V, V) cosines; 1 between an answer and itself, 0 to the empty answer."""
        cosines = np.clip(self.vectors @ self.vectors.T, -1.0, 1.0)
        np.fill_diagonal(cosines, self.valid.astype(float))
        return cosines


@dataclass(frozen=True)
class Consensus:
    """The result of a reward mode for a group. ``rewards`` (U,): one per completion of the group.

    ``label`` is the winning answer, ``vector`` (d,) its embedding; both None where all answers are empty.
    ``confidence`` is in [0, 1]. ``metrics`` are for the log.
    """

    rewards: np.ndarray
    label: str | None
    vector: np.ndarray | None
    confidence: float
    metrics: dict[str, float] = field(default_factory=dict)

    @staticmethod
    def of(
        answers: Answers, rewards: np.ndarray, best: int | None, confidence: float, metrics: dict[str, float]
    ) -> Consensus:
        """From ``rewards`` (V,), one per answer, and the row of the winning answer."""
        label, vector = (None, None) if best is None else (answers.texts[best], answers.vectors[best])
        return Consensus(rewards[answers.rows], label, vector, min(max(confidence, 0.0), 1.0), metrics)


def answer_spans(group: Group) -> list[str]:
    """The final answer of each completion (U), without boxes and markdown; "" where there is none.

    Whole completions would be compared by style and reasoning (OP-TTRAV: clusters "by style, not content").
    """
    return [plain(final_answer(completion.text)) for completion in group.completions]


def embed(groups: Sequence[Group], encode: Callable[[Sequence[str]], np.ndarray]) -> list[Answers]:
    """The answers of each group. ``encode`` maps n texts to (n, d); it is called once, without empty texts."""
    spans = [answer_spans(group) for group in groups]
    texts = sorted({text for said in spans for text in said if text})
    vectors = np.asarray(encode(texts), np.float64) if texts else np.zeros((0, 0))
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)  # float32 unit vectors are exact to 1e-7 only
    place = {text: row for row, text in enumerate(texts)}
    result = []
    for group, said in zip(groups, spans, strict=True):
        distinct = sorted(set(said))
        rows = np.array([distinct.index(text) for text in said], int)
        counts = np.bincount(rows, weights=group.counts, minlength=len(distinct)).astype(int)
        own = np.array([vectors[place[text]] if text else np.zeros(vectors.shape[1]) for text in distinct])
        result.append(Answers(group, tuple(distinct), rows, counts, own.reshape(len(distinct), vectors.shape[1])))
    return result


def winner(scores: np.ndarray, counts: np.ndarray, allowed: np.ndarray) -> int | None:
    """The allowed row (V) with the highest score; on a tie the one with the most samples, then the first by text.

    None where no row is allowed.
    """
    if not allowed.any():
        return None
    best = allowed & (scores >= scores[allowed].max() - TIE)
    return int(max(np.flatnonzero(best), key=lambda row: (counts[row], -row)))


def mean_to_others(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(V, V) values of pairs -> (V,) means over the other N - 1 samples. The diagonal has the value of two copies.

    0 where there is no other sample.
    """
    return (values @ counts - np.diagonal(values)) / max(counts.sum() - 1, 1)


def pair_statistics(answers: Answers) -> dict[str, float]:
    """How similar the samples of a group are, for the log (OP-TTRAV verl/verl/trainer/ppo/ttrl_utils.py, ``oe_*``).

    Over the pairs of samples that are not empty; two copies of an answer are a pair with similarity 1. ``sim_std`` has
    ddof 0, ``medoid_mean_sim`` is the highest mean similarity to the others. All are 0 where there is no pair.
    """
    valid = answers.valid
    counts, similarity = answers.counts[valid], answers.similarity[np.ix_(valid, valid)]
    names = ("mean_pairwise_sim", "max_pairwise_sim", "sim_std", "medoid_mean_sim", "frac_high_sim")
    result = dict.fromkeys(names, 0.0) | {"unique_responses": float(valid.sum())}
    if counts.sum() < 2:
        return result
    values, weights = sample_pairs(similarity, counts)
    mean = np.average(values, weights=weights)
    return result | {
        "mean_pairwise_sim": float(mean),
        "max_pairwise_sim": float(values[weights > 0].max()),
        "sim_std": float(np.sqrt(np.average((values - mean) ** 2, weights=weights))),
        "medoid_mean_sim": float(mean_to_others(similarity, counts).max()),
        "frac_high_sim": float(np.average(values > HIGH_SIMILARITY, weights=weights)),
    }


def sample_pairs(similarity: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and weights of the pairs of samples: (V, V), (V,) -> two (V(V+1)/2,). The weights sum to N(N-1)/2."""
    one, other = np.triu_indices(len(counts))
    copies = counts * (counts - 1) / 2
    weights = np.where(one == other, copies[one], (counts[one] * counts[other]).astype(float))
    return similarity[one, other], weights
