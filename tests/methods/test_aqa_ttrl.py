"""aqa_ttrl on a scripted policy: whom it asks, what it rewards, when it votes."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio_eval.models.policy import Sampling
from audio_eval.questions import Question
from audio_eval.store import JsonLines
from tests.methods.scripted import CHOICES, QUESTIONS, ROLLOUTS, VIEWED, VOTES, Watched, adapt, make, metrics, script
from tests.rl.fake_policy import Drawn, FakePolicy, option, tagged


def test_it_skips_what_has_no_label_and_counts_it(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    session = adapt(make("aqa_ttrl", votes=4, steps=2, batch_size=3), tmp_path, policy)
    assert session.notes == {"skipped_all_unparsable": 1}
    asked = Counter(id_ for id_, sampling in policy.asked if sampling.stream != "vote")
    assert asked == {"sure": 2, "split": 2, "wordy": 2}, "never the one without a label"
    assert {group.question.id for step in policy.trained for group, _ in step} == {"sure", "split", "wordy"}
    assert [(s.n, s.temperature) for _, s in policy.asked[:4]] == [(4, 1.0)] * 4


# rewards are agreement with the vote + format; then (r - mean) / (std + 1e-4)
ADVANTAGES = {
    "sure": np.array([2.0, 1.0, 1.0, 0.0]),  # mean 1, std sqrt(2/3)
    "split": np.array([2.0, 1.0]),  # 3 and 1 of them: mean 7/4, std 1/2
    "wordy": np.array([2.0, 1.0]),  # 2 and 2: mean 3/2, std sqrt(1/3)
}
MEAN_STD = {"sure": (1.0, math.sqrt(2 / 3)), "split": (1.75, 0.5), "wordy": (1.5, math.sqrt(1 / 3))}
CONFIDENCE = {"sure": 1.0, "split": 0.5, "wordy": 0.75}


@pytest.mark.parametrize(
    ("weight", "f"),
    [
        (None, math.exp),
        ("exp", math.exp),
        ("none", lambda c: 1.0),
        ("linear", lambda c: c),
        ("sqrt", math.sqrt),
        ("exp_minus_1", lambda c: math.exp(c - 1)),
    ],
)
def test_it_scales_advantages_by_the_confidence_of_the_vote(weight: str | None, f: Any, tmp_path: Path) -> None:
    policy = FakePolicy(script)
    chosen = {} if weight is None else {"conf_weight": weight}
    adapt(make("aqa_ttrl", votes=4, steps=1, batch_size=3, **chosen), tmp_path, policy)
    (step,) = policy.trained
    for group, advantages in step:
        id_ = group.question.id
        mean, std = MEAN_STD[id_]
        assert advantages == pytest.approx(f(CONFIDENCE[id_]) * (ADVANTAGES[id_] - mean) / (std + 1e-4)), id_


def test_it_logs_what_it_learns_from(tmp_path: Path) -> None:
    adapt(make("aqa_ttrl", votes=4, steps=1, batch_size=3), tmp_path, FakePolicy(script))
    (record,) = metrics(tmp_path)
    assert record["reward"] == pytest.approx((1 + 1.75 + 1.5) / 3, abs=1e-6)
    assert record["agreement"] == pytest.approx((2 / 4 + 3 / 4 + 4 / 4) / 3, abs=1e-6)
    assert record["vote_share"] == pytest.approx((1 + 0.5 + 0.75) / 3, abs=1e-6)
    assert (record["attempts"], record["rescued"], record["stuck"], record["skipped_groups"]) == (1, 0, 0, 0)


def test_it_weighs_its_two_rewards(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    settings = {"accuracy_weight": 0.0, "format_weight": 2.0, "conf_weight": "none"}
    adapt(make("aqa_ttrl", votes=4, steps=1, batch_size=3, **settings), tmp_path, policy)
    by_id = {group.question.id: advantages for group, advantages in policy.trained[0]}
    assert not by_id["split"].any(), "all tagged: without the agreement there is nothing to tell them apart"
    assert by_id["sure"] == pytest.approx(np.array([1, -1, 1, -1]) / (math.sqrt(4 / 3) + 1e-4))
    assert metrics(tmp_path)[0]["skipped_groups"] == 1


def test_it_draws_groups_without_contrast_again(tmp_path: Path) -> None:
    def stubborn(question: Any, sampling: Sampling) -> Drawn:
        if sampling.stream == "vote":
            return VOTES[question.id]
        same = question.id == "wordy" or (question.id == "split" and sampling.stream.endswith("attempt0"))
        return {tagged("cat"): 4} if same else ROLLOUTS[question.id]

    policy = FakePolicy(stubborn)
    adapt(make("aqa_ttrl", votes=4, steps=1, batch_size=3, max_attempts=3), tmp_path, policy)
    asked = Counter(id_ for id_, sampling in policy.asked if sampling.stream != "vote")
    assert asked == {"sure": 1, "split": 2, "wordy": 3}
    (record,) = metrics(tmp_path)
    assert (record["attempts"], record["rescued"], record["stuck"], record["skipped_groups"]) == (2, 1, 1, 1)


def test_it_labels_are_fixed_by_the_frozen_model(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    adapt(make("aqa_ttrl", votes=4, steps=5, batch_size=3), tmp_path, policy)
    streams = [sampling.stream for _, sampling in policy.asked]
    assert streams.count("vote") == 4 and "vote" not in streams[4:]
    assert len(set(streams[4:])) == 5, "each step draws from its own stream"
    assert policy.updates == 5


@pytest.mark.parametrize(
    ("settings", "voted", "labels"),
    [
        ({"relabel": "once"}, [0], ["dog"] * 6),
        ({"relabel": "every_step"}, [0, 1, 2, 3, 4, 5], ["dog", "cat", "dog", "cat", "dog", "cat"]),
        ({"relabel": "every_k", "relabel_k": 3}, [0, 3], ["dog"] * 3 + ["cat"] * 3),
        ({"relabel": "every_k", "relabel_k": 4}, [0, 4], ["dog"] * 6),
        ({"relabel": "every_k", "relabel_k": 1}, [0, 1, 2, 3, 4, 5], ["dog", "cat", "dog", "cat", "dog", "cat"]),
    ],
)
def test_when_it_votes(settings: Any, voted: list[int], labels: list[str], tmp_path: Path) -> None:
    """The policy's mind changes with each update; a label lives as long as it was asked to."""
    votes_at: list[int] = []

    def fickle(question: Question, sampling: Sampling) -> Drawn:
        if sampling.stream.startswith("vote"):
            votes_at.append(policy.updates)
            return {tagged(("dog", "cat")[policy.updates % 2]): 3, tagged("owl"): 1}
        return {tagged("dog"): 2, tagged("cat"): 2}

    policy = FakePolicy(fickle)
    adapt(make("aqa_ttrl", votes=4, steps=6, batch_size=1, **settings), tmp_path, policy, questions=QUESTIONS[:1])
    assert votes_at == voted
    rollouts = JsonLines(tmp_path / "adapt" / "rollouts.jsonl").read()
    assert [record["label"] for record in rollouts] == labels
    unit = math.exp(0.75) / (math.sqrt(4 / 3) / 2 + 1e-4) / 2
    for ((group, advantages),), label in zip(policy.trained, labels, strict=True):
        right = [1 if label in completion.text else -1 for completion in group.completions]
        assert advantages == pytest.approx(unit * np.array(right), rel=1e-3)
    relabels = JsonLines(tmp_path / "adapt" / "relabels.jsonl").read()
    assert [r["step"] - 1 for r in relabels] == ([] if settings["relabel"] == "once" else voted)
    assert (tmp_path / "adapt" / "labels.jsonl").exists() == (settings["relabel"] == "once")


def test_it_votes_again_only_for_the_batch_and_skips_what_is_silent(tmp_path: Path) -> None:
    policy = FakePolicy(lambda q, s: VOTES[q.id] if s.stream.startswith("vote") else ROLLOUTS[q.id])
    adapt(make("aqa_ttrl", votes=4, steps=4, batch_size=2, relabel="every_k", relabel_k=9), tmp_path, policy)
    votes = Counter(id_ for id_, s in policy.asked if s.stream.startswith("vote"))
    assert votes == {"sure": 1, "split": 1, "mute": 1, "wordy": 1}, "each once in 9 steps, the silent one too"
    assert all("/step" in s.stream for _, s in policy.asked if s.stream.startswith("vote"))
    assert {group.question.id for step in policy.trained for group, _ in step} == {"sure", "split", "wordy"}


def test_it_votes_over_views_and_trains_on_the_item_as_it_is(tmp_path: Path) -> None:
    def letters(question: Question, sampling: Sampling) -> Drawn:
        right = tagged("ABC"[question.choices.index("owl")])
        return {right: sampling.n} if sampling.stream.startswith("vote") else {right: 2, tagged("cat"): 2}

    policy = Watched(letters)
    settings = {"votes": 8, "views": "choices", "n_views": 4, "steps": 2, "batch_size": 2}
    adapt(make("aqa_ttrl", **settings), tmp_path, policy, questions=VIEWED)
    labels = JsonLines(tmp_path / "adapt" / "labels.jsonl").read()
    assert {(r["label"], r["confidence"], r["agreement"]) for r in labels} == {("owl", 1.0, 1.0)}
    assert len({q.choices for q, s in policy.questions if s.stream.startswith("vote")}) > 2
    assert {q.choices for q, s in policy.questions if not s.stream.startswith("vote")} == {CHOICES}
    assert sorted(p.name for p in (tmp_path / "adapt").glob("votes*")) == [f"votes-view{i}.jsonl" for i in range(4)]


def fond_of(policy: FakePolicy) -> None:
    """At first the owl is the likeliest with odds of 3 : 1 : 1, after every second update the dog."""
    policy.likelihood = lambda question, text: [
        math.log(3.0) * (("owl", "dog")[policy.updates // 2 % 2] in text)
    ]  # fmt: skip


def test_it_learns_the_likeliest_options_and_weighs_by_their_probability(tmp_path: Path) -> None:
    policy = FakePolicy(lambda question, sampling: {tagged("owl"): 2, tagged("cat"): 2})
    fond_of(policy)
    settings = {"labels": "likelihood", "steps": 1, "batch_size": 1, "conf_weight": "linear"}
    adapt(make("aqa_ttrl", **settings), tmp_path, policy, questions=QUESTIONS[:1])
    (((_, advantages),),) = policy.trained
    assert advantages == pytest.approx(0.6 * np.array([1, -1]) / 2 / (math.sqrt(4 / 3) / 2 + 1e-4), rel=1e-3)
    assert {s.stream.partition("/")[0] for _, s in policy.asked} == {"step0"}, "no votes"
    assert metrics(tmp_path)[0]["vote_share"] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        ({"relabel": "once"}, ["owl"] * 6),
        ({"relabel": "every_step"}, ["owl", "owl", "dog", "dog", "owl", "owl"]),
        ({"relabel": "every_k", "relabel_k": 3}, ["owl"] * 3 + ["dog"] * 3),
    ],
)
def test_likeliest_options_are_renewed_like_votes(settings: Any, labels: list[str], tmp_path: Path) -> None:
    policy = FakePolicy(lambda question, sampling: {tagged("owl"): 2, tagged("dog"): 2})
    fond_of(policy)
    chosen = {"labels": "likelihood", "steps": 6, "batch_size": 1, **settings}
    adapt(make("aqa_ttrl", **chosen), tmp_path, policy, questions=QUESTIONS[:1])
    assert [r["label"] for r in JsonLines(tmp_path / "adapt" / "rollouts.jsonl").read()] == labels
    assert len(policy.scored) <= make("aqa_ttrl", **chosen).cost(1, 0, 0).scored


def test_wrong_majority_takes_the_second_likeliest(tmp_path: Path) -> None:
    policy = FakePolicy(lambda question, sampling: {tagged("owl"): 2, tagged("dog"): 2})
    policy.likelihood = lambda question, text: [-1.0 * ("owl", "cat", "dog").index(option(text))]
    settings = {"labels": "likelihood", "steps": 1, "batch_size": 1}
    adapt(make("wrong_majority", **settings), tmp_path, policy, questions=QUESTIONS[:1])
    assert JsonLines(tmp_path / "adapt" / "rollouts.jsonl").read()[0]["label"] == "cat"


@pytest.mark.parametrize(("name", "needs"), [("aqa_ttrl", True), ("view_ttrl", True), ("wrong_majority", True)])
def test_likelihoods_are_asked_for_by_the_setting(name: str, needs: bool) -> None:
    assert make(name, labels="likelihood").needs_logprobs is needs and not make(name).needs_logprobs
