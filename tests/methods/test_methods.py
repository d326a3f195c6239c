"""The methods on a scripted policy: what they draw, what they learn from, what they answer."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from audio_eval.errors import UserError
from audio_eval.method import Cost, Method
from audio_eval.models.policy import Policy, Sampling, TrainablePolicy
from audio_eval.plugins import registered
from audio_eval.prompts import PromptTemplate
from audio_eval.questions import Example, Question
from audio_eval.registry import method_class
from audio_eval.rl.session import Session
from audio_eval.runs.plan import plan
from audio_eval.store import JsonLines
from tests.rl.fake_policy import Drawn, FakeGenerator, FakePolicy, make_question, tagged

BUILT_IN = sorted(
    name for name, points in registered("methods").items() if points[0].value.startswith("audio_eval.methods.")
)
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
        ("ttrl", {}, False, True),
        ("view_ttrl", {}, False, True),
        ("op_ttrl", {}, False, True),
        ("random_reward", {}, False, True),
        ("format_reward", {}, False, True),
        ("wrong_majority", {}, False, True),
        ("sari", {}, True, False),
        ("sari", {"labels": "votes"}, True, True),
        ("xs_cot", {}, True, False),
    ],
)
def test_what_a_method_says_of_itself(name: str, settings: Any, needs_labels: bool, transductive: bool) -> None:
    method = make(name, **settings)
    assert (method.needs_labels, method.transductive) == (needs_labels, transductive)


def test_the_built_in_methods_are_these() -> None:
    """One that is added is to be added to the tests that name methods, too."""
    assert {
        "aqa_ttrl", "direct", "format_reward", "grpo", "majority_vote", "op_ttrl", "random_reward", "sari", "sft",
        "ttrl", "view_ttrl", "wrong_majority", "xs_cot",
    } == set(BUILT_IN)  # fmt: skip


PRESETS = [(name, preset) for name in BUILT_IN for preset in method_class(name).presets]


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_presets_configure_and_a_setting_beats_them(name: str, preset: str) -> None:
    settings = dict(method_class(name).presets[preset])
    flags = {"model": "tiny-omni", "method": name, "tasks": "synth_aqa", "train_task": "synth_aqa:train"}
    (spec,) = plan({**flags, "method_args": f"preset={preset}"})
    assert {key: spec.method_args[key] for key in settings} == settings
    assert make(name, **spec.method_args).cost(3, 3, 3).steps == spec.method_args["steps"]
    (spec,) = plan({**flags, "method_args": f"preset={preset},lr=0.125"})
    assert spec.method_args["lr"] == 0.125


def test_the_presets_are_there() -> None:
    assert {("ttrl", "g_mv"), ("op_ttrl", "evolrl"), ("op_ttrl", "intuitor"), ("grpo", "r1_aqa")} <= set(PRESETS)


C: dict[str, Any] = {"votes": 10, "group_size": 4, "steps": 5, "batch_size": 3}


@pytest.mark.parametrize(
    ("name", "settings", "cost"),
    [
        ("direct", {}, Cost(answers=7)),
        ("majority_vote", {"votes": 10}, Cost(answers=70)),
        ("majority_vote", {"votes": 10, "views": "choices", "n_views": 3}, Cost(answers=70)),
        ("aqa_ttrl", C, Cost(200, 5, 5 * 3 * 4 * 3, 60, 7)),
        ("aqa_ttrl", {**C, "max_attempts": 1}, Cost(200, 5, 60, 60, 7)),
        ("aqa_ttrl", {**C, "relabel": "every_step"}, Cost(0, 5, 180 + 15 * 10, 60, 7)),
        # 20 items at most ceil(5 / 5) times, but no more than the 15 that are asked
        ("aqa_ttrl", {**C, "relabel": "every_k", "relabel_k": 5}, Cost(0, 5, 180 + 15 * 10, 60, 7)),
        ("aqa_ttrl", {**C, "relabel": "every_k", "relabel_k": 5, "steps": 10}, Cost(0, 10, 360 + 30 * 10, 120, 7)),
        ("aqa_ttrl", {**C, "relabel": "every_k", "relabel_k": 8, "steps": 8}, Cost(0, 8, 288 + 20 * 10, 96, 7)),
        ("sft", {"votes": 10, "epochs": 2, "batch_size": 3}, Cost(200, 14, 0, 40, 7)),
        ("sft", {"labels": "gold", "epochs": 2, "batch_size": 3}, Cost(0, 8, 0, 22, 7)),
        ("wrong_majority", C, Cost(200, 5, 180, 60, 7)),
        ("random_reward", {k: v for k, v in C.items() if k != "votes"}, Cost(0, 5, 180, 60, 7)),
        ("format_reward", {k: v for k, v in C.items() if k != "votes"}, Cost(0, 5, 180, 60, 7)),
        ("grpo", {k: v for k, v in C.items() if k != "votes"}, Cost(0, 5, 60, 60, 7)),
    ],
)
def test_cost(name: str, settings: Any, cost: Cost) -> None:
    """Of 20 questions to adapt on, 7 to score, 11 labelled ones; ttrl's, op_ttrl's, ... are in their own tests."""
    assert make(name, **settings).cost(20, 7, 11) == cost


COSTED = [
    ("aqa_ttrl", {}), ("aqa_ttrl", {"relabel": "every_step"}), ("aqa_ttrl", {"relabel": "every_k", "relabel_k": 2}),
    ("ttrl", {}), ("ttrl", {"relabel": "once"}), ("view_ttrl", {"anchor": False}), ("op_ttrl", {"reward": "majority"}),
    ("random_reward", {}), ("format_reward", {}), ("wrong_majority", {}), ("sft", {}), ("sari", {"chains": "none"}),
    ("sari", {"chains": "none", "labels": "votes"}), ("grpo", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings"), COSTED)
@pytest.mark.parametrize("alike", [False, True])
def test_no_method_takes_more_than_its_cost(name: str, settings: Any, alike: bool, tmp_path: Path) -> None:
    """What was drawn and learnt from, against what ``--dry-run`` says; ``alike``: every attempt is needed."""

    def some(question: Question, sampling: Sampling) -> Drawn:
        if alike or sampling.n == 1:
            return {tagged("dog"): sampling.n}
        return {tagged("dog"): sampling.n - 1, tagged("cat"): 1}

    fields = method_class(name).Config.model_fields
    small = {"votes": 4, "samples": 4, "steps": 5, "batch_size": 3, "group_size": 4, "stages": 2, "max_attempts": 3}
    ignored = ("max_attempts",) if name in ("ttrl", "op_ttrl") and settings.get("relabel") != "once" else ()
    small = {key: value for key, value in small.items() if key in fields and key not in ignored}
    method = make(name, **{**small, **settings})
    questions = [
        replace(question, template=PromptTemplate("t", "{{ question }} {{ choices }}")) for question in QUESTIONS
    ]
    examples = [Example(question, "dog") for question in questions]
    policy = FakePolicy(some)
    adapt(method, tmp_path, policy, examples, questions)
    cost = method.cost(len(questions), 0, len(examples))
    assert policy.updates == cost.steps
    assert policy.usage.samples <= cost.votes + cost.rollouts
    assert sum(group.size for step in policy.trained for group, _ in step) <= cost.trained
    if alike or "max_attempts" not in small:  # then the bound is reached, but for labels that need no vote
        slack = 5 * 3 * 4 if settings.get("relabel", "once") != "once" else 0
        assert policy.usage.samples >= cost.votes + cost.rollouts - slack


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


VIEWED = [
    replace(q, template=PromptTemplate("t", "{{ question }} {{ choices }}"), paraphrases=("What?",)) for q in QUESTIONS
]


class Watched(FakePolicy):
    """Keeps the questions as they were asked."""

    def __init__(self, script: Any) -> None:
        super().__init__(script)
        self.questions: list[tuple[Question, Sampling]] = []

    def generate(self, questions: Any, sampling: Sampling) -> Any:
        self.questions += [(question, sampling) for question in questions]
        return super().generate(questions, sampling)


def test_majority_vote_over_views_counts_the_original_options() -> None:
    """In each view the samples name another letter for the same option; 7 votes on 3 views are 3, 2 and 2."""

    def letters(question: Question, sampling: Sampling) -> Drawn:
        right, wrong = ("ABC"[question.choices.index(option)] for option in ("owl", "dog"))
        return {tagged(right): sampling.n - 1, tagged(wrong): 1}

    policy = Watched(letters)
    method = make("majority_vote", votes=7, views="choices+paraphrase", n_views=3)
    assert method.predict(policy, VIEWED) == [tagged("owl")] * 4
    assert Counter(s.stream for _, s in policy.questions) == {f"vote/view{i}": 4 for i in range(3)}
    assert [policy.questions[4 * i][1].n for i in range(3)] == [3, 2, 2] and policy.usage.samples == 4 * 7
    assert len({question.choices for question, _ in policy.questions}) > 3
    assert {question.question for question, _ in policy.questions} == {"Which?", "What?"}


def test_majority_vote_over_views_is_not_misled_by_a_place() -> None:
    """A policy that always says the first option: one plain view elects it, many views elect no place."""
    policy = Watched(lambda question, sampling: {"A": sampling.n})
    questions = [replace(question, id=str(i)) for i in range(40) for question in VIEWED[:1]]
    assert set(make("majority_vote", votes=8).predict(policy, questions)) == {tagged("cat")}
    viewed = make("majority_vote", votes=8, views="choices", n_views=8).predict(policy, questions)
    assert set(viewed) == {tagged(option) for option in CHOICES}


def test_majority_vote_over_more_views_than_votes() -> None:
    policy = Watched(lambda question, sampling: {tagged("cat"): sampling.n})
    make("majority_vote", votes=2, views="choices", n_views=8).predict(policy, VIEWED[:1])
    assert [s.n for _, s in policy.questions] == [1, 1]


@pytest.mark.parametrize("name", ["majority_vote", "aqa_ttrl", "sft", "view_ttrl"])
def test_an_unknown_view_is_named(name: str) -> None:
    with pytest.raises(UserError, match="chioces"):
        make(name, views="chioces")


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
def test_when_aqa_ttrl_votes(settings: Any, voted: list[int], labels: list[str], tmp_path: Path) -> None:
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


def test_aqa_ttrl_votes_again_only_for_the_batch_and_skips_what_is_silent(tmp_path: Path) -> None:
    policy = FakePolicy(lambda q, s: VOTES[q.id] if s.stream.startswith("vote") else ROLLOUTS[q.id])
    adapt(make("aqa_ttrl", votes=4, steps=4, batch_size=2, relabel="every_k", relabel_k=9), tmp_path, policy)
    votes = Counter(id_ for id_, s in policy.asked if s.stream.startswith("vote"))
    assert votes == {"sure": 1, "split": 1, "mute": 1, "wordy": 1}, "each once in 9 steps, the silent one too"
    assert all("/step" in s.stream for _, s in policy.asked if s.stream.startswith("vote"))
    assert {group.question.id for step in policy.trained for group, _ in step} == {"sure", "split", "wordy"}


def test_aqa_ttrl_votes_over_views_and_trains_on_the_item_as_it_is(tmp_path: Path) -> None:
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


def test_sft_learns_the_labels_that_views_elect(tmp_path: Path) -> None:
    """The samples name letters of the view; what is learnt is the option's own text under the item as it is."""
    policy = Watched(lambda question, sampling: {"ABC"[question.choices.index("owl")]: sampling.n})
    adapt(make("sft", votes=8, views="choices", n_views=4, epochs=1, batch_size=4), tmp_path, policy, questions=VIEWED)
    assert {s.stream for _, s in policy.questions} == {f"vote/view{i}" for i in range(4)}
    ((*step,),) = policy.trained
    assert {group.best() for group, _ in step} == {tagged("owl")} and {g.question for g, _ in step} == set(VIEWED)


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


@pytest.mark.parametrize("name", [name for name in BUILT_IN if method_class(name).trains])
def test_a_model_that_can_only_generate_cannot_be_adapted(name: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"votes": 4, "reward": "majority", "chains": "none"}
    known = method_class(name).Config.model_fields if name != "grpo" else {}
    parts = {"transcript": "Was?", "english_instruction": "What?", "english_response": "A dog."}
    examples = [Example(VIEWED[0], "dog", parts)]
    method = make(name, **{key: value for key, value in settings.items() if key in known})
    policy = FakeGenerator(lambda question, sampling: {tagged("dog"): sampling.n})
    with pytest.raises(UserError, match="can only generate"):
        adapt(method, tmp_path, policy, examples, VIEWED)  # type: ignore[arg-type]
