"""Scorer: what decides whether a response is right, and what else is measured of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from audio_eval.scoring.figures import Figures, Metric, means, scored, summarise
from audio_eval.scoring.graders import Graders
from audio_eval.scoring.rules import Rule
from audio_eval.scoring.scores import Score


@dataclass(frozen=True)
class ScoredItem:
    """What a scorer sees of an item.

    ``answer`` is "" where the benchmark hides it. ``choices`` are the options as the prompt showed them, ``slots`` the
    options as a letter of a response counts them (None where one is null): what the ``official`` rule is given.
    ``meta`` holds the further fields of the item's record. ``tagged``: the prompt asks for ``<answer>`` tags.
    """

    id: str
    question: str
    answer: str
    choices: tuple[str, ...] = ()
    slots: tuple[str | None, ...] = ()
    official: Rule | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    tagged: bool = False


class Scorer(ABC):
    """A way to score a task. A subclass sets ``name`` and ``version`` and implements ``score``.

    The version is raised when a response may get another score than before: both go with every number.
    """

    name: ClassVar[str]
    version: ClassVar[str] = ""
    # False: a task with it can only be adapted on.
    scores: ClassVar[bool] = True
    # Whether the answer has to be one of the options.
    closed: ClassVar[bool] = False
    # Whether a judge, where there is one, is asked about each response.
    asks_judge: ClassVar[bool] = False
    # Why a result has no accuracy.
    unscored: ClassVar[str] = "answers are hidden"
    # Further figures of a response (keys of ``Score.measures``), each with the factor that makes percent of it.
    measures: ClassVar[Mapping[str, float]] = {}

    @property
    def label(self) -> str:
        """The name and version as results record them, such as "choice@3"."""
        return f"{self.name}@{self.version}" if self.version else self.name

    @abstractmethod
    def score(self, item: ScoredItem, response: str) -> Score:
        """The score of one response; an item without a response is scored as the empty one."""

    def grade(
        self, items: Sequence[ScoredItem], responses: Sequence[str], scores: list[Score], graders: Graders
    ) -> dict[str, Any]:
        """Replace entries of ``scores`` by graded ones; returns who graded, and how it went. By default nobody does.

        The keys of what is returned are those of a result: "judge", "similarity".
        """
        return {}

    def gold(self, item: ScoredItem) -> str | None:
        """The response of a perfect model, which must score as correct; None where the task has no gold answers."""
        return None

    def metrics(self, scores: Sequence[Score]) -> dict[str, Metric]:
        """The means of the ``measures`` over the items that count."""
        return means(scored(scores) or scores, self.measures)

    def figures(
        self, scores: Sequence[Score], graded: Mapping[str, Any] | None = None, groups: Sequence[str] = (),
        rule: str | None = None,
    ) -> Figures:  # fmt: skip
        """What the scores add up to. ``graded`` is what ``grade`` returned; see ``summarise`` for the rest."""
        return summarise(scores, self.metrics(scores), groups, rule)
