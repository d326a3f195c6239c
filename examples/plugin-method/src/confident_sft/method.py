"""Fine-tuning on a model's own confident votes (self-consistency as a filter, after LMSI, arXiv 2210.11610).

The frozen model votes on every question. Where enough of the samples agree, the winning option becomes the label. An
unclear vote is likely to be wrong, so such a question is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from audio_eval.errors import UserError
from audio_eval.method import Cost, Method, MethodConfig
from audio_eval.models.policy import Policy
from audio_eval.questions import Question
from audio_eval.rl.experience import Experience
from audio_eval.rl.labels import Voting, vote_labels
from audio_eval.rl.loop import batch_at, steps_of, train
from audio_eval.rl.session import Session
from audio_eval.rl.settings import SMALL_MODEL, Updates
from audio_eval.rl.teach import Lesson, teach


class Config(MethodConfig, Voting, Updates):
    """Settings of confident_sft. Voting has those of the vote, Updates those of the training (lr, tune, ...)."""

    votes: int = Field(32, ge=1, description="samples per question that vote on its label")
    confidence: float = Field(0.7, ge=0, le=1, description="share of the samples that must name the label")
    epochs: int = Field(2, ge=1, description="passes over the questions that are kept")
    batch_size: int = Field(8, ge=1, description="questions per step")


class ConfidentSft(Method):
    """Maximises the likelihood of ``<answer>label</answer>`` on the questions with a clear vote."""

    name = "confident_sft"
    summary = "fine-tuning on the model's own confident votes"
    paper = "after LMSI, arXiv 2210.11610"
    Config = Config
    config: Config
    trains = True
    needs_choices = True  # a vote is over options
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {**SMALL_MODEL, "votes": 16},  # for tiny-omni
        "strict": {"votes": 64, "confidence": 0.9, "epochs": 4},
    }

    @property
    def transductive(self) -> bool:
        """It learns from the scored questions, without their answers. Every table says so."""
        return True

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """At most: as if every vote were clear."""
        c = self.config
        steps = steps_of(c.epochs, adapted, c.batch_size)
        return Cost(votes=c.votes * adapted, steps=steps, trained=steps * c.batch_size, answers=scored)

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Vote, keep the clear votes, train on them."""
        c = self.config
        votes = vote_labels(policy, questions, c, run)  # on the disk, read back on resume
        kept = [q for q in questions if q.id in votes and votes[q.id].confidence >= c.confidence]
        run.note("kept", len(kept))
        if not kept:
            most = max(vote.confidence for vote in votes.values())
            raise UserError(f"no vote reaches confidence={c.confidence}; the clearest has {most:.2f}.")

        def experience(step: int) -> Experience:
            batch = batch_at(kept, c.batch_size, step, run.seed)
            found = teach(policy, [Lesson(q, f"<answer>{q.choices[votes[q.id].choice]}</answer>") for q in batch])
            found.metrics["confidence"] = float(np.mean([votes[q.id].confidence for q in batch]))
            return found

        train(policy, c, steps_of(c.epochs, len(kept), c.batch_size), experience, run)
