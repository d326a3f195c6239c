"""Multiple choice: the option that a response names, by our rule and by the benchmark's own."""

from __future__ import annotations

from audio_eval.scoring.choice import parse_choice
from audio_eval.scoring.extraction import answer_text, tagged
from audio_eval.scoring.rules import RULES
from audio_eval.scoring.scorer import ScoredItem, Scorer
from audio_eval.scoring.scores import Score, Unread


class Choice(Scorer):
    """The ``choice`` rule; beside it the official rule, which is given the response without its <answer> tags."""

    name, version = "choice", "4"
    closed = True
    unscored = "answers are hidden: see submission.json"

    def score(self, item: ScoredItem, response: str) -> Score:
        """Correct where the response names the answer; it is not ``answered`` where it names no option or several."""
        verdict = RULES["choice"](response, item.choices, item.answer)
        # A hidden answer leaves the outcome open, but not which option the response names.
        choice = verdict.choice if item.answer else parse_choice(response, item.choices)
        official = item.official(answer_text(response), item.slots, item.answer).outcome if item.official else None
        return Score(
            id=item.id,
            answer=item.answer,
            outcome=verdict.outcome,
            answered=choice is not None,
            why=verdict.why,
            unread=_unread(item, response) if choice is None else None,
            choice=choice,
            official=official,
            groups=dict(item.groups),
        )

    def gold(self, item: ScoredItem) -> str:
        """The answer in tags."""
        return f"<answer>{item.answer}</answer>"


def _unread(item: ScoredItem, response: str) -> Unread:
    """Why no option was read. Tags count only where the prompt asks for them."""
    if item.tagged and tagged(response) is None:
        return "no tags"
    return "not an option" if response.strip() else "empty"
