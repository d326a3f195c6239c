"""The answers of a group as vectors: what every reward of open-ended test-time RL starts from.

A group is a multiset of completions. Here it becomes a multiset of distinct answers: completions that reason
differently and answer alike are one answer, drawn as often as all of them together. Every mean, vote and pair counts
an answer as often as it was drawn; results are those of the N samples written out one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from audio_eval.group import Group
from audio_eval.scoring.extraction import plain
from audio_eval.scoring.open_ended import final_answer

TIE = 1e-9  # numbers closer than this are equal: the order of summing must not decide a vote
HIGH_SIMILARITY = 0.95  # OP-TTRAV's oe_frac_high_sim


@dataclass(frozen=True)
class Answers:
    """The V distinct answers of a group, sorted by text, so nothing depends on the order of drawing.

    ``rows`` (U,): the answer of each completion. ``counts`` (V,): samples that gave the answer. ``vectors`` (V, d):
    unit vectors, float64; zero for the empty answer, which is not embedded.
    """

    group: Group
    texts: tuple[str, ...]
    rows: np.ndarray
    counts: np.ndarray
    vectors: np.ndarray

    @property
    def valid(self) -> np.ndarray:
        """(V,) whether the answer says anything."""
        return np.array([bool(text) for text in self.texts], bool)

    @cached_property
    def similarity(self) -> np.ndarray:
        """(V, V) cosines; 1 between an answer and itself, 0 to the empty answer."""
        cosines = np.clip(self.vectors @ self.vectors.T, -1.0, 1.0)
        np.fill_diagonal(cosines, self.valid.astype(float))
        return cosines


@dataclass(frozen=True)
class Consensus:
    """What a reward mode makes of a group. ``rewards`` (U,): one a completion of the group.

    ``label`` is the elected answer, ``vector`` (d,) its embedding; both None where nobody said anything.
    ``confidence`` is in [0, 1]. ``metrics`` are numbers for the log.
    """

    rewards: np.ndarray
    label: str | None
    vector: np.ndarray | None
    confidence: float
    metrics: dict[str, float] = field(default_factory=dict)

    @staticmethod
    def of(
        answers: Answers, rewards: np.ndarray, elected: int | None, confidence: float, metrics: dict[str, float]
    ) -> Consensus:
        """From ``rewards`` (V,), one an answer, and the row of the elected answer."""
        label, vector = (None, None) if elected is None else (answers.texts[elected], answers.vectors[elected])
        return Consensus(rewards[answers.rows], label, vector, min(max(confidence, 0.0), 1.0), metrics)


def answer_spans(group: Group) -> list[str]:
    """What each completion (U) says in the end, without boxes and markdown; "" where it says nothing.

    Whole completions would be compared by their style and their reasoning (OP-TTRAV: clusters "by style, not content").
    """
    return [plain(final_answer(completion.text)) for completion in group.completions]


def embed(groups: Sequence[Group], encode: Callable[[Sequence[str]], np.ndarray]) -> list[Answers]:
    """The answers of each group; ``encode`` maps n texts to (n, d) and is called once, without empty texts."""
    spans = [answer_spans(group) for group in groups]
    texts = sorted({text for said in spans for text in said if text})
    vectors = np.asarray(encode(texts), np.float64) if texts else np.zeros((0, 0))
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)  # float32 unit vectors are so to 1e-7 only
    place = {text: row for row, text in enumerate(texts)}
    result = []
    for group, said in zip(groups, spans, strict=True):
        distinct = sorted(set(said))
        rows = np.array([distinct.index(text) for text in said], int)
        counts = np.bincount(rows, weights=group.counts, minlength=len(distinct)).astype(int)
        own = np.array([vectors[place[text]] if text else np.zeros(vectors.shape[1]) for text in distinct])
        result.append(Answers(group, tuple(distinct), rows, counts, own.reshape(len(distinct), vectors.shape[1])))
    return result


def elect(scores: np.ndarray, counts: np.ndarray, allowed: np.ndarray) -> int | None:
    """The allowed row (V) with the highest score; on a tie the one drawn most often, then the first by text.

    None where no row is allowed.
    """
    if not allowed.any():
        return None
    best = allowed & (scores >= scores[allowed].max() - TIE)
    return int(max(np.flatnonzero(best), key=lambda row: (counts[row], -row)))


def mean_to_others(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(V, V) values of pairs -> (V,) the mean over the other N - 1 samples; the diagonal is a sample to its copy.

    Where there is no other sample it is 0.
    """
    return (values @ counts - np.diagonal(values)) / max(counts.sum() - 1, 1)


def pair_statistics(answers: Answers) -> dict[str, float]:
    """How alike the samples of a group are, for the log (OP-TTRAV verl/verl/trainer/ppo/ttrl_utils.py, ``oe_*``).

    Over the N(N-1)/2 pairs of samples that say something; copies of an answer are pairs with similarity 1. ``sim_std``
    has ddof 0, ``medoid_mean_sim`` is the highest mean similarity to the others. 0 where there is no pair.
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
    """Values and weights of the pairs of samples: (V, V), (V,) -> two (V(V+1)/2,); the weights sum to N(N-1)/2."""
    one, other = np.triu_indices(len(counts))
    copies = counts * (counts - 1) / 2
    weights = np.where(one == other, copies[one], (counts[one] * counts[other]).astype(float))
    return similarity[one, other], weights
