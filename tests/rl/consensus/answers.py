"""Groups with vectors set by hand, and the N samples of a multiset written out one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import strategies as st

from audio_eval.questions import Question
from audio_eval.rl.consensus.semantic import Answers, embed
from tests.rl.fake_policy import make_group

QUESTION = Question("q", None, "What is heard in the recording?", (), "What is heard in the recording?")


def at(degrees: float) -> np.ndarray:
    """The unit vector of the plane at this angle: cosines can be read off."""
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


def answers_at(drawn: Mapping[str, int], angles: Mapping[str, float]) -> Answers:
    """``drawn``: text -> count; ``angles``: text -> degrees."""
    group = make_group(QUESTION, drawn)
    return embed([group], lambda texts: np.stack([at(angles[text]) for text in texts]))[0]


class Expanded:
    """The valid samples of an ``Answers`` one by one, in float64. ``place``: the answer's row of each sample."""

    def __init__(self, answers: Answers) -> None:
        self.place = np.repeat(np.arange(len(answers.texts)), answers.counts)
        self.place = self.place[answers.valid[self.place]]
        self.vectors = answers.vectors[self.place].astype(np.float64)

    def cos(self, one: int, other: int) -> float:
        return float(np.dot(self.vectors[one], self.vectors[other]))

    def others(self, sample: int, among: Sequence[int] | None = None) -> list[float]:
        """Cosines to the other samples."""
        pool = range(len(self.place)) if among is None else among
        return [self.cos(sample, other) for other in pool if other != sample]


@st.composite
def multisets(draw: st.DrawFn, min_size: int = 1, max_size: int = 7, empty: bool = True) -> Answers:
    """Up to 7 distinct answers in three dimensions, drawn 1 to 5 times each; one may be empty."""
    size = draw(st.integers(min_size, max_size))
    texts = [f"answer {number}" for number in range(size)]
    seed = draw(st.integers(0, 10_000))
    drawn = {text: draw(st.integers(1, 5)) for text in texts}
    if empty and draw(st.booleans()):
        drawn[""] = draw(st.integers(1, 3))
    vectors = np.random.default_rng(seed).normal(size=(size, 3))
    table = dict(zip(texts, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), strict=True))
    return embed([make_group(QUESTION, drawn)], lambda asked: np.stack([table[text] for text in asked]))[0]
