"""view_ttrl: test-time reinforcement learning on votes over views of each item.

A vote over samples of one prompt is nearly the greedy answer: as a label it adds no knowledge. Views of an item that
leave its answer alone (options in another order, audio shifted, scaled, noised, the question in other words) make other
mistakes, so a vote over them does. The labels are elected over one set of views; GRPO then trains on further ones,
drawn anew at each step, so that what the views agree on is learnt for items and views that were not voted on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from audio_eval.method import Cost, Method, MethodConfig
from audio_eval.models.policy import Policy
from audio_eval.questions import Question
from audio_eval.rl.advantages import CONFIDENCE_WEIGHTS, ConfidenceWeight
from audio_eval.rl.group import Group
from audio_eval.rl.labels import Voting, elect_labels, label_texts
from audio_eval.rl.loop import Experience, batch_at, train
from audio_eval.rl.rewards import accuracy_reward, format_reward
from audio_eval.rl.rollouts import Parts, Reward, Rollouts, roll_out
from audio_eval.rl.views import draw_view, parse_kinds
from audio_eval.runs.session import Session

VIEWS = "choices+shift+gain+noise+resample+paraphrase"


class Config(MethodConfig, Voting, Rollouts):
    """Settings of view_ttrl; what it shares with aqa_ttrl has its defaults."""

    views: str = Field(VIEWS, description="what the voted views vary; none: one plain view")
    train_views: str = Field(VIEWS, description="what the trained views vary; none: the item as it is")
    max_attempts: int = Field(3, ge=1, description="groups drawn at most for a question in a step")
    confidence: Literal["agreement", "share"] = Field(
        "agreement", description="of a label: the share of views whose majority it is, or its share of all samples"
    )
    conf_weight: ConfidenceWeight = Field("exp", description="f in f(confidence) x advantage")
    accuracy_weight: float = Field(1.0, ge=0, description="weight of the agreement reward")
    format_weight: float = Field(1.0, ge=0, description="weight of the format reward")

    @field_validator("train_views")
    @classmethod
    def _known_views(cls, value: str) -> str:
        parse_kinds(value)
        return value


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
        """As aqa_ttrl's: views cost no samples."""
        c = self.config
        rollouts = c.steps * c.batch_size * c.group_size
        return Cost(adapted * c.votes, c.steps, rollouts * c.max_attempts, rollouts, scored)

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Vote over views, train on others."""
        c, kinds = self.config, parse_kinds(self.config.train_views)
        labels = elect_labels(policy, questions, c, run)
        pool = [question for question in questions if question.id in labels]
        confidence = {id_: v.agreement if c.confidence == "agreement" else v.confidence for id_, v in labels.items()}
        weights = {id_: CONFIDENCE_WEIGHTS[c.conf_weight](share) for id_, share in confidence.items()}

        def experience(step: int) -> Experience:
            batch = batch_at(pool, c.batch_size, step, run.seed)
            views = {q.id: draw_view(q, kinds, run.seed, f"step{step}") for q in batch}
            shown = {id_: view.shown(labels[id_].choice or 0) for id_, view in views.items()}

            def parts(group: Group) -> Parts:
                right = accuracy_reward(group, shown[group.question.id])
                return {"agreement": right, "format": format_reward(group)}

            reward = Reward(parts, {"agreement": c.accuracy_weight, "format": c.format_weight})
            asked = [views[q.id].question for q in batch]
            found = roll_out(policy, asked, c, c.temperature, step, reward, weights)
            found.metrics["vote_share"] = float(np.mean([labels[q.id].confidence for q in batch]))
            found.labels = label_texts(batch, labels)
            return found

        run.note("skipped_all_unparsable", len(questions) - len(pool))
        train(policy, c, c.steps, experience, run)
