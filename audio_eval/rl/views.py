"""Views: the same item asked in another way that does not change the right answer.

A view permutes the options, edits the recording a little, or words the question differently. It is drawn at random,
keyed by (seed, question id, name of the view), so that votes and rollouts can use different views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from audio_eval.edits import AudioEdit
from audio_eval.errors import unknown
from audio_eval.questions import Question
from audio_eval.scoring import normalise
from audio_eval.seeding import stream

ViewKind = Literal["choices", "shift", "gain", "noise", "resample", "paraphrase"]
KINDS: tuple[str, ...] = get_args(ViewKind)
SHIFT_S = 0.1  # seconds earlier or later at most
GAIN = (0.7, 1.3)
SNR_DB = (40.0, 60.0)
RATES = (12_000, 14_000)


class Viewing(BaseModel):
    """Settings of views, the same for every method that asks an item in several."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    views: str = Field(
        "none", description="what changes between an item's views, e.g. choices+shift+gain; none: the item as it is"
    )
    n_views: int = Field(8, ge=1, description="number of views, when views are used; votes are shared between them")

    @field_validator("views")
    @classmethod
    def _known(cls, value: str) -> str:
        parse_kinds(value)
        return value


@dataclass(frozen=True)
class View:
    """``question`` as it is asked in this view. ``order[i]`` is the original index of the i-th option shown.

    The first of several options with the same text stands for all of them, as in ``parse_choice``.
    """

    question: Question
    order: tuple[int, ...]

    def original(self, choice: int | None) -> int | None:
        """The original index of an option that was named in this view."""
        if choice is None:
            return None
        return min(self.order[i] for i in self._like(choice))

    def shown(self, choice: int) -> int:
        """The index in this view of the original option ``choice``."""
        return self._like(self.order.index(choice))[0]

    def _like(self, choice: int) -> list[int]:
        texts = [normalise(text) for text in self.question.choices]
        return [i for i, text in enumerate(texts) if text == texts[choice]]


def plain_view(question: Question) -> View:
    """The item as it is."""
    return View(question, tuple(range(len(question.choices))))


def draw_view(question: Question, kinds: Sequence[str], seed: int, name: str) -> View:
    """View ``name`` of an item, with changes of these ``kinds`` as far as it has what they change."""
    rng = stream(seed, question.id, "view", name)
    order = np.arange(len(question.choices))
    wording = question.question
    if "choices" in kinds:
        order = rng.permutation(order)
    if "paraphrase" in kinds and question.paraphrases:
        wording = str(rng.choice([question.question, *question.paraphrases]))
    viewed = question.worded(wording, [question.choices[i] for i in order])
    if question.audio is not None and (edit := _edit(kinds, rng)) != AudioEdit():
        viewed = viewed.hearing([recording.edited(edit) for recording in question.audios])
    return View(viewed, tuple(int(i) for i in order))


def _edit(kinds: Sequence[str], rng: np.random.Generator) -> AudioEdit:
    return AudioEdit(
        rate=int(rng.choice(RATES)) if "resample" in kinds else None,
        shift_s=float(rng.uniform(-SHIFT_S, SHIFT_S)) if "shift" in kinds else 0.0,
        gain=float(rng.uniform(*GAIN)) if "gain" in kinds else 1.0,
        snr_db=float(rng.uniform(*SNR_DB)) if "noise" in kinds else None,
        seed=int(rng.integers(2**32)) if "noise" in kinds else 0,
    )


def parse_kinds(text: str) -> tuple[str, ...]:
    """The kinds in a text such as ``choices+shift+gain``; none for ``none``. ``UserError`` for an unknown kind."""
    names = [name.strip() for name in text.split("+") if name.strip() and name.strip() != "none"]
    for name in names:
        if name not in KINDS:
            raise unknown("view", name, KINDS)
    return tuple(names)
