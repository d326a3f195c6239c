"""Win rate: whether a judge prefers the response to a baseline's output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from audio_eval.scoring import win_rate
from audio_eval.scoring.figures import Figures, Metric
from audio_eval.scoring.graders import Graders
from audio_eval.scoring.scorer import ScoredItem
from audio_eval.scoring.scorers.none import Unscored
from audio_eval.scoring.scores import Score


class WinRate(Unscored):
    """Correct where a judge prefers the response. The baseline's output is the item's ``meta["baseline"]``."""

    name, version = "preferred", "1"
    scores = True
    asks_judge = True
    unscored = "not judged: give --judge and --judge-model"
    measures: ClassVar = {"preference": 100.0}

    def grade(
        self, items: Sequence[ScoredItem], responses: Sequence[str], scores: list[Score], graders: Graders
    ) -> dict[str, Any]:
        """Ask the judge, if there is one, and put its preferences into the outcomes and measures."""
        if graders.judge is None:
            return {}
        pairs = [
            win_rate.Pair(item.id, item.question, text, item.meta["baseline"])
            for item, text in zip(items, responses, strict=True)
        ]
        preferences = win_rate.prefer(graders.judge, pairs)
        for place, one in enumerate(preferences):
            outcome = "excluded" if one.value is None else "correct" if one.value > 0.5 else "wrong"
            measures = {} if one.value is None else {"preference": one.value}
            found = {"outcome": outcome, "why": one.why, "measures": measures, "judge_reply": one.reply}
            scores[place] = scores[place].model_copy(update=found)
        return {"judge": win_rate.summary(preferences, pairs, graders.judge.name)}

    def figures(
        self, scores: Sequence[Score], graded: Mapping[str, Any] | None = None, groups: Sequence[str] = (),
        rule: str | None = None,
    ) -> Figures:  # fmt: skip
        """The same with the length-adjusted win rate, which is of all items together and no mean of theirs."""
        figures = super().figures(scores, graded, groups, rule)
        if not graded or "judge" not in graded:
            return figures
        judge = graded["judge"]
        adjusted = Metric(value=judge["length_adjusted_win_rate"], n=judge["judged"])
        return figures.model_copy(update={"metrics": {**figures.metrics, "length_adjusted_win_rate": adjusted}})
