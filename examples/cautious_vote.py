"""Answer greedily, unless a clear majority of samples says otherwise."""

from pydantic import Field

from audio_eval import Method
from audio_eval.method import MethodConfig
from audio_eval.models.policy import Sampling
from audio_eval.rl.votes import majority_vote


class Config(MethodConfig):
    votes: int = Field(16, ge=1, description="samples per question")
    share: float = Field(0.75, gt=0, le=1, description="share of the samples that overrules the greedy answer")


class CautiousVote(Method):
    name = "cautious_vote"
    summary = "greedy, overruled by a clear majority"
    Config = Config

    def predict(self, policy, questions):
        responses = super().predict(policy, questions)
        sampling = Sampling(n=self.config.votes, temperature=1.0, stream="vote", seed=self.seed)
        for i, group in enumerate(policy.generate(questions, sampling)):
            vote = majority_vote(group, self.seed)
            if vote.choice is not None and vote.confidence >= self.config.share:
                responses[i] = f"<answer>{questions[i].choices[vote.choice]}</answer>"
        return responses
