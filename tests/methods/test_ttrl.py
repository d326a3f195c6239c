"""TTRL on a scripted policy: 64 samples vote, 32 of them are trained on, and what has no label is skipped."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from audio_eval.group import Group
from audio_eval.method import Cost
from audio_eval.methods.ttrl import Config, Ttrl
from audio_eval.models.policy import Sampling
from audio_eval.questions import Question
from audio_eval.rl.session import Session
from audio_eval.store import JsonLines
from tests.rl.fake_policy import Drawn, FakePolicy, make_question, tagged

CHOICES = ("cat", "dog", "owl")
QUESTIONS = [make_question(id_, CHOICES) for id_ in ("sure", "close", "mute")]
VOTES: dict[str, Drawn] = {
    "sure": {tagged("dog"): 40, "dog": 8, tagged("cat"): 12, "no idea": 4},
    "close": {tagged("owl"): 33, tagged("cat"): 31},
    "mute": {"no idea": 60, "what?": 4},
}


def script(question: Question, sampling: Sampling) -> Drawn:
    return VOTES[question.id]


def adapt(folder: Path, policy: FakePolicy, questions: Any = QUESTIONS, **settings: Any) -> Session:
    session = Session(folder, 0, 2)
    Ttrl(Config(**{"steps": 1, "batch_size": 3, **settings})).adapt(policy, questions, session)
    return session


def metrics(folder: Path) -> list[dict[str, float]]:
    return JsonLines(folder / "metrics.jsonl").read()


def rollouts(folder: Path) -> list[dict[str, Any]]:
    return JsonLines(folder / "adapt" / "rollouts.jsonl").read()


def counted(group: Group) -> dict[str, int]:
    return {c.text: n for c, n in zip(group.completions, group.counts, strict=True)}


def test_the_defaults_are_the_scripts() -> None:
    """The settings of TTRL's own scripts (docs/methods.md)."""
    c = Config(tune="full")
    assert (c.votes, c.group_size, c.batch_size, c.mini_batch, c.temperature) == (64, 32, 8, 1, 1.0)
    assert (c.lr, c.schedule, c.warmup, c.format_weight, c.beta) == (5e-7, "cosine", 0.03, 0.0, 0.0)


def test_32_of_64_votes_are_trained_on(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    adapt(tmp_path, policy)
    assert {(s.n, s.temperature) for _, s in policy.asked} == {(64, 1.0)} and policy.samples == 3 * 64
    (step,) = policy.trained
    assert sorted(group.question.id for group, _ in step) == ["close", "sure"]
    for group, advantages in step:
        part, drawn = counted(group), VOTES[group.question.id]
        assert group.size == 32 and all(part[text] <= drawn[text] for text in part), "without replacement"
        right = np.array([float(("dog" if group.question.id == "sure" else "owl") in text) for text in part])
        share = float((right * list(part.values())).sum()) / 32
        std = math.sqrt(32 * share * (1 - share) / 31)
        assert advantages == pytest.approx((right - share) / (std + 1e-4)), "agreement alone, of the 32"


def test_the_label_is_the_majority_of_all_64(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    adapt(tmp_path, policy, QUESTIONS[1:2], steps=30, batch_size=1)
    parts = [counted(group) for ((group, _),) in policy.trained]
    assert len({tuple(part.items()) for part in parts}) > 3, "each step draws its own part"
    assert any(part.get(tagged("cat"), 0) > part.get(tagged("owl"), 0) for part in parts), "a minority of the part"
    for ((group, advantages),) in policy.trained:
        best = group.completions[int(np.argmax(advantages))].text
        assert best == tagged("owl"), "though it may be the rarer one here"


def test_what_is_logged_is_the_whole_vote_and_what_was_trained_on(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    adapt(tmp_path, policy)
    (record,) = metrics(tmp_path)
    assert record["skipped_all_unparsable"] == 1
    # of the 64: 48 of them name dog, 33 owl; 4 of 128 name nothing
    assert record["majority_ratio"] == pytest.approx((48 + 33) / 128) and record["unparsable"] == pytest.approx(4 / 128)
    logged = {r["id"]: r for r in rollouts(tmp_path)}
    assert set(logged) == {"sure", "close"} and (logged["sure"]["label"], logged["close"]["label"]) == ("dog", "owl")
    for group, _ in policy.trained[0]:
        part, drawn = counted(group), VOTES[group.question.id]
        rows = logged[group.question.id]["completions"]
        assert {text: n for text, n, _, _ in rows} == drawn
        assert {text: n for text, _, n, _ in rows if n} == part
        assert {text: right for text, _, _, right in rows} == {
            text: float(logged[group.question.id]["label"] in text) for text in drawn
        }
    right = [
        np.average(["dog" in t if g.question.id == "sure" else "owl" in t for t in counted(g)], weights=g.counts)
        for g, _ in policy.trained[0]
    ]
    assert record["agreement"] == record["reward"] == pytest.approx(np.mean(right), abs=1e-6)


def test_a_step_in_which_nobody_names_an_option(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    adapt(tmp_path, policy, QUESTIONS[2:], steps=2, batch_size=1)
    assert policy.trained == [[], []] and rollouts(tmp_path) == []
    assert [(r["skipped_all_unparsable"], r["reward"]) for r in metrics(tmp_path)] == [(1, 0), (1, 0)]


def test_labels_follow_the_policy(tmp_path: Path) -> None:
    policy = FakePolicy(lambda question, sampling: {tagged(("dog", "cat")[policy.updates % 2]): 50, "owl": 14})
    adapt(tmp_path, policy, QUESTIONS[:1], steps=4, batch_size=1)
    assert [r["label"] for r in rollouts(tmp_path)] == ["dog", "cat", "dog", "cat"]
    assert [s.stream for _, s in policy.asked] == ["step0", "step1", "step2", "step3"], "a stream of its own each"
    assert not (tmp_path / "adapt" / "labels.jsonl").exists()


def test_the_whole_vote_may_be_trained_on(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    adapt(tmp_path, policy, QUESTIONS[:1], batch_size=1, group_size=64)
    assert counted(policy.trained[0][0][0]) == VOTES["sure"]


# --- g_mv ------------------------------------------------------------------------------------------------------------


def g_mv(folder: Path, policy: FakePolicy, **settings: Any) -> Session:
    return adapt(folder, policy, **{**Ttrl.presets["g_mv"], **settings})


def opinionated(question: Question, sampling: Sampling) -> Drawn:
    """The frozen model's votes; then groups in which something else is said."""
    if sampling.stream == "vote":
        return VOTES[question.id]
    return {tagged("cat"): 3, "dog": 1}


def test_g_mv_learns_from_labels_of_the_frozen_model(tmp_path: Path) -> None:
    policy = FakePolicy(opinionated)
    g_mv(tmp_path, policy, steps=3, batch_size=2)
    assert [s.n for _, s in policy.asked] == [64] * 3 + [4] * 6
    asked = Counter(id_ for id_, s in policy.asked if s.stream != "vote")
    assert asked == {"sure": 3, "close": 3}, "never the one without a label"
    assert {(r["id"], r["label"]) for r in rollouts(tmp_path)} == {("sure", "dog"), ("close", "owl")}
    for step in policy.trained:
        for group, advantages in step:
            # sure: agreement 0 + format 1 three times, 1 + 0 once; close: 1 three times, 0 once
            expected = np.zeros(2) if group.question.id == "sure" else np.array([0.25, -0.75]) / (0.5 + 1e-4)
            assert advantages == pytest.approx(expected, abs=1e-9)
    labels = {r["id"]: r["label"] for r in JsonLines(tmp_path / "adapt" / "labels.jsonl").read()}
    assert labels == {"sure": "dog", "close": "owl", "mute": None}


def test_g_mv_counts_what_it_skips(tmp_path: Path) -> None:
    """As aqa_ttrl and view_ttrl do, which fix their labels in the same way."""
    assert g_mv(tmp_path, FakePolicy(opinionated)).notes == {"skipped_all_unparsable": 1}


def test_attempts_are_no_setting() -> None:
    """OP-TTRAV takes multi_attempt and ignores it."""
    with pytest.raises(ValidationError, match="max_attempts"):
        Config(max_attempts=3)


# --- what it costs ---------------------------------------------------------------------------------------------------


def test_cost() -> None:
    c: dict[str, Any] = {"votes": 10, "group_size": 4, "steps": 5, "batch_size": 3}
    assert Ttrl(Config(**c)).cost(20, 7, 0) == Cost(0, 5, 5 * 3 * 10, 5 * 3 * 4, 7)
    assert Ttrl(Config(**{**c, "votes": 2})).cost(20, 7, 0) == Cost(0, 5, 5 * 3 * 2, 5 * 3 * 2, 7)
    once = Config(**{**c, "relabel": "once"})
    assert Ttrl(once).cost(20, 7, 0) == Cost(20 * 10, 5, 5 * 3 * 4, 5 * 3 * 4, 7)


def test_the_learning_rate_rises_then_falls(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    adapt(tmp_path, policy, steps=20, warmup=0.1)
    assert policy.lr_scales[:3] == pytest.approx([1 / 3, 2 / 3, 1.0]) and policy.lr_scales[-1] < 0.05
