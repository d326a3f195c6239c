"""view_ttrl: test-time reinforcement learning on votes over views of each item.

A vote over samples of one prompt is nearly the greedy answer: as a label it adds no knowledge. Views of an item that
leave its answer alone (options in another order, audio shifted, scaled, noised, the question in other words) make
other mistakes, so a vote over them does. The labels are elected over one set of views; GRPO then trains on others, the
item as it is and a fresh view at each step, so that what the views agree on is learnt where it was not voted on. The
adapted model then answers a few views greedily, and these vote.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from audio_eval.group import Group
from audio_eval.method import Cost, Method, MethodConfig
from audio_eval.models.policy import Policy, Sampling, TrainablePolicy
from audio_eval.questions import Question
from audio_eval.rl.advantages import CONFIDENCE_WEIGHTS, ConfidenceWeight, joint_advantages
from audio_eval.rl.labels import Labels, Voting, elect_labels, label_texts
from audio_eval.rl.loop import Experience, batch_at, train
from audio_eval.rl.rewards import accuracy_reward, format_reward, mean_reward
from audio_eval.rl.rollouts import Steps
from audio_eval.rl.session import Session
from audio_eval.rl.views import View, draw_view, parse_kinds, plain_view
from audio_eval.rl.votes import pooled_vote

VIEWS = "choices+shift+gain+paraphrase"


class Config(MethodConfig, Voting, Steps):
    """Settings of view_ttrl; what it shares with aqa_ttrl has its defaults, but that fewer votes pay for the answers.

    There are no further attempts: views and the anchor make the contrast that these are after.
    """

    votes: int = Field(40, ge=1, description="samples a question for its label (M)")
    views: str = Field(VIEWS, description="what the voted views vary; none: one plain view")
    train_views: str = Field(VIEWS, description="what the trained views vary; none: the item as it is")
    group_views: int = Field(2, ge=1, description="views that a question's rollouts are dealt to in a step")
    as_is: bool = Field(True, description="the first of these is the item as it is, which is not among the voted views")
    answer_views: int = Field(8, ge=1, description="views that are answered greedily and vote; 1: the item as it is")
    anchor: bool = Field(True, description="the label's own text joins each group, so that there is always contrast")
    confidence: Literal["agreement", "share"] = Field(
        "agreement", description="of a label: the share of views whose majority it is, or its share of all samples"
    )
    conf_weight: ConfidenceWeight = Field("exp", description="f in f(confidence) x advantage")
    accuracy_weight: float = Field(1.0, ge=0, description="weight of the agreement reward")
    format_weight: float = Field(1.0, ge=0, description="weight of the format reward")

    @model_validator(mode="after")
    def _can_be_dealt(self) -> Config:
        parse_kinds(self.train_views)
        if self.group_size % self.group_views:
            raise ValueError(f"group_size={self.group_size} rollouts cannot be dealt to {self.group_views} group_views")
        return self


class ViewTtrl(Method):
    """Votes of the frozen model over views, then GRPO towards them on other views."""

    name = "view_ttrl"
    summary = "test-time RL on votes over views of each item, trained on further views"
    paper = "this project"
    Config = Config
    trains = True
    needs_choices = True
    config: Config

    @property
    def transductive(self) -> bool:
        """It adapts on the scored items, without their answers."""
        return True

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """As aqa_ttrl's, with an anchor a view and an answer a view."""
        c = self.config
        asked = c.steps * c.batch_size
        anchors = asked * c.group_views if c.anchor else 0
        rollouts = asked * c.group_size
        return Cost(adapted * c.votes, c.steps, rollouts, rollouts + anchors, scored * c.answer_views)

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Vote over views, train on others."""
        c = self.config
        labels = elect_labels(policy, questions, c, run)
        pool = [question for question in questions if question.id in labels]
        run.note("skipped_all_unparsable", len(questions) - len(pool))

        def experience(step: int) -> Experience:
            return self.learn(policy, batch_at(pool, c.batch_size, step, run.seed), labels, step)

        train(policy, c, c.steps, experience, run)

    def learn(self, policy: Policy, batch: Sequence[Question], labels: Labels, step: int) -> Experience:
        """Groups of several views an item, rewarded for agreeing with its label and compared across its views."""
        c, kinds = self.config, parse_kinds(self.config.train_views)

        sampling = Sampling(c.group_size // c.group_views, c.temperature)
        drawn = []
        for i in range(c.group_views):
            name, plain = f"step{step}/view{i}", c.as_is and i == 0
            views = [plain_view(q) if plain else draw_view(q, kinds, policy.seed, name) for q in batch]
            groups = policy.generate([view.question for view in views], sampling.keyed(name))
            drawn.append([self._see(policy, *pair, labels) for pair in zip(groups, views, strict=True)])
        items = list(zip(*drawn, strict=True))
        advantages, confidence = [], []
        for item in items:
            label = labels[item[0].drawn.question.id]
            confidence.append(label.agreement if c.confidence == "agreement" else label.confidence)
            joint = joint_advantages([s.rewards for s in item], [np.array(s.learnt.counts) for s in item])
            advantages += [CONFIDENCE_WEIGHTS[c.conf_weight](confidence[-1]) * one for one in joint]
        seen = [one for item in items for one in item]
        metrics = {
            "reward": mean_reward([s.learnt for s in seen], [s.rewards for s in seen]),
            "agreement": mean_reward([s.drawn for s in seen], [s.right for s in seen]),
            "vote_share": float(np.mean(confidence)),
        }
        return Experience(
            [s.learnt for s in seen], advantages, metrics, [s.right for s in seen], [s.drawn for s in seen],
            label_texts(batch, labels),
        )  # fmt: skip

    def predict(self, policy: Policy, questions: Sequence[Question]) -> list[str]:
        """The option that most views answer, each of them greedily: the item as it is, and views that were voted on."""
        kinds = parse_kinds(self.config.views)
        views = [[plain_view(question) for question in questions]]
        for i in range(1, self.config.answer_views):
            views.append([draw_view(question, kinds, policy.seed, f"vote/view{i}") for question in questions])
        groups = [policy.generate([view.question for view in of_all], Sampling()) for of_all in views]
        if len(groups) == 1:
            return [group.best() for group in groups[0]]
        elected = [
            pooled_vote(heard, seen, policy.seed).choice
            for heard, seen in zip(zip(*groups, strict=True), zip(*views, strict=True), strict=True)
        ]
        return [
            group.best() if choice is None else f"<answer>{group.question.choices[choice]}</answer>"
            for group, choice in zip(groups[0], elected, strict=True)
        ]

    def _see(self, policy: Policy, drawn: Group, view: View, labels: Labels) -> Seen:
        c, label = self.config, labels[drawn.question.id].choice
        assert label is not None  # those without are not trained on
        learnt = drawn
        if c.anchor and drawn.error is None and isinstance(policy, TrainablePolicy):
            shown = view.question.choices[view.shown(label)]
            learnt = drawn.joined(policy.encode(view.question, f"<answer>{shown}</answer>"))
        rewards = c.accuracy_weight * accuracy_reward(learnt, view.shown(label))
        return Seen(
            drawn, accuracy_reward(drawn, view.shown(label)), learnt, rewards + c.format_weight * format_reward(learnt)
        )


class Seen(NamedTuple):
    """A view's group: as it was ``drawn`` and how ``right`` (U,), what is ``learnt`` from and its ``rewards`` (U',)."""

    drawn: Group
    right: np.ndarray
    learnt: Group
    rewards: np.ndarray
