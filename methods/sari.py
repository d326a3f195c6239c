"""SARI (arXiv 2504.15900): a warm-up on written chains of thought, then GRPO on an easy-to-hard curriculum.

An item is easier the more often the policy gets it right after the warm-up; items that are never right are left out.
The labels are those of a training task or, with ``labels=votes``, majority votes on the scored items, whose confidence
then says how easy the items are. Both parts are one sequence of steps, so that one step counter resumes both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field

from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.method import Cost, Method, MethodConfig
from audio_eval.models.policy import MIN_TEMPERATURE, Policy, Sampling
from audio_eval.questions import Question
from audio_eval.rl.curriculum import Measure, Pacing, measure, pool_at, stages
from audio_eval.rl.experience import Experience
from audio_eval.rl.labels import Voting, gold_labels, vote_labels
from audio_eval.rl.loop import batch_at, steps_of, train
from audio_eval.rl.rewards import accuracy_reward
from audio_eval.rl.rollouts import Parts, Reward, reinforce
from audio_eval.rl.session import Session
from audio_eval.rl.settings import SMALL_MODEL_STEPS, Updates
from audio_eval.rl.structure import Format, structure_reward
from audio_eval.rl.teach import Lesson, chains, teach


class Config(MethodConfig, Updates):
    """Settings of sari. The paper's are not published: the defaults are R1-AQA's where it has them, otherwise ours.

    ``beta`` is 0: the KL penalty is towards the model before the warm-up and would undo it.
    """

    chains: Literal["none", "structured", "free"] = Field(
        "structured", description="warm-up on the training task's chains of thought: in four sections, or as one text"
    )
    chain_epochs: int = Field(1, ge=1, description="passes over the chains of thought")
    labels: Literal["gold", "votes"] = Field(
        "gold", description="labels to learn: the answers of --train-task, or votes on the scored items"
    )
    difficulty: Measure = Field(
        "pass_rate",
        description="how easy an item is: share of samples that are right, or that agree; the same with labels=votes",
    )
    samples: int = Field(16, ge=1, description="samples per question for the difficulty and for votes (K)")
    stages: int = Field(3, ge=1, description="stages of the curriculum, by quantiles of the difficulty")
    pacing: Pacing = Field("staged", description="train on one stage at a time, or add each stage to the ones before")
    drop_never: bool = Field(True, description="leave out items for which no sample is right")
    drop_always: bool = Field(False, description="leave out items for which every sample is right")
    steps: int = Field(
        1000, ge=0, description="training steps after the warm-up; the model after the last one is scored"
    )
    batch_size: int = Field(16, ge=1, description="questions per step, also in the warm-up")
    group_size: int = Field(8, ge=2, description="rollouts per question (G)")
    temperature: float = Field(1.0, ge=MIN_TEMPERATURE, description="sampling temperature of samples and rollouts")
    accuracy_weight: float = Field(1.0, ge=0, description="weight of the accuracy reward")
    format_weight: float = Field(1.0, ge=0, description="weight of the format reward")
    format: Format | None = Field(
        None, description="tags that the format reward asks for; none: those of the warm-up, or sections"
    )


class Course(NamedTuple):
    """What GRPO trains on: stages of question ids, the questions by id, and their labels."""

    stages: list[list[str]]
    questions: dict[str, Question]
    labels: dict[str, int]


class Sari(Method):
    """Structured warm-up, then a curriculum with GRPO, rewarded for accuracy and structure."""

    name = "sari"
    summary = "SFT on written chains of thought, then GRPO from easy to hard (--train-task, --prompt sari)"
    paper = "SARI, arXiv 2504.15900"
    Config = Config
    trains = True
    needs_choices = True
    presets: ClassVar = {"small": SMALL_MODEL_STEPS}
    config: Config

    @property
    def needs_labels(self) -> bool:
        """Chains of thought and gold answers come from a training task."""
        return self.config.labels == "gold" or self.config.chains != "none"

    @property
    def transductive(self) -> bool:
        """Votes are on the scored items."""
        return self.config.labels == "votes"

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """An upper bound: some items of the training task may have no chain of thought."""
        c = self.config
        lessons = self._warmup_steps(labelled if c.chains != "none" else 0) * c.batch_size
        votes = c.samples * (adapted if c.labels == "votes" else labelled)
        drawn, warmup = c.steps * c.batch_size * c.group_size, lessons // c.batch_size
        return Cost(votes, warmup + c.steps, rollouts=drawn, trained=lessons + drawn, answers=scored)

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Warm up, measure the difficulty, then train with GRPO."""
        c, lessons, course = self.config, self._lessons(run), None
        gold = gold_labels(run.examples) if c.labels == "gold" else None
        warmup = self._warmup_steps(len(lessons))

        def experience(step: int) -> Experience:
            nonlocal course
            if step < warmup:
                return teach(policy, batch_at(lessons, c.batch_size, step, run.seed))
            if course is None:
                course = self._course(policy, questions, gold, run)  # sampled in step `warmup`, then on the disk
            return self._reinforce(policy, course, step, step - warmup, run.seed)

        train(policy, c, warmup + c.steps, experience, run)

    def _reinforce(self, policy: Policy, course: Course, step: int, place: int, seed: int) -> Experience:
        """Step ``step`` of the run, which is step ``place`` of the curriculum."""
        c = self.config
        pool = pool_at(course.stages, place, c.steps, c.pacing)
        batch = [course.questions[id_] for id_ in batch_at(pool.ids, c.batch_size, pool.step, seed)]
        groups = policy.generate(batch, Sampling(c.group_size, c.temperature, stream=f"step{step}", seed=self.seed))

        def parts(group: Group) -> Parts:
            accuracy = accuracy_reward(group, course.labels[group.question.id])
            return {"accuracy": accuracy, "format": structure_reward(group, self._format)}

        reward = Reward(parts, {"accuracy": c.accuracy_weight, "format": c.format_weight})
        found = reinforce(groups, reward.of(groups))
        dropped = len(course.questions) - sum(map(len, course.stages))
        found.metrics |= {"stage": pool.stage, "pool": len(pool.ids), "dropped": dropped}
        return found

    def _course(
        self, policy: Policy, questions: Sequence[Question], gold: dict[str, int] | None, run: Session
    ) -> Course:
        """Labels, and stages by how easy each item is for the current policy."""
        c = self.config
        if gold is None:
            votes = vote_labels(policy, questions, Voting(votes=c.samples, temperature=c.temperature), run)
            labels = {id_: vote.choice for id_, vote in votes.items() if vote.choice is not None}
            difficulty = {id_: votes[id_].confidence for id_ in labels}
        else:
            labels, questions = gold, [e.question for e in run.examples if e.question.id in gold]
            sampling = Sampling(c.samples, c.temperature, stream="pass_rate", seed=self.seed)
            shares = run.reduced(
                "pass_rates", questions, lambda part: policy.generate(part, sampling),
                lambda group: measure(group, gold, c.difficulty, run.seed),
            )  # fmt: skip
            difficulty = {question.id: share for question, share in zip(questions, shares, strict=True)}
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
                f"has a rationale{wanted}: use --train-task synth_aqa:train, or set chains=none."
            )
        return lessons

    def _warmup_steps(self, lessons: int) -> int:
        return steps_of(self.config.chain_epochs, lessons, self.config.batch_size)

    @property
    def _format(self) -> Format:
        return self.config.format or ("think_answer" if self.config.chains == "free" else "sections")
