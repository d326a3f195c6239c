"""Rewards without information about the answer, as controls (Spurious Rewards, arXiv 2506.10947)."""

from __future__ import annotations

import numpy as np

from audio_eval.group import Group
from audio_eval.questions import Question
from audio_eval.rl.votes import Vote
from audio_eval.scoring import normalise
from audio_eval.seeding import stream


def random_reward(group: Group, seed: int, step: int, share: float = 0.5) -> np.ndarray:
    """Each sample gets 1 with probability ``share``, else 0; shape (N,), as equal completions are drawn apart."""
    rng = stream(seed, group.question.id, "random reward", step)
    return (rng.random(group.size) < share).astype(float)


def wrong_choice(vote: Vote, question: Question, seed: int) -> int | None:
    """The option with the second most votes, a tie broken at random; None where there is no other option.

    Spurious Rewards uses the majority labels that are wrong, which needs the answers. This needs none.
    """
    texts = [normalise(choice) for choice in question.choices]
    majority = "" if vote.choice is None else texts[vote.choice]
    # neither an empty slot nor another option with the same text as the majority
    others = [i for i, text in enumerate(texts) if text and text != majority and texts.index(text) == i]
    if not others:
        return None
    most = max(vote.tally.get(choice, 0) for choice in others)
    tied = [choice for choice in others if vote.tally.get(choice, 0) == most]
    return tied[int(stream(seed, question.id, "runner-up").integers(len(tied)))]
