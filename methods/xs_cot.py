"""XS-CoT (arXiv 2504.20835): fine-tuning on a cross-lingual chain of thought that becomes implicit step by step.

The chain has four segments: the instruction as spoken in the target language, the same in English, the response in
English, and the response in the target language. The first three are the thinking, which is compressed more and more
during the training (rl/compression.py); the last is the answer, which is never compressed. ``--judge`` grades answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from audio_eval.errors import UserError
from audio_eval.method import Cost, Method, MethodConfig
from audio_eval.models.policy import Policy
from audio_eval.questions import Example, Question
from audio_eval.rl.compression import compress, kept_groups
from audio_eval.rl.experience import Experience
from audio_eval.rl.loop import batch_at, steps_of, train
from audio_eval.rl.session import Session
from audio_eval.rl.settings import SMALL_MODEL, Updates
from audio_eval.rl.teach import Lesson, teach

SEGMENTS = ("transcript", "english_instruction", "english_response")


class Config(MethodConfig, Updates):
    """Settings of xs_cot. The paper's are not published: these are ours."""

    epochs: int = Field(3, ge=1, description="passes over the training items")
    batch_size: int = Field(8, ge=1, description="items per step")
    stages: int = Field(
        4, ge=1, description="stages of compression, the first of them uncompressed; 1: no compression at all"
    )
    first_groups: int = Field(16, ge=0, description="word groups that each sentence keeps in the second stage")
    last_groups: int = Field(2, ge=0, description="word groups that each sentence keeps in the last stage")


class XsCot(Method):
    """Maximises the likelihood of the chain. Nothing is sampled during the training."""

    name = "xs_cot"
    summary = "fine-tuning on cross-lingual chains of thought, compressed step by step (--train-task, --prompt xs_cot)"
    paper = "XS-CoT, arXiv 2504.20835"
    Config = Config
    trains = True
    presets: ClassVar = {"small": SMALL_MODEL}
    config: Config

    @property
    def needs_labels(self) -> bool:
        """The chains come from a training task."""
        return True

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """One completion per item and epoch."""
        steps = steps_of(self.config.epochs, labelled, self.config.batch_size)
        return Cost(steps=steps, trained=steps * self.config.batch_size, answers=scored)

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Train on the chains of ``run.examples``."""
        c = self.config
        pool = [e for e in run.examples if e.answer and all(e.rationale.get(name, "").strip() for name in SEGMENTS)]
        if not pool:
            raise UserError(
                f"no item of the training task has an answer and a rationale with {', '.join(SEGMENTS)}: "
                "choose another --train-task."
            )
        steps = steps_of(c.epochs, len(pool), c.batch_size)

        def experience(step: int) -> Experience:
            keep = kept_groups(step, steps, c.stages, c.first_groups, c.last_groups)
            batch = batch_at(pool, c.batch_size, step, run.seed)
            found = teach(policy, [Lesson(example.question, chain(example, keep)) for example in batch])
            found.metrics["kept"] = -1 if keep is None else keep
            return found

        train(policy, c, steps, experience, run)


def chain(example: Example, keep: int | None) -> str:
    """The completion: all segments but the last are lines in ``<think>``, so that only the last is read as the answer.

    Sentences of the first three keep ``keep`` word groups each; None: all.
    """
    lines = (compress(" ".join(example.rationale[name].split()), keep) for name in SEGMENTS)
    return "<think>" + "\n".join(lines) + f"</think>{example.answer}"
