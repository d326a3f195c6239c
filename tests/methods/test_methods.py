"""The methods on a scripted policy: what they draw, what they learn from, what they answer."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from audio_eval.errors import UserError
from audio_eval.method import Method
from audio_eval.models.policy import Policy, Sampling, TrainablePolicy
from audio_eval.questions import Example
from audio_eval.registry import method_class, registered
from audio_eval.runs.session import Session
from audio_eval.runs.store import JsonLines
from tests.rl.fake_policy import Drawn, FakeGenerator, FakePolicy, make_question, tagged

BUILT_IN = ("direct", "majority_vote", "aqa_ttrl", "sft", "grpo")
CHOICES = ("cat", "dog", "owl")
QUESTIONS = [make_question(id_, CHOICES) for id_ in ("sure", "split", "mute", "wordy")]
# 4 votes each: all for dog; 2 of 4 for owl; nothing named; 3 of 4 for cat, untagged
VOTES: dict[str, Drawn] = {
    "sure": {tagged("dog"): 4},
    "split": {tagged("owl"): 2, tagged("cat"): 1, "no idea": 1},
    "mute": {"no idea": 3, "what?": 1},
    "wordy": {"It is a cat.": 3, tagged("dog"): 1},
}
# right and tagged, right and bare, wrong and tagged, nothing
ROLLOUTS: dict[str, Drawn] = {
    "sure": {tagged("dog"): 1, "dog": 1, tagged("cat"): 1, "no idea": 1},
    "split": {tagged("owl"): 3, tagged("dog"): 1},
    "wordy": {tagged("cat"): 2, "cat": 2},
}


def script(question: Any, sampling: Sampling) -> Drawn:
    if sampling.temperature == 0:
        return {f"greedy {question.id}": 1}
    return VOTES[question.id] if sampling.stream == "vote" else ROLLOUTS[question.id]


def make(name: str, **settings: Any) -> Method:
    cls = method_class(name)
    return cls(cls.Config(**settings))


def adapt(method: Method, folder: Path, policy: FakePolicy, examples: Any = (), questions: Any = QUESTIONS) -> Session:
    session = Session(folder, policy.seed, 3, examples)
    method.adapt(policy, questions, session)
    return session


def metrics(folder: Path) -> list[dict[str, float]]:
    return JsonLines(folder / "metrics.jsonl").read()


def test_the_fakes_are_policies() -> None:
    assert isinstance(FakePolicy(script), TrainablePolicy)
    assert isinstance(FakeGenerator(script), Policy) and not isinstance(FakeGenerator(script), TrainablePolicy)


@pytest.mark.parametrize("name", BUILT_IN)
def test_settings(name: str) -> None:
    cls = method_class(name)
    assert name in registered("methods") and cls.name == name and cls.summary
    with pytest.raises(ValidationError, match="extra"):
        cls.Config(no_such_setting=1)
    for field, info in cls.Config.model_fields.items():
        assert info.description, f"{field} needs a description"
    config = cls.Config()
    with pytest.raises(ValidationError, match="frozen"):
        config.anything = 1
    assert cls().config == config


@pytest.mark.parametrize(
    ("name", "settings", "needs_labels", "transductive"),
    [
        ("direct", {}, False, False),
        ("majority_vote", {}, False, False),
        ("aqa_ttrl", {}, False, True),
        ("sft", {}, False, True),
        ("sft", {"labels": "gold"}, True, False),
        ("grpo", {}, True, False),
    ],
)
def test_what_a_method_says_of_itself(name: str, settings: Any, needs_labels: bool, transductive: bool) -> None:
    method = make(name, **settings)
    assert (method.needs_labels, method.transductive) == (needs_labels, transductive)


def test_published_defaults() -> None:
    """facts/methods.md 1.2 and 4: the papers' settings, unless a model's own replace them."""
    ttrl, grpo, sft = (make(name).config.model_dump() for name in ("aqa_ttrl", "grpo", "sft"))
    wanted = {
        "votes": 64, "temperature": 1.0, "group_size": 4, "max_attempts": 3, "criterion": "identical_outputs",
        "conf_weight": "exp", "clip": 0.2, "beta": 0.0, "lr": 1e-6, "weight_decay": 0.01, "batch_size": 8,
    }  # fmt: skip
    assert {key: ttrl[key] for key in wanted} == wanted
    assert (grpo["group_size"], grpo["beta"], grpo["temperature"]) == (8, 0.04, 1.0)
    assert (sft["epochs"], sft["votes"], sft["labels"]) == (3, 64, "pseudo")


# --- direct, majority_vote -------------------------------------------------------------------------------------------


def test_direct_is_one_greedy_response_a_question(tmp_path: Path) -> None:
    method, policy = make("direct"), FakePolicy(script)
    adapt(method, tmp_path, policy)
    assert policy.asked == [] and policy.trained == []
    assert method.predict(policy, QUESTIONS) == [f"greedy {question.id}" for question in QUESTIONS]
    assert {(sampling.n, sampling.temperature) for _, sampling in policy.asked} == {(1, 0.0)}


def test_majority_vote_answers_with_the_elected_option() -> None:
    method, policy = make("majority_vote", votes=4), FakeGenerator(script)
    assert method.predict(policy, QUESTIONS) == [tagged("dog"), tagged("owl"), "no idea", tagged("cat")]
    assert {(sampling.n, sampling.temperature) for _, sampling in policy.asked} == {(4, 1.0)}


def test_majority_vote_breaks_ties_by_the_seed_of_the_policy() -> None:
    questions = [make_question(str(i), CHOICES) for i in range(40)]

    def responses(seed: int) -> list[str]:
        policy = FakeGenerator(lambda question, sampling: {"cat": 2, "owl": 2}, seed)
        return make("majority_vote").predict(policy, questions)

    assert set(responses(0)) == {tagged("cat"), tagged("owl")}
    assert responses(0) == responses(0) != responses(1)


# --- aqa_ttrl --------------------------------------------------------------------------------------------------------


def test_aqa_ttrl_skips_what_has_no_label_and_counts_it(tmp_path: Path) -> None:
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
def test_aqa_ttrl_scales_advantages_by_the_confidence_of_the_vote(weight: str | None, f: Any, tmp_path: Path) -> None:
    policy = FakePolicy(script)
    chosen = {} if weight is None else {"conf_weight": weight}
    adapt(make("aqa_ttrl", votes=4, steps=1, batch_size=3, **chosen), tmp_path, policy)
    (step,) = policy.trained
    for group, advantages in step:
        id_ = group.question.id
        mean, std = MEAN_STD[id_]
        assert advantages == pytest.approx(f(CONFIDENCE[id_]) * (ADVANTAGES[id_] - mean) / (std + 1e-4)), id_


def test_aqa_ttrl_logs_what_it_learns_from(tmp_path: Path) -> None:
    adapt(make("aqa_ttrl", votes=4, steps=1, batch_size=3), tmp_path, FakePolicy(script))
    (record,) = metrics(tmp_path)
    assert record["reward"] == pytest.approx((1 + 1.75 + 1.5) / 3, abs=1e-6)
    assert record["agreement"] == pytest.approx((2 / 4 + 3 / 4 + 4 / 4) / 3, abs=1e-6)
    assert record["vote_share"] == pytest.approx((1 + 0.5 + 0.75) / 3, abs=1e-6)
    assert (record["attempts"], record["rescued"], record["stuck"], record["skipped_groups"]) == (1, 0, 0, 0)


def test_aqa_ttrl_weighs_its_two_rewards(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    settings = {"accuracy_weight": 0.0, "format_weight": 2.0, "conf_weight": "none"}
    adapt(make("aqa_ttrl", votes=4, steps=1, batch_size=3, **settings), tmp_path, policy)
    by_id = {group.question.id: advantages for group, advantages in policy.trained[0]}
    assert not by_id["split"].any(), "all tagged: without the agreement there is nothing to tell them apart"
    assert by_id["sure"] == pytest.approx(np.array([1, -1, 1, -1]) / (math.sqrt(4 / 3) + 1e-4))
    assert metrics(tmp_path)[0]["skipped_groups"] == 1


def test_aqa_ttrl_draws_groups_without_contrast_again(tmp_path: Path) -> None:
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


def test_aqa_ttrl_labels_are_fixed_by_the_frozen_model(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    adapt(make("aqa_ttrl", votes=4, steps=5, batch_size=3), tmp_path, policy)
    streams = [sampling.stream for _, sampling in policy.asked]
    assert streams.count("vote") == 4 and "vote" not in streams[4:]
    assert len(set(streams[4:])) == 5, "each step draws from its own stream"
    assert policy.updates == 5


# --- sft -------------------------------------------------------------------------------------------------------------


def test_sft_pseudo_learns_the_voted_labels(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    adapt(make("sft", votes=4, epochs=2, batch_size=3), tmp_path, policy, [Example(QUESTIONS[2], "owl")])
    assert len(policy.trained) == 2, "3 labelled items, 2 epochs, 3 a step"
    for step in policy.trained:
        assert {g.question.id: g.best() for g, _ in step} == {
            "sure": tagged("dog"), "split": tagged("owl"), "wordy": tagged("cat"),
        }  # fmt: skip
        assert all(advantages.tolist() == [1.0] and group.counts == (1,) for group, advantages in step)
    assert {sampling.stream for _, sampling in policy.asked} == {"vote"}


def test_sft_gold_learns_the_examples_and_does_not_look_at_the_scored_items(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    examples = [Example(make_question(f"t{i}", CHOICES), CHOICES[i % 3]) for i in range(5)]
    adapt(make("sft", labels="gold", epochs=3, batch_size=2), tmp_path, policy, examples)
    assert policy.asked == []
    assert len(policy.trained) == math.ceil(3 * 5 / 2)
    targets = Counter((group.question.id, group.best()) for step in policy.trained for group, _ in step)
    assert set(targets) == {(e.question.id, tagged(e.answer)) for e in examples}
    assert sum(targets.values()) == 16 and max(targets.values()) - min(targets.values()) <= 1
    assert not (tmp_path / "adapt" / "labels.jsonl").exists()


# --- grpo ------------------------------------------------------------------------------------------------------------


def test_grpo_uses_the_training_task_only(tmp_path: Path) -> None:
    policy = FakePolicy(lambda question, sampling: {tagged("dog"): 6, "cat": 2})
    examples = [Example(make_question(f"t{i}", CHOICES), "dog" if i % 2 else "cat") for i in range(6)]
    adapt(make("grpo", steps=3, batch_size=4, beta=0.1), tmp_path, policy, examples)
    assert len(policy.asked) == 12 and all(id_.startswith("t") for id_, _ in policy.asked)
    assert {(s.n, s.temperature) for _, s in policy.asked} == {(8, 1.0)}
    assert policy.training is not None and policy.training.beta == 0.1
    for group, advantages in policy.trained[0]:
        # tagged and right against bare and wrong: 2, 0; or tagged and wrong against bare and right: 1, 1
        odd = int(group.question.id[1:]) % 2
        mean, std = 1.5, 2 * math.sqrt(6 * 2 / 64 * 8 / 7)
        expected = np.array([0.5, -1.5]) / (std + 1e-4) if odd else np.zeros(2)
        assert mean == 1.5 and advantages == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("name", "settings"), [("grpo", {}), ("sft", {"labels": "gold"})])
def test_without_a_single_label_there_is_nothing_to_do(name: str, settings: Any, tmp_path: Path) -> None:
    examples = [Example(QUESTIONS[0], "")]
    with pytest.raises(UserError, match="training task"):
        adapt(make(name, **settings), tmp_path, FakePolicy(script), examples)


@pytest.mark.parametrize("name", ["aqa_ttrl", "sft"])
def test_a_model_that_can_only_generate_cannot_be_adapted(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can only generate"):
        adapt(make(name, votes=4), tmp_path, FakeGenerator(script))
