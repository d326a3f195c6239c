"""TTRL (arXiv 2504.16084): vote, then train on a part of the same samples, at every step.

Each question of a step is sampled 64 times by the policy as it is; the majority is its label, and 32 of the samples are
what GRPO learns from. Where no sample names an option there is no label and nothing to learn. The preset ``g_mv`` is
the AQA-TTRL paper's baseline of that name: labels fixed by the frozen model, groups of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from audio_eval.group import Group
from audio_eval.method import Cost, Method, MethodConfig
from audio_eval.models.policy import Policy, Sampling
from audio_eval.questions import Question
from audio_eval.rl.labels import Labels, Voting, elect_labels, label_texts
from audio_eval.rl.loop import Experience, batch_at, train
from audio_eval.rl.rewards import accuracy_reward, format_reward
from audio_eval.rl.rollouts import Parts, Reward, Steps, learn_from
from audio_eval.rl.session import Session
from audio_eval.rl.votes import majority_vote
from audio_eval.seeding import stream


class Config(MethodConfig, Steps):
    """Settings of ttrl; the defaults are those of its scripts for AMC, with adapters for full fine-tuning."""

    votes: int = Field(64, ge=1, description="samples a question for its label (M)")
    temperature: float = Field(1.0, gt=0, description="of the samples")
    group_size: int = Field(32, ge=2, description="samples of a vote that are learnt from")
    lr: float = Field(5e-7, gt=0, description="AdamW learning rate")
    schedule: Literal["constant", "linear", "cosine"] = Field("cosine", description="of the learning rate")
    warmup: float = Field(0.03, ge=0, lt=1, description="share of the steps in which the rate rises")
    relabel: Literal["every_step", "once"] = Field("every_step", description="once: labels of the frozen model")
    format_weight: float = Field(0.0, ge=0, description="weight of the format reward; TTRL has none")


class Ttrl(Method):
    """Votes at every step, and learns from a part of them."""

    name = "ttrl"
    summary = "test-time RL on the scored items: vote at every step, learn from half of the votes"
    paper = "arXiv 2504.16084"
    Config = Config
    trains = True
    needs_choices = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "g_mv": {
            "relabel": "once", "group_size": 4, "lr": 1e-6, "schedule": "constant", "warmup": 0.0, "format_weight": 1.0,
        }
    }  # fmt: skip
    config: Config

    @property
    def transductive(self) -> bool:
        """It adapts on the scored items, without their answers."""
        return True

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """The votes are the rollouts, unless labels are fixed."""
        c = self.config
        asked = c.steps * c.batch_size
        if c.relabel == "once":
            grown = asked * c.group_size
            return Cost(adapted * c.votes, c.steps, grown, grown, scored)
        return Cost(0, c.steps, asked * c.votes, asked * min(c.group_size, c.votes), scored)

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Vote and train, step by step."""
        c, voting = self.config, Voting(votes=self.config.votes, temperature=self.config.temperature)
        fixed = elect_labels(policy, questions, voting, run) if c.relabel == "once" else {}
        pool = [question for question in questions if question.id in fixed] if fixed else list(questions)
        run.note("skipped_all_unparsable", len(questions) - len(pool))

        def experience(step: int) -> Experience:
            batch = batch_at(pool, c.batch_size, step, run.seed)
            if fixed:
                groups = policy.generate(batch, Sampling(c.group_size, c.temperature, stream=f"step{step}"))
                found = learn_from(groups, self._reward(fixed))
                found.labels = label_texts(batch, fixed)
                return found
            drawn = policy.generate(batch, Sampling(c.votes, c.temperature, stream=f"step{step}"))
            votes = {group.question.id: majority_vote(group, run.seed) for group in drawn}
            drawn = [group for group in drawn if votes[group.question.id].choice is not None]
            reward = self._reward(votes)
            found = learn_from(
                [g.part(c.group_size, stream(run.seed, g.question.id, "part", step)) for g in drawn], reward
            )
            found.metrics["skipped_all_unparsable"] = len(batch) - len(drawn)
            found.drawn, found.judged = drawn, [reward.parts(group)["agreement"] for group in drawn]
            found.labels = label_texts([group.question for group in drawn], votes)
            return found

        train(policy, c, c.steps, experience, run)

    def _reward(self, votes: Labels) -> Reward:
        def parts(group: Group) -> Parts:
            label = votes[group.question.id].choice
            assert label is not None  # those without are left out
            return {"agreement": accuracy_reward(group, label), "format": format_reward(group)}

        return Reward(parts, {"agreement": 1.0, "format": self.config.format_weight})
