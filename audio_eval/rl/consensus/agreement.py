"""What a group agrees on, by mode: a reward for each completion, the elected answer, and how sure the group is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from audio_eval.group import Group
from audio_eval.models.policy import Policy, TrainablePolicy
from audio_eval.rl.consensus.cluster_rewards import ClusterMode, cluster_reward
from audio_eval.rl.consensus.clusters import Clustering
from audio_eval.rl.consensus.empo import empo_reward
from audio_eval.rl.consensus.encoders import TextEncoder
from audio_eval.rl.consensus.evolrl import evolrl_reward
from audio_eval.rl.consensus.judging import Ask, ask_policy, ask_server, judge_rewards
from audio_eval.rl.consensus.medoid import centroid_reward, medoid_reward
from audio_eval.rl.consensus.semantic import Answers, Consensus, embed, pair_statistics
from audio_eval.rl.monitors import answer_key
from audio_eval.scoring.judge import Judge
from audio_eval.seeding import stream

Mode = Literal["majority", "medoid", "centroid", "judge", "cluster", "evolrl", "empo", "intuitor"]


class Comparing(BaseModel):
    """Settings of how answers are compared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reward: Mode = Field("medoid", description="what stands for agreement in a group")
    encoder: str = Field("minilm", description="minilm, bge-small, mpnet, qwen3-embedding-4b, a folder or a hub id")
    min_words: int = Field(0, ge=0, description="medoid, centroid: shorter answers get 0.7 of their reward")
    cluster_mode: ClusterMode = Field("binary", description="cluster: binary, continuous or kde")
    k_min: int = Field(2, ge=2, description="cluster, evolrl: fewest clusters that are tried")
    k_max: int = Field(4, ge=2, description="cluster, evolrl: most clusters that are tried")
    same: float = Field(0.85, gt=0, le=1, description="answers with this cosine mean the same; depends on the encoder")
    tau: float = Field(0.2, gt=0, description="cluster_mode=kde: the width of the kernel")
    guards: bool = Field(True, description="empo: nothing for answers that repeat the question")
    judge_url: str | None = Field(None, description="judge: an OpenAI-compatible server; none: the policy itself")
    judge_model: str | None = Field(None, description="judge: the server's model")


@dataclass
class Elected:
    """Of a group: ``rewards`` (U,), whether each is ``known`` (U,), the label and its confidence."""

    rewards: np.ndarray
    known: np.ndarray
    label: str | None
    confidence: float
    metrics: dict[str, float] = field(default_factory=dict)


Elect = Callable[[Sequence[Group]], list[Elected]]


def election(c: Comparing, policy: Policy) -> Elect:
    """What makes rewards of groups by ``c.reward``; ``UserError`` where its encoder is missing."""
    if c.reward == "majority":
        return lambda groups: [_majority(group, policy.seed) for group in groups]
    if c.reward == "intuitor":
        return lambda groups: _self_certainty(groups, policy)
    encoder = TextEncoder.named(c.encoder)
    of_answers = _semantic(c)
    ask = _judge(c, policy) if c.reward == "judge" else None

    def elect(groups: Sequence[Group]) -> list[Elected]:
        answers = embed(groups, encoder.encode)
        found = [_of(of_answers(one), one) for one in answers]
        if ask is not None:
            for elected, judged in zip(found, judge_rewards(answers, [e.label for e in found], ask), strict=True):
                elected.rewards, elected.known = np.nan_to_num(judged.rewards), judged.known
                elected.metrics |= {"judge_unparsable": judged.unparsable, "judge_failed": judged.failed}
        return found

    return elect


def _semantic(c: Comparing) -> Callable[[Answers], Consensus]:
    clustering = Clustering(c.k_min, c.k_max, same=c.same)
    return {
        "medoid": lambda answers: medoid_reward(answers, c.min_words),
        "centroid": lambda answers: centroid_reward(answers, c.min_words),
        "judge": medoid_reward,  # the reference that is judged against
        "cluster": lambda answers: cluster_reward(answers, c.cluster_mode, clustering, c.tau),
        "evolrl": lambda answers: evolrl_reward(answers, clustering),
        "empo": lambda answers: empo_reward(answers, c.same, c.guards),
    }[c.reward]


def _of(consensus: Consensus, answers: Answers) -> Elected:
    statistics = {f"oe_{name}": value for name, value in pair_statistics(answers).items()}
    known = np.ones(len(consensus.rewards), bool)
    return Elected(consensus.rewards, known, consensus.label, consensus.confidence, {**statistics, **consensus.metrics})


def _majority(group: Group, seed: int) -> Elected:
    """1 for the answer given most often, compared as text, a tie broken by lot; what says nothing elects nothing."""
    keys = [answer_key(c.text, group) for c in group.completions]
    counted: dict[int | str, int] = {}
    for key, n in zip(keys, group.counts, strict=True):
        if key is not None:
            counted[key] = counted.get(key, 0) + n
    if not counted:
        return Elected(np.zeros(len(keys)), np.ones(len(keys), bool), None, 0.0)
    tied = sorted((key for key, n in counted.items() if n == max(counted.values())), key=str)
    most = tied[int(stream(seed, group.question.id, "tie").integers(len(tied)))]
    label = group.question.choices[most] if isinstance(most, int) else most
    rewards = np.array([float(key == most) for key in keys])
    return Elected(rewards, np.ones(len(keys), bool), label, counted[most] / group.size)


def _self_certainty(groups: Sequence[Group], policy: Policy) -> list[Elected]:
    """INTUITOR (arXiv 2505.19590): how far the policy's distributions are from uniform; the label is for the log."""
    assert isinstance(policy, TrainablePolicy)  # train() has seen to it
    certainties = policy.self_certainty(groups)
    return [
        Elected(
            certainty, np.ones(len(certainty), bool), (voted := _majority(group, policy.seed)).label, voted.confidence
        )
        for group, certainty in zip(groups, certainties, strict=True)
    ]


def _judge(c: Comparing, policy: Policy) -> Ask:
    if c.judge_url is None or c.judge_model is None:
        return ask_policy(policy)
    return ask_server(Judge(c.judge_url, c.judge_model, cache=None))
