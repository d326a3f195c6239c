"""Majority vote (DIMV, maj@M): M samples a question, the option named most often is the answer.

With ``views`` the samples are dealt to several views of each item: options in another order, audio shifted a little.
"""

from __future__ import annotations

from collections.abc import Sequence

from audio_eval.method import Cost, Method, MethodConfig
from audio_eval.models.policy import Policy
from audio_eval.questions import Question
from audio_eval.rl.labels import Voting, vote


class Config(MethodConfig, Voting):
    """Settings of majority_vote."""


class MajorityVote(Method):
    """Ties are broken by lot, keyed by (seed, question id); samples that name no option do not vote."""

    name = "majority_vote"
    summary = "M samples at temperature 1, the option named most often; views=... votes over views of each item"
    paper = "TTRL, arXiv 2504.16084 (maj@M); AQA-TTRL's DIMV"
    Config = Config
    config: Config

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """The votes are the answers."""
        return Cost(answers=scored * self.config.votes)

    def predict(self, policy: Policy, questions: Sequence[Question]) -> list[str]:
        """The elected option in the standard answer format; where none was named, the commonest sample as it is."""
        return [
            said if elected.choice is None else f"<answer>{question.choices[elected.choice]}</answer>"
            for question, (elected, said) in zip(questions, vote(policy, questions, self.config), strict=True)
        ]
