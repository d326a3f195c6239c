"""Majority vote (DIMV, maj@M): M samples a question, the option named most often is the answer."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from audio_eval.method import Method, MethodConfig
from audio_eval.models.policy import Policy, Sampling
from audio_eval.questions import Question
from audio_eval.rl.votes import majority_vote


class Config(MethodConfig):
    """Settings of majority_vote."""

    votes: int = Field(64, ge=1, description="samples a question (M)")
    temperature: float = Field(1.0, gt=0, description="sampling temperature")


class MajorityVote(Method):
    """Ties are broken by lot, keyed by (seed, question id); samples that name no option do not vote."""

    name = "majority_vote"
    summary = "M samples at temperature 1, the option named most often"
    paper = "TTRL, arXiv 2504.16084 (maj@M); AQA-TTRL's DIMV"
    Config = Config
    config: Config

    def predict(self, policy: Policy, questions: Sequence[Question]) -> list[str]:
        """The elected option in the standard answer format; where none was named, the commonest sample as it is."""
        sampling = Sampling(n=self.config.votes, temperature=self.config.temperature, stream="vote")
        responses = []
        for group in policy.generate(questions, sampling):
            vote = majority_vote(group, policy.seed)
            elected = None if vote.choice is None else group.question.choices[vote.choice]
            responses.append(group.best() if elected is None else f"<answer>{elected}</answer>")
        return responses
