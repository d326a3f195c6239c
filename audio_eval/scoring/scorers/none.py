"""No scoring: tasks that are only there to adapt on."""

from __future__ import annotations

from audio_eval.scoring.open_ended import final_answer
from audio_eval.scoring.scorer import ScoredItem, Scorer
from audio_eval.scoring.scores import Score


class Unscored(Scorer):
    """Says of each response only whether there is one."""

    name = "none"
    scores = False
    unscored = "a task to adapt on"

    def score(self, item: ScoredItem, response: str) -> Score:
        """Excluded, whatever the response."""
        return Score(
            id=item.id,
            answer=item.answer,
            outcome="excluded",
            answered=(said := bool(final_answer(response))),
            why="not judged",
            unread=None if said else "empty",
            groups=dict(item.groups),
        )
