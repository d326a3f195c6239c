"""view_ttrl: test-time reinforcement learning on votes over views of each item.

A vote over samples of one prompt is nearly the greedy answer, so as a label it adds no knowledge. Views of an item that
do not change its answer (options in another order, audio shifted, scaled or with noise, the question in other words)
make different mistakes, so a vote over them knows more. The labels are votes over one set of views. GRPO then trains on
others: the item as it is, and a new view in each step. The adapted model answers several views greedily; these vote.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from audio_eval.group import Group
from audio_eval.method import Cost, MethodConfig, Prediction
from audio_eval.methods.test_time import TestTime
from audio_eval.models.policy import Policy, Sampling, TrainablePolicy
from audio_eval.questions import Question
from audio_eval.rl.advantages import CONFIDENCE_WEIGHTS, ConfidenceWeight, joint_advantages
from audio_eval.rl.experience import Experience
from audio_eval.rl.labels import Labelling, label_texts
from audio_eval.rl.rewards import accuracy_reward, format_reward, mean_reward
from audio_eval.rl.rollouts import Rewards, reinforce
from audio_eval.rl.session import Session
from audio_eval.rl.settings import Steps
from audio_eval.rl.views import View, draw_view, parse_kinds, plain_view
from audio_eval.rl.votes import pooled_vote

VIEWS = "choices+shift+gain+paraphrase"


class Config(MethodConfig, Labelling, Steps):
    """Settings of view_ttrl. Those that it shares with aqa_ttrl have the same defaults, except for fewer votes.

    Groups are not sampled again: views and the anchor give them contrast.
    """

    votes: int = Field(40, ge=1, description="samples per question that vote on its label (M)")
    views: str = Field(VIEWS, description="what changes between the views that vote; none: the item as it is")
    train_views: str = Field(VIEWS, description="what changes between the views to train on; none: the item as it is")
    group_views: int = Field(2, ge=1, description="views that share a question's rollouts in a step")
    as_is: bool = Field(True, description="the first of these views is the item as it is, which does not vote")
    answer_views: int = Field(8, ge=1, description="views that are answered greedily and vote; 1: the item as it is")
    anchor: bool = Field(
        True, description="add the label's own text to each group: a term of fine-tuning on the labels; false: RL alone"
    )
    confidence: Literal["agreement", "share"] = Field(
        "agreement", description="confidence of a label: share of views with this majority, or share of all samples"
    )
    conf_weight: ConfidenceWeight = Field("exp", description="f in f(confidence) x advantage")
    accuracy_weight: float = Field(1.0, ge=0, description="weight of the reward for agreeing with the label")
    format_weight: float = Field(1.0, ge=0, description="weight of the format reward")

    @model_validator(mode="after")
    def _can_be_dealt(self) -> Config:
        parse_kinds(self.train_views)
        if self.group_size % self.group_views:
            raise ValueError(f"group_size={self.group_size} rollouts cannot be dealt to {self.group_views} group_views")
        return self


class Rollout(NamedTuple):
    """The rollouts of a view: as they were ``sampled``, and how right they are (U,); with the anchor, ``trained``."""

    sampled: Group
    correctness: np.ndarray
    trained: Group
    label: int  # where it stands in this view


class ViewTtrl(TestTime):
    """Votes of the frozen model over views, then GRPO towards them on other views."""

    name = "view_ttrl"
    summary = "test-time RL on votes over views of each item, trained on further views"
    paper = "this project"
    Config = Config
    needs_choices = True
    config: Config

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """Like aqa_ttrl's, with an anchor per view and an answer per view."""
        c = self.config
        asked = c.steps * c.batch_size
        anchors = asked * c.group_views if c.anchor else 0
        rollouts = asked * c.group_size
        return Cost(
            steps=c.steps,
            rollouts=rollouts,
            trained=rollouts + anchors,
            answers=scored * c.answer_views,
            **c.asked(adapted),
        )

    def prepare(self, policy: TrainablePolicy, questions: Sequence[Question], run: Session) -> Sequence[Question]:
        """Vote over views."""
        return self.label(policy, questions, self.config, run)

    def learn(self, policy: TrainablePolicy, batch: Sequence[Question], step: int) -> Experience:
        """Sample several views of each item, reward agreement with its label, and compare across its views."""
        c, kinds = self.config, parse_kinds(self.config.train_views)
        sampling = Sampling(c.group_size // c.group_views, c.temperature, seed=self.seed)
        by_view = []
        for i in range(c.group_views):
            name, plain = f"step{step}/view{i}", c.as_is and i == 0
            views = [plain_view(q) if plain else draw_view(q, kinds, self.seed, name) for q in batch]
            groups = policy.generate([view.question for view in views], sampling.keyed(name))
            by_view.append([self._rollout(policy, *pair) for pair in zip(groups, views, strict=True)])
        rollouts = [one for item in zip(*by_view, strict=True) for one in item]  # the views of an item side by side
        rewards = self._rewards(rollouts)
        advantages: list[np.ndarray] = []
        for i in range(0, len(rollouts), c.group_views):
            item = slice(i, i + c.group_views)
            counts = [np.array(one.trained.counts) for one in rollouts[item]]
            advantages += joint_advantages(rewards.totals[item], counts)
        confidence = [label.agreement if c.confidence == "agreement" else label.confidence
                      for label in (self.labels[q.id] for q in batch)]  # fmt: skip
        weights = {q.id: CONFIDENCE_WEIGHTS[c.conf_weight](share) for q, share in zip(batch, confidence, strict=True)}
        found = reinforce([one.trained for one in rollouts], rewards, weights, advantages)
        found.rollouts, found.correctness = [one.sampled for one in rollouts], [one.correctness for one in rollouts]
        found.metrics["agreement"] = mean_reward(found.rollouts, found.correctness)  # without the anchors
        found.metrics["vote_share"] = float(np.mean(confidence))
        found.labels = label_texts(batch, self.labels)
        return found

    def _rollout(self, policy: TrainablePolicy, group: Group, view: View) -> Rollout:
        label = self.labels[group.question.id].choice
        assert label is not None  # the others are not trained on
        shown, trained = view.shown(label), group
        if self.config.anchor and group.error is None:
            text = f"<answer>{view.question.choices[shown]}</answer>"
            trained = group.joined(policy.encode(view.question, text))
        return Rollout(group, accuracy_reward(group, shown), trained, shown)

    def _rewards(self, rollouts: Sequence[Rollout]) -> Rewards:
        c = self.config
        agreement = [accuracy_reward(one.trained, one.label) for one in rollouts]
        format_ = [format_reward(one.trained) for one in rollouts]
        totals = [c.accuracy_weight * a + c.format_weight * f for a, f in zip(agreement, format_, strict=True)]
        return Rewards(totals, {"agreement": agreement, "format": format_})

    def predict(self, policy: Policy, questions: Sequence[Question]) -> list[Prediction | str]:
        """The option that most views answer greedily: the item as it is, and views that voted on the labels."""
        kinds = parse_kinds(self.config.views)
        views = [[plain_view(question) for question in questions]]
        for i in range(1, self.config.answer_views):
            views.append([draw_view(question, kinds, self.seed, f"vote/view{i}") for question in questions])
        groups = [policy.generate([view.question for view in of_all], Sampling(seed=self.seed)) for of_all in views]
        return [
            self._answer(*of_one) for of_one in zip(zip(*groups, strict=True), zip(*views, strict=True), strict=True)
        ]

    def _answer(self, groups: tuple[Group, ...], views: tuple[View, ...]) -> Prediction:
        if len(groups) == 1:
            return Prediction(groups[0].best())
        choice = pooled_vote(groups, views, self.seed).choice
        question = views[0].question
        return Prediction(
            groups[0].best() if choice is None else f"<answer>{question.choices[choice]}</answer>", groups
        )
