"""EMPO (arXiv 2504.05812): the reward of an answer is the share of samples that mean the same."""

from __future__ import annotations

import numpy as np

from audio_eval.rl.consensus.semantic import TIE, Answers, Consensus, mean_to_others, winner

NO_ANSWER = -0.5
ECHO = 0.8  # an answer repeats the question above this ROUGE-L precision
MIN_SHARE = 0.2  # no agreement to learn from where the largest cluster has a smaller share


def empo_reward(answers: Answers, threshold: float, guards: bool = True) -> Consensus:
    """The reward p(cluster of the answer), of all N samples (EMPO src/open_r1/rewards.py, ``semantic_prob_reward``).

    In a cluster every pair of answers has a cosine of at least ``threshold`` (complete linkage). EMPO asks a verifier
    model instead; cosines depend on the encoder, so the threshold has no default. All rewards are 0 where every sample
    means something else (entropy of the clusters = ln N).

    With ``guards``, an empty answer gets -0.5; an answer that repeats the question gets 0 (it is part of it, or its
    ROUGE-L precision is above .8); and all answers get 0 where the largest share is below .2. Switch the guards off for
    questions that name their options ("a dog or a cat?"), as these contain every right answer; an empty answer
    then gets 0.

    The label is the medoid of the largest cluster, the confidence its share.
    """
    valid, n = answers.valid, max(int(answers.counts.sum()), 1)
    rewards = np.where(valid, 0.0, NO_ANSWER if guards else 0.0)
    if not valid.any():
        return Consensus.of(answers, rewards, None, 0.0, {})
    assignment = np.full(len(valid), -1)
    assignment[valid] = semantic_clusters(answers.similarity[np.ix_(valid, valid)], threshold)
    share = np.where(valid, (assignment[:, None] == assignment) @ answers.counts / n, 0.0)
    # Each sample without an answer is a class of its own.
    alone = answers.counts[~valid].sum()
    entropy = float(-(answers.counts[valid] / n) @ np.log(share[valid]) + alone / n * np.log(n))
    if entropy < np.log(n) - TIE and not (guards and share.max() < MIN_SHARE):
        echo = np.array([guards and repeats(text, answers.group.question.question) for text in answers.texts])
        rewards = np.where(valid & ~echo, share, rewards)
    largest = assignment == assignment[share.argmax()]  # on a tie the one with the first text
    best = winner(mean_to_others(answers.similarity, answers.counts * largest), answers.counts, largest)
    return Consensus.of(answers, rewards, best, float(share.max()), {"semantic_entropy": entropy})


def semantic_clusters(similarity: np.ndarray, threshold: float) -> np.ndarray:
    """(V, V) cosines -> (V,) cluster numbers from 0, by complete linkage: no pair of a cluster is below ``threshold``.

    Counts do not matter, as copies are at distance 0.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(similarity) < 2:
        return np.zeros(len(similarity), int)
    distance = np.clip(1.0 - (similarity + similarity.T) / 2, 0.0, None)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "complete")
    return np.asarray(fcluster(tree, 1.0 - threshold + TIE, "distance"), int) - 1


def repeats(answer: str, question: str) -> bool:
    """Whether an answer only repeats the question. Case does not matter.

    ROUGE-L works on a-z and 0-9 only; in other scripts only an exact part of the question is recognised.
    """
    from rouge_score.rouge_scorer import RougeScorer

    if answer.lower() in question.lower():
        return True
    return float(RougeScorer(["rougeL"]).score(question, answer)["rougeL"].precision) > ECHO
