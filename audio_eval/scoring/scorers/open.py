"""Open answers: whether they contain the gold text, how alike the two are, and what a judge makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from audio_eval.scoring import grade
from audio_eval.scoring.graders import Graders
from audio_eval.scoring.open_ended import final_answer, measure
from audio_eval.scoring.rules import RULES
from audio_eval.scoring.scorer import ScoredItem, Scorer
from audio_eval.scoring.scores import Score


class Open(Scorer):
    """Correct by ``contains_em``; also BLEU, ROUGE-L, exact match, an embedding's similarity, a judge's grade."""

    name, version = "contains_em", "2"
    asks_judge = True
    measures: ClassVar = {"bleu": 100.0, "rouge_l": 100.0, "exact": 100.0, "similarity": 100.0, "grade": 10.0}

    def score(self, item: ScoredItem, response: str) -> Score:
        """Correct where the response contains the answer."""
        verdict, found = RULES["contains_em"](response, (), item.answer), measure(response, item.answer)
        return Score(
            id=item.id,
            answer=item.answer,
            outcome=verdict.outcome,
            answered=(said := bool(final_answer(response))),
            why=verdict.why,
            unread=None if said else "empty",
            measures={"bleu": found.bleu, "rouge_l": found.rouge_l, "exact": float(found.exact)},
            groups=dict(item.groups),
        )

    def grade(
        self, items: Sequence[ScoredItem], responses: Sequence[str], scores: list[Score], graders: Graders
    ) -> dict[str, Any]:
        """Add ``similarity`` and ``grade`` to the measures, as far as there are graders."""
        graded_by: dict[str, Any] = {}
        if graders.similarity is not None:
            values = graders.similarity.score(responses, [item.answer for item in items])
            for place, value in enumerate(values):
                scores[place] = _with(scores[place], "similarity", round(value, 6))
            graded_by["similarity"] = {"model": graders.similarity.name, "revision": graders.similarity.revision}
        if graders.judge is not None:
            asked = [(item.question, item.answer, text) for item, text in zip(items, responses, strict=True)]
            grades = grade.grade(graders.judge, asked)
            for place, one in enumerate(grades):
                said = {"judge_reply": one.reply, "judge_why": one.why}
                scores[place] = _with(scores[place], "grade", one.score).model_copy(update=said)
            graded_by["judge"] = grade.summary(grades, graders.judge.name)
        return graded_by

    def gold(self, item: ScoredItem) -> str:
        """The answer in tags."""
        return f"<answer>{item.answer}</answer>"


def _with(score: Score, name: str, value: float | None) -> Score:
    """The score with one more measure, where there is a value."""
    return score if value is None else score.model_copy(update={"measures": {**score.measures, name: float(value)}})
