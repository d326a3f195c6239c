"""LLM-as-judge rewards (OP-TTRAV's judge_open_ended): how well an answer matches the group's pseudo-label.

A policy that judges itself is too kind (OP-TTRAV measured +10.6 points by its own judge, +3.0 by another one), so the
number to report must come from a fixed external judge.
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

Ask = Callable[[Sequence[str]], list[str | None]]  # prompts -> replies in order, None for a failed request

MAX_TOKENS = 8  # a number takes one or two
CUT = 4_000  # characters of each field that the judge is shown
# OP-TTRAV verl/verl/trainer/ppo/ttrl_judge_vote.py, with "an audio" instead of "a video". There it is sent as
# plain text; here it is a user turn in the model's chat template.
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
    """``rewards`` (U,) in [0, 1], NaN where there is no score; ``known`` (U,): whether there is one.

    Numbers of samples: ``unparsable``, whose reply is not a score, and ``failed``, without a reply.
    """

    rewards: np.ndarray
    known: np.ndarray
    unparsable: int
    failed: int


def prompt(question: str, reference: str, candidate: str) -> str:
    """The judge's user turn. Each field is cut at ``CUT`` characters."""
    return TEMPLATE.format(question=question[:CUT], reference=reference[:CUT], candidate=candidate[:CUT])


def parse(reply: str) -> int | None:
    """The score 0..10 in a reply: alone on the first line, or after the only "Score:"; None for anything else.

    A number within a sentence is not a score. OP-TTRAV reads "2 facts are missing" as 2, and other prose as .5.
    """
    said = reply.rpartition("</think>")[2].strip()
    score = grade.parse(said.partition("\n")[0])
    if score is None and said.lower().count("score:") == 1:
        score = grade.parse(said.lower().partition("score:")[2].strip().partition("\n")[0])
    return score


def ask_policy(policy: Policy) -> Ask:
    """The policy as its own judge, with its current weights: greedy decoding, no audio, its chat template."""

    def ask(prompts: Sequence[str]) -> list[str | None]:
        ids = [f"judge-{sha256(text.encode('utf-8', 'replace')).hexdigest()[:16]}" for text in prompts]
        questions = [Question(id, None, text, (), text) for id, text in zip(ids, prompts, strict=True)]
        groups = policy.generate(questions, Sampling(max_tokens=MAX_TOKENS, stream="judge"))
        return [None if group.error is not None else group.best() for group in groups]

    return ask


def ask_server(judge: Judge, max_tokens: int = MAX_TOKENS) -> Ask:
    """A judge behind an OpenAI-compatible server. A judge that thinks first needs more ``max_tokens``."""

    def ask(prompts: Sequence[str]) -> list[str | None]:
        replies = judge.ask([[{"role": "user", "content": text}] for text in prompts], max_tokens)
        return [reply.text for reply in replies]

    return ask


def judge_rewards(groups: Sequence[Answers], references: Sequence[str | None], ask: Ask) -> list[Judgement]:
    """The score / 10 of each completion against its group's reference. ``ask`` is called once, with distinct prompts.

    Empty answers get 0 without asking, and so do all answers of a group without a reference (None).
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
