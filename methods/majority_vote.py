"""Majority vote (DIMV, maj@M): M samples per question, and the option named most often is the answer.

With ``views`` the samples are spread over several views of each item, such as other orders of the options.
"""

from __future__ import annotations

from collections.abc import Sequence

from audio_eval.method import Cost, Method, MethodConfig, Prediction
from audio_eval.models.policy import Policy
from audio_eval.questions import Question
from audio_eval.rl.labels import Voting, vote


class Config(MethodConfig, Voting):
    """Settings of majority_vote."""


class MajorityVote(Method):
    """Ties are broken at random, keyed by (seed, question id). Samples that name no option do not vote."""

    name = "majority_vote"
    summary = "M samples at temperature 1, the option named most often; views=... votes over views of each item"
    paper = "TTRL, arXiv 2504.16084 (maj@M); AQA-TTRL's DIMV"
    Config = Config
    config: Config

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """The votes are the answers."""
        return Cost(answers=scored * self.config.votes)

    def predict(self, policy: Policy, questions: Sequence[Question]) -> list[Prediction | str]:
        """The winning option in the standard answer format; where there is none, the most frequent sample."""
        return [
            Prediction(
                groups[0].best() if won.choice is None else f"<answer>{question.choices[won.choice]}</answer>",
                groups,
                confidence=won.confidence,
            )
            for question, (won, groups) in zip(questions, vote(policy, questions, self.config, self.seed), strict=True)
        ]
