"""SARI (arXiv 2504.15900): warm up on written chains of thought, then GRPO on an easy-to-hard curriculum.

How often the warmed-up policy is right on an item says how easy it is; items that it never gets right are left out. The
labels are those of a training task, or (``labels=votes``) majority votes on the scored items, whose share then says how
easy they are. The two parts are one sequence of steps, so that one counter resumes both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic import Field

from audio_eval.errors import UserError
from audio_eval.method import Cost, Method, MethodConfig
from audio_eval.models.policy import Policy, Sampling, Training
from audio_eval.questions import Question
from audio_eval.rl.curriculum import Measure, Pacing, measure, pool_at, stages
from audio_eval.rl.labels import Voting, elect_labels, gold_labels
from audio_eval.rl.loop import Experience, batch_at, train
from audio_eval.rl.reinforce import reinforce
from audio_eval.rl.rewards import accuracy_reward
from audio_eval.rl.session import Session
from audio_eval.rl.structure import Format, structure_reward
from audio_eval.rl.teach import Lesson, chains, teach


class Config(MethodConfig, Training):
    """Settings of sari. The paper's numbers are not published: they are R1-AQA's where it has them, else ours.

    ``beta`` is 0: the KL would be to the model before the warm-up, and undo it.
    """

    chains: Literal["none", "structured", "free"] = Field(
        "structured", description="SFT on the training task's chains of thought: in four sections, or as one text"
    )
    chain_epochs: int = Field(1, ge=1, description="walks through the chains of thought")
    labels: Literal["gold", "votes"] = Field("gold", description="--train-task's answers, or votes on the scored items")
    difficulty: Measure = Field(
        "pass_rate", description="share of samples that are right, or that agree; with labels=votes these are the same"
    )
    samples: int = Field(16, ge=1, description="samples a question for the difficulty, and the votes (K)")
    stages: int = Field(3, ge=1, description="parts of the curriculum, by quantiles of the difficulty")
    pacing: Pacing = Field("staged", description="a stage at a time, or a pool that grows by one")
    drop_never: bool = Field(True, description="leave out items that no sample gets right")
    drop_always: bool = Field(False, description="leave out items that every sample gets right")
    steps: int = Field(1000, ge=0, description="updates after the warm-up; the last one is what is scored")
    batch_size: int = Field(16, ge=1, description="questions a step, in the warm-up too")
    group_size: int = Field(8, ge=2, description="rollouts a question (G)")
    temperature: float = Field(1.0, gt=0, description="of the samples and rollouts")
    accuracy_weight: float = Field(1.0, ge=0, description="weight of the accuracy reward")
    format_weight: float = Field(1.0, ge=0, description="weight of the reward for structure")
    format: Format | None = Field(None, description="the structure; none: what the warm-up shows, else sections")


class Course(NamedTuple):
    """What is learned by reinforcement: stages of question ids, the questions, their labels."""

    stages: list[list[str]]
    questions: dict[str, Question]
    labels: dict[str, int]


class Sari(Method):
    """Structured warm-up, curriculum, GRPO with accuracy and structure rewards."""

    name = "sari"
    summary = "SFT on written chains of thought, then GRPO from easy to hard (--train-task, --prompt sari)"
    paper = "SARI, arXiv 2504.15900"
    Config = Config
    trains = True
    needs_choices = True
    config: Config

    @property
    def needs_labels(self) -> bool:
        """Chains of thought and gold answers are a training task's."""
        return self.config.labels == "gold" or self.config.chains != "none"

    @property
    def transductive(self) -> bool:
        """Votes are those of the scored items."""
        return self.config.labels == "votes"

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """At most: not every item of the training task need have a chain of thought."""
        c = self.config
        lessons = self._warmup_steps(labelled if c.chains != "none" else 0) * c.batch_size
        votes = c.samples * (adapted if c.labels == "votes" else labelled)
        drawn, warmup = c.steps * c.batch_size * c.group_size, lessons // c.batch_size
        return Cost(votes, warmup + c.steps, rollouts=drawn, trained=lessons + drawn, answers=scored)

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Warm up, see what is easy, reinforce."""
        c, lessons, course = self.config, self._lessons(run), None
        gold = gold_labels(run.examples) if c.labels == "gold" else None
        warmup = self._warmup_steps(len(lessons))

        def experience(step: int) -> Experience:
            nonlocal course
            if step < warmup:
                return teach(policy, batch_at(lessons, c.batch_size, step, run.seed))
            if course is None:
                # Drawn by the policy of step `warmup`, and kept on the disk: a later step of a resumed run finds the
                # draw whole there, and its samples in the usage that came with the checkpoint.
                counted = policy.usage.samples
                course = self._course(policy, questions, gold, run)
                if step > warmup:
                    policy.usage.samples = counted
            return self._reinforce(policy, course, step, step - warmup, run.seed)

        train(policy, c, warmup + c.steps, experience, run)

    def _reinforce(self, policy: Policy, course: Course, step: int, place: int, seed: int) -> Experience:
        """Step ``step`` of the run, ``place`` of the curriculum."""
        c = self.config
        pool = pool_at(course.stages, place, c.steps, c.pacing)
        batch = [course.questions[id_] for id_ in batch_at(pool.ids, c.batch_size, pool.step, seed)]
        groups = policy.generate(batch, Sampling(n=c.group_size, temperature=c.temperature, stream=f"step{step}"))
        accuracy = [accuracy_reward(group, course.labels[group.question.id]) for group in groups]
        structure = [structure_reward(group, self._format) for group in groups]
        rewards = [c.accuracy_weight * a + c.format_weight * s for a, s in zip(accuracy, structure, strict=True)]
        dropped = len(course.questions) - sum(map(len, course.stages))
        metrics = {"stage": pool.stage, "pool": len(pool.ids), "dropped": dropped}
        return reinforce(groups, rewards, {"accuracy": accuracy, "format": structure}, metrics)

    def _course(
        self, policy: Policy, questions: Sequence[Question], gold: dict[str, int] | None, run: Session
    ) -> Course:
        """Labels, and stages by how easy each item is for the policy as it is now."""
        c = self.config
        if gold is None:
            votes = elect_labels(policy, questions, Voting(votes=c.samples, temperature=c.temperature), run)
            labels = {id_: vote.choice for id_, vote in votes.items() if vote.choice is not None}
            difficulty = {id_: votes[id_].confidence for id_ in labels}
        else:
            labels, questions = gold, [e.question for e in run.examples if e.question.id in gold]
            sampling = Sampling(n=c.samples, temperature=c.temperature, stream="pass_rate")
            groups = run.generate("pass_rates", policy, questions, sampling)
            difficulty = measure(groups, gold, c.difficulty, run.seed)
        ordered = stages(difficulty, c.stages, run.seed, c.drop_never, c.drop_always)
        return Course(ordered, {question.id: question for question in questions}, labels)

    def _lessons(self, run: Session) -> list[Lesson]:
        if self.config.chains == "none":
            return []
        lessons = chains(run.examples, "sections" if self.config.chains == "structured" else "think_answer")
        if not lessons:
            wanted = " with planning, caption, reasoning and summary" if self.config.chains == "structured" else ""
            raise UserError(
                f"chains={self.config.chains} learns from written chains of thought, and no item of the training task "
                f"has a rationale{wanted}: take --train-task synth_aqa:train, or set chains=none."
            )
        return lessons

    def _warmup_steps(self, lessons: int) -> int:
        return math.ceil(self.config.chain_epochs * lessons / self.config.batch_size)

    @property
    def _format(self) -> Format:
        return self.config.format or ("think_answer" if self.config.chains == "free" else "sections")
