"""Samples: the items of a run, each with everything that is known of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from audio_eval.runlog.lines import Lines, dump
from audio_eval.runlog.records import LabelRecord, QuestionRecord, ResponseRecord
from audio_eval.scoring.scores import Score

R = TypeVar("R", QuestionRecord, ResponseRecord, Score, LabelRecord)


@dataclass(frozen=True)
class Sample:
    """One item of a run. ``gold`` is "" where the answer is hidden and None before scoring.

    ``completions`` are the groups behind the response as (text, count) pairs; ``label`` the pseudo-label that the
    method adapted to, with its votes.
    """

    question: QuestionRecord
    gold: str | None
    response: ResponseRecord | None
    score: Score | None
    label: LabelRecord | None

    @property
    def completions(self) -> tuple[tuple[tuple[str, int], ...], ...]:
        """What was sampled to answer."""
        return self.response.groups if self.response else ()


class _ById(Generic[R]):
    """Records by id, held as texts: those of thousands of items take many times what their texts take."""

    def __init__(self, file: Lines[R]) -> None:
        self._model: type[R] = file.model
        self.texts = {record.id: json.dumps(dump(record)) for record in file}

    def get(self, id_: str) -> R | None:
        text = self.texts.get(id_)
        return None if text is None else self._model.model_validate(json.loads(text))


class Samples:
    """The samples of a run in its order; each is made whenever its turn comes, or when it is asked for by its id."""

    def __init__(
        self, questions: Lines[QuestionRecord], responses: Lines[ResponseRecord], scores: Lines[Score],
        labels: Lines[LabelRecord],
    ) -> None:  # fmt: skip
        self._questions, self._responses = _ById(questions), _ById(responses)
        self._scores, self._labels = _ById(scores), _ById(labels)

    def __len__(self) -> int:
        return len(self._questions.texts)

    def __iter__(self) -> Iterator[Sample]:
        return filter(None, map(self.get, self._questions.texts))

    def get(self, id_: str) -> Sample | None:
        """The item with this id, if there is one."""
        if (question := self._questions.get(id_)) is None:
            return None
        score = self._scores.get(id_)
        gold = None if score is None else score.answer
        return Sample(question, gold, self._responses.get(id_), score, self._labels.get(id_))
