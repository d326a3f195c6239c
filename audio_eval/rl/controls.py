"""Rewards that know nothing of the answer: what a gain must be set beside (Spurious Rewards, arXiv 2506.10947)."""

from __future__ import annotations

import numpy as np

from audio_eval.group import Group
from audio_eval.questions import Question
from audio_eval.rl.votes import Vote
from audio_eval.scoring import normalise
from audio_eval.seeding import stream


def random_reward(group: Group, seed: int, step: int, share: float = 0.5) -> np.ndarray:
    """Each sample gets 1 with probability ``share``, else 0; (U,): the mean over a completion's draws."""
    rng = stream(seed, group.question.id, "random reward", step)
    counts = np.array(group.counts, int)
    return rng.binomial(counts, share) / np.maximum(counts, 1)


def wrong_choice(vote: Vote, question: Question, seed: int) -> int | None:
    """An option that the majority did not elect: the runner-up, a tie or a silence broken by lot; None: there is none.

    Spurious Rewards keeps the majority labels that are incorrect, which takes the answers. This takes none.
    """
    texts = [normalise(choice) for choice in question.choices]
    elected = "" if vote.choice is None else texts[vote.choice]
    # neither a slot that is empty nor another option with the elected text
    others = [i for i, text in enumerate(texts) if text and text != elected and texts.index(text) == i]
    if not others:
        return None
    most = max(vote.tally.get(choice, 0) for choice in others)
    tied = [choice for choice in others if vote.tally.get(choice, 0) == most]
    return tied[int(stream(seed, question.id, "runner-up").integers(len(tied)))]
