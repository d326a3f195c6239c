"""XS-CoT (arXiv 2504.20835): fine-tuning on a cross-lingual chain of thought that becomes implicit step by step.

The chain has four segments: the instruction as spoken in the target language, the same in English, the response in
English, the response in the target language. The first three are thought, and compressed more and more over the
training (rl/compression.py); the last is the answer, and never compressed. Open answers are judged with ``--judge``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from audio_eval.errors import UserError
from audio_eval.method import Cost, Method, MethodConfig
from audio_eval.models.policy import Policy, Training
from audio_eval.questions import Example, Question
from audio_eval.rl.compression import compress, kept_groups
from audio_eval.rl.loop import Experience, batch_at, train
from audio_eval.rl.session import Session
from audio_eval.rl.teach import Lesson, teach

SEGMENTS = ("transcript", "english_instruction", "english_response")


class Config(MethodConfig, Training):
    """Settings of xs_cot. The paper's numbers are not published: these are ours."""

    epochs: int = Field(3, ge=1, description="walks through the training items")
    batch_size: int = Field(8, ge=1, description="items a step")
    stages: int = Field(4, ge=1, description="stages of the compression, the first without any; 1: explicit throughout")
    first_groups: int = Field(16, ge=0, description="word groups kept of a sentence in the second stage")
    last_groups: int = Field(2, ge=0, description="word groups kept of a sentence in the last stage")


class XsCot(Method):
    """Likelihood of the chain; nothing is drawn while it trains."""

    name = "xs_cot"
    summary = "fine-tuning on cross-lingual chains of thought, compressed step by step (--train-task, --prompt xs_cot)"
    paper = "XS-CoT, arXiv 2504.20835"
    Config = Config
    trains = True
    config: Config

    @property
    def needs_labels(self) -> bool:
        """The chains are a training task's."""
        return True

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """One completion an item and epoch passes through the gradient."""
        steps = math.ceil(self.config.epochs * labelled / self.config.batch_size)
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
        steps = math.ceil(c.epochs * len(pool) / c.batch_size)

        def experience(step: int) -> Experience:
            keep = kept_groups(step, steps, c.stages, c.first_groups, c.last_groups)
            batch = batch_at(pool, c.batch_size, step, run.seed)
            drawn = teach(policy, [Lesson(example.question, chain(example, keep)) for example in batch])
            return Experience(drawn.groups, drawn.advantages, {**drawn.metrics, "kept": -1 if keep is None else keep})

        train(policy, c, steps, experience, run)


def chain(example: Example, keep: int | None) -> str:
    """The completion: a line a segment inside ``<think>``, so that what grades an answer reads the last segment alone.

    ``keep`` word groups are left of each sentence of the first three; None: all.
    """
    lines = (compress(" ".join(example.rationale[name].split()), keep) for name in SEGMENTS)
    return "<think>" + "\n".join(lines) + f"</think>{example.answer}"
