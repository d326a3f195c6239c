"""LLM-as-judge rewards (OP-TTRAV's judge_open_ended): how well an answer matches the group's elected answer.

A policy that judges itself flatters itself (OP-TTRAV measured +10.6 points by its own judge, +3.0 by another): the
number to report comes from a fixed external judge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from audio_eval.models.policy import Policy, Sampling
from audio_eval.questions import Question
from audio_eval.rl.advantages import group_advantages
from audio_eval.rl.consensus.semantic import Answers
from audio_eval.scoring import grade
from audio_eval.scoring.judge import Judge

Ask = Callable[[Sequence[str]], list[str | None]]  # prompts -> replies in order, None for a request that failed

MAX_TOKENS = 8  # a number takes one or two
CUT = 4_000  # characters of a field that are shown
# OP-TTRAV verl/verl/trainer/ppo/ttrl_judge_vote.py, word for word but "an audio" for "a video". There it is sent as
# bare text; here it is a user turn, so the model sees its own chat template.
TEMPLATE = """\
You are evaluating answers to an audio understanding question.

Question: {question}

Reference answer (from majority vote): {reference}

Candidate answer: {candidate}

How well does the candidate match the reference in factual content (ignore phrasing, focus on whether the same facts \
are stated)?

Output a single integer from 0 (completely different) to 10 (identical in factual content). No explanation. Just the \
number.

Score:"""


@dataclass(frozen=True)
class Judgement:
    """``rewards`` (U,) in [0, 1], NaN where the judge's word is not known; ``known`` (U,) says where it is.

    ``unparsable`` and ``failed`` count samples: the reply was no score, or there was no reply.
    """

    rewards: np.ndarray
    known: np.ndarray
    unparsable: int
    failed: int


def prompt(question: str, reference: str, candidate: str) -> str:
    """The judge's user turn; each field is cut at ``CUT`` characters."""
    return TEMPLATE.format(question=question[:CUT], reference=reference[:CUT], candidate=candidate[:CUT])


def parse(reply: str) -> int | None:
    """The score 0..10 that a reply is: alone on its first line, or after the only "Score:"; None for anything else.

    A number somewhere in prose is no score: OP-TTRAV reads "2 facts are missing" as 2, and what it cannot read as .5.
    """
    said = reply.rpartition("</think>")[2].strip()
    score = grade.parse(said.partition("\n")[0])
    if score is None and said.lower().count("score:") == 1:
        score = grade.parse(said.lower().partition("score:")[2].strip().partition("\n")[0])
    return score


def ask_policy(policy: Policy) -> Ask:
    """A judge that is the policy itself, as it is now: greedy, without audio, through its chat template."""

    def ask(prompts: Sequence[str]) -> list[str | None]:
        ids = [f"judge-{sha256(text.encode('utf-8', 'replace')).hexdigest()[:16]}" for text in prompts]
        questions = [Question(id, None, text, (), text) for id, text in zip(ids, prompts, strict=True)]
        groups = policy.generate(questions, Sampling(max_tokens=MAX_TOKENS, stream="judge"))
        return [None if group.error is not None else group.best() for group in groups]

    return ask


def ask_server(judge: Judge, max_tokens: int = MAX_TOKENS) -> Ask:
    """A judge behind an OpenAI-compatible server; give more ``max_tokens`` to one that thinks first."""

    def ask(prompts: Sequence[str]) -> list[str | None]:
        replies = judge.ask([[{"role": "user", "content": text}] for text in prompts], max_tokens)
        return [reply.text for reply in replies]

    return ask


def judge_rewards(groups: Sequence[Answers], references: Sequence[str | None], ask: Ask) -> list[Judgement]:
    """The score / 10 of each completion against its group's reference; ``ask`` is called once, with distinct prompts.

    An empty answer is 0 without asking. Where a group has no reference (None), nobody said anything: all 0.
    """
    prompts = [
        [
            prompt(answers.group.question.question, reference, text) if text and reference else None
            for text in answers.texts
        ]
        for answers, reference in zip(groups, references, strict=True)
    ]
    distinct = list(dict.fromkeys(text for asked in prompts for text in asked if text is not None))
    replies = dict(zip(distinct, ask(distinct), strict=True)) if distinct else {}
    return [_judgement(answers, asked, replies) for answers, asked in zip(groups, prompts, strict=True)]


def known_advantages(rewards: np.ndarray, counts: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Group-normalised advantages (U,) among the completions whose reward is known; 0 for the others."""
    advantages = np.zeros(len(rewards))
    advantages[known] = group_advantages(rewards[known], counts[known])
    return advantages


def _judgement(answers: Answers, asked: Sequence[str | None], replies: dict[str, str | None]) -> Judgement:
    rewards, unparsable, failed = np.zeros(len(asked)), 0, 0
    for row, text in enumerate(asked):
        if text is None:
            continue
        reply = replies[text]
        score = None if reply is None else parse(reply)
        rewards[row] = np.nan if score is None else score / 10
        failed += int(answers.counts[row]) * (reply is None)
        unparsable += int(answers.counts[row]) * (reply is not None and score is None)
    rewards = rewards[answers.rows]
    return Judgement(rewards, ~np.isnan(rewards), unparsable, failed)
