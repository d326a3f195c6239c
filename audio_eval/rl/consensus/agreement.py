"""What a group agrees on, by reward mode: rewards for its completions, a pseudo-label, and the confidence in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from audio_eval.group import Group
from audio_eval.models.policy import Policy, trainable
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
    """Settings of how the answers of a group are compared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reward: Mode = Field("medoid", description="what is rewarded as agreement within a group")
    encoder: str = Field(
        "minilm", description="text encoder: minilm, bge-small, mpnet, qwen3-embedding-4b, a folder or a hub id"
    )
    min_words: int = Field(0, ge=0, description="medoid, centroid: answers with fewer words get 0.7 of their reward")
    cluster_mode: ClusterMode = Field("binary", description="reward=cluster: how a cluster becomes a reward")
    k_min: int = Field(2, ge=2, description="cluster, evolrl: smallest number of clusters to try")
    k_max: int = Field(4, ge=2, description="cluster, evolrl: largest number of clusters to try")
    same: float = Field(
        0.85, gt=0, le=1, description="cosine from which two answers mean the same; depends on the encoder"
    )
    tau: float = Field(0.2, gt=0, description="cluster_mode=kde: width of the kernel")
    guards: bool = Field(True, description="empo: no reward for answers that repeat the question")
    judge_url: str | None = Field(
        None, description="reward=judge: URL of an OpenAI-compatible server; none: the policy judges itself"
    )
    judge_model: str | None = Field(None, description="reward=judge: model name on that server")


@dataclass
class Agreement:
    """Of a group: ``rewards`` (U,), whether each is ``known`` (U,), the pseudo-label and the confidence in it.

    ``label`` is None where no sample says anything.
    """

    rewards: np.ndarray
    known: np.ndarray
    label: str | None
    confidence: float
    metrics: dict[str, float] = field(default_factory=dict)


Agree = Callable[[Sequence[Group]], list[Agreement]]


def agreement(c: Comparing, policy: Policy, seed: int) -> Agree:
    """The function that compares the answers of groups by ``c.reward``. ``UserError`` where its encoder is missing.

    ``seed`` breaks ties.
    """
    if c.reward == "majority":
        return lambda groups: [_majority(group, seed) for group in groups]
    if c.reward == "intuitor":
        return lambda groups: _self_certainty(groups, policy, seed)
    encoder = TextEncoder.named(c.encoder)
    of_answers = _semantic(c)
    ask = _judge(c, policy) if c.reward == "judge" else None

    def agree(groups: Sequence[Group]) -> list[Agreement]:
        answers = embed(groups, encoder.encode)
        found = [_of(of_answers(one), one) for one in answers]
        if ask is not None:
            for one, judged in zip(found, judge_rewards(answers, [one.label for one in found], ask), strict=True):
                one.rewards, one.known = np.nan_to_num(judged.rewards), judged.known
                one.metrics |= {"judge_unparsable": judged.unparsable, "judge_failed": judged.failed}
        return found

    return agree


def _semantic(c: Comparing) -> Callable[[Answers], Consensus]:
    clustering = Clustering(c.k_min, c.k_max, same=c.same)
    return {
        "medoid": lambda answers: medoid_reward(answers, c.min_words),
        "centroid": lambda answers: centroid_reward(answers, c.min_words),
        "judge": medoid_reward,  # its label is the reference that the judge compares with
        "cluster": lambda answers: cluster_reward(answers, c.cluster_mode, clustering, c.tau),
        "evolrl": lambda answers: evolrl_reward(answers, clustering),
        "empo": lambda answers: empo_reward(answers, c.same, c.guards),
    }[c.reward]


def _of(consensus: Consensus, answers: Answers) -> Agreement:
    statistics = {f"oe_{name}": value for name, value in pair_statistics(answers).items()}
    known = np.ones(len(consensus.rewards), bool)
    metrics = {**statistics, **consensus.metrics}
    return Agreement(consensus.rewards, known, consensus.label, consensus.confidence, metrics)


def _majority(group: Group, seed: int) -> Agreement:
    """1 for the most frequent answer, compared as text, a tie broken at random. Empty answers do not vote."""
    keys = [answer_key(c.text, group) for c in group.completions]
    counted: dict[int | str, int] = {}
    for key, n in zip(keys, group.counts, strict=True):
        if key is not None:
            counted[key] = counted.get(key, 0) + n
    if not counted:
        return Agreement(np.zeros(len(keys)), np.ones(len(keys), bool), None, 0.0)
    tied = sorted((key for key, n in counted.items() if n == max(counted.values())), key=str)
    most = tied[int(stream(seed, group.question.id, "tie").integers(len(tied)))]
    label = group.question.choices[most] if isinstance(most, int) else most
    rewards = np.array([float(key == most) for key in keys])
    return Agreement(rewards, np.ones(len(keys), bool), label, counted[most] / group.size)


def _self_certainty(groups: Sequence[Group], policy: Policy, seed: int) -> list[Agreement]:
    """INTUITOR (arXiv 2505.19590): the policy's self-certainty is the reward. The label, a vote, is for the log."""
    certainties = trainable(policy).self_certainty(groups)
    return [
        replace(_majority(group, seed), rewards=certainty, known=np.ones(len(certainty), bool))
        for group, certainty in zip(groups, certainties, strict=True)
    ]


def _judge(c: Comparing, policy: Policy) -> Ask:
    if c.judge_url is None or c.judge_model is None:
        return ask_policy(policy)
    return ask_server(Judge(c.judge_url, c.judge_model, cache=None))
