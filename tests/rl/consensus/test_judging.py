"""The judge's prompt, what counts as a score, and rewards that are not known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audio_eval.questions import Question
from audio_eval.rl.consensus.judging import (
    TEMPLATE,
    ask_policy,
    ask_server,
    judge_rewards,
    known_advantages,
    parse,
    prompt,
)
from audio_eval.scoring.judge import Judge, Reply
from tests.rl.consensus.answers import answers_at
from tests.rl.fake_policy import FakeGenerator

ANGLES = {"a dog": 0.0, "a cat": 90.0, "rain": 180.0}


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("7", 7),
        (" 10\n", 10),
        ("0.", 0),
        ("8/10", 8),
        ("Score: 9", 9),
        ("**Score:** 9", 9),
        ("6\n\nExplanation: the", 6),
        ("The facts are the same.\nScore: 10", 10),
        ("The same.\nScore:\n4\n", 4),
        ("<think>maybe 3</think>5", 5),
        # Not a score: OP-TTRAV reads the first number anywhere.
        ("2 facts are missing", None),
        ("The candidate has 2 of 3 facts", None),
        ("I would say 7", None),
        ("Score: 7 or 8", None),
        ("Score: 3\nNo, Score: 7", 3),
        ("First Score: 3, then Score: 7", None),
        ("11", None),
        ("-3", None),
        ("7.5", None),
        ("100", None),
        ("<think>7", None),
        ("", None),
    ],
)
def test_a_reply_is_a_score_or_none(reply: str, score: int | None) -> None:
    assert parse(reply) == score


def test_the_prompt_is_op_ttravs() -> None:
    assert prompt("What barks?", "a dog", "a {cat}") == (
        "You are evaluating answers to an audio understanding question.\n\nQuestion: What barks?\n\n"
        "Reference answer (from majority vote): a dog\n\nCandidate answer: a {cat}\n\n"
        "How well does the candidate match the reference in factual content (ignore phrasing, focus on whether the "
        "same facts are stated)?\n\nOutput a single integer from 0 (completely different) to 10 (identical in factual "
        "content). No explanation. Just the number.\n\nScore:"
    )
    frame = len(TEMPLATE.format(question="", reference="", candidate=""))
    assert len(prompt("q" * 5000, "r" * 5000, "c" * 5000)) == frame + 3 * 4000


def test_the_policy_is_asked_greedily_without_audio_through_its_template() -> None:
    seen: list[Question] = []
    policy = FakeGenerator(lambda question, sampling: seen.append(question) or {"8": 1})
    assert ask_policy(policy)(["one", "two"]) == ["8", "8"]
    assert [(q.audio, q.choices, q.prompt) for q in seen] == [(None, (), "one"), (None, (), "two")]
    assert len({q.id for q in seen}) == 2
    sampling = policy.asked[0][1]
    assert (sampling.n, sampling.temperature, sampling.max_tokens) == (1, 0.0, 8)


def test_a_server_gets_one_user_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    judge = Judge("http://localhost:1/v1", "judge", cache=tmp_path)
    asked: list[object] = []

    def ask(prompts: list[object], max_tokens: int) -> list[Reply]:
        asked.append((prompts, max_tokens))
        return [Reply("7", None, None, False), Reply(None, None, "it broke", False)]

    monkeypatch.setattr(judge, "ask", ask)
    assert ask_server(judge, 64)(["one", "two"]) == ["7", None]
    assert asked == [([[{"role": "user", "content": "one"}], [{"role": "user", "content": "two"}]], 64)]


def test_scores_are_rewards_and_what_is_not_known_is_not_made_up() -> None:
    first = answers_at({"a dog": 2, "<think>so</think>a dog": 1, "a cat": 3, "rain": 1, "": 1}, ANGLES)
    second = answers_at({"a dog": 1, "rain": 2}, ANGLES)
    nobody = answers_at({"": 2}, {})
    calls: list[list[str]] = []

    def ask(prompts: list[str]) -> list[str | None]:
        calls.append(list(prompts))
        replies = {"a dog": "10", "a cat": "2 facts are missing", "rain": None}
        return [replies[text.partition("Candidate answer: ")[2].partition("\n")[0]] for text in prompts]

    one, two, three = judge_rewards([first, second, nobody], ["a dog", "a dog", None], ask)
    assert len(calls) == 1 and len(calls[0]) == len(set(calls[0])) == 3, "equal prompts are asked once"
    assert one.rewards == pytest.approx([1.0, 1.0, np.nan, np.nan, 0.0], nan_ok=True)
    assert one.known.tolist() == [True, True, False, False, True]
    assert (one.unparsable, one.failed) == (3, 1), "samples, not answers"
    assert (two.rewards[0], two.known.tolist(), two.failed) == (1.0, [True, False], 2)
    assert (three.rewards.tolist(), three.known.tolist()) == ([0.0], [True])


def test_what_is_not_known_has_no_advantage_and_moves_no_mean() -> None:
    # known: 1, 0, 0, 0 -> 1.5 and -.5 three times; the five of unknown reward are left out
    rewards, counts = np.array([1.0, np.nan, 0.0]), np.array([1, 5, 3])
    advantages = known_advantages(rewards, counts, np.array([True, False, True]))
    assert advantages == pytest.approx([1.5, 0.0, -0.5], abs=1e-3)
    assert not known_advantages(np.array([np.nan]), np.array([4]), np.array([False])).any()
