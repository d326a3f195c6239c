"""Score: what a scorer says of one response; one line of scores.jsonl."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from audio_eval.scoring.verdict import Outcome

# Why no answer was read: no <answer> tags where the prompt asks for them, nothing said at all, or text that does not
# name exactly one of the options that were offered.
Unread = Literal["no tags", "empty", "not an option"]


class Score(BaseModel):
    """One scored item with the ``answer`` it was scored against ("": hidden) and its group labels.

    ``answered`` is False where no answer could be read from the response, and ``unread`` says why. ``choice`` is the
    index of the option that was read. ``official`` is the outcome by the benchmark's own rule, None where it has none.
    ``measures`` are further figures of open answers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    answer: str = ""
    outcome: Outcome
    answered: bool
    why: str
    unread: Unread | None = None
    choice: int | None = None
    official: Outcome | None = None
    measures: dict[str, float] = {}
    judge_reply: str | None = None
    judge_why: str | None = None
    groups: dict[str, str] = {}
