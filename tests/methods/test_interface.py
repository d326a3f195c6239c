"""What every method says of itself: settings, properties, presets; and what none of them accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from audio_eval.errors import UserError
from audio_eval.method import Prediction, check_answers
from audio_eval.models.policy import Policy, ScoresCompletions, TrainablePolicy
from audio_eval.plugins import registered
from audio_eval.questions import Example
from audio_eval.registry import method_class
from audio_eval.rl.meter import Meter, metered
from audio_eval.runs.plan import plan
from tests.methods.scripted import QUESTIONS, VIEWED, adapt, make, script
from tests.rl.fake_policy import FakeGenerator, FakePolicy, FakeScorer, tagged

BUILT_IN = sorted(
    name for name, points in registered("methods").items() if points[0].value.startswith("audio_eval.methods.")
)


def test_the_fakes_are_policies() -> None:
    assert isinstance(FakePolicy(script), TrainablePolicy)
    assert isinstance(FakeGenerator(script), Policy) and not isinstance(FakeGenerator(script), TrainablePolicy)


def test_a_metered_policy_is_of_the_same_kind() -> None:
    assert isinstance(metered(FakePolicy(script), Meter(), 0), TrainablePolicy)
    scorer = metered(FakeScorer(script), Meter(), 0)
    assert isinstance(scorer, ScoresCompletions) and not isinstance(scorer, TrainablePolicy)
    generator = metered(FakeGenerator(script), Meter(), 0)
    assert isinstance(generator, Policy) and not isinstance(generator, TrainablePolicy)


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
    assert cls().config == config and cls(seed=5).seed == 5


@pytest.mark.parametrize(
    ("name", "settings", "needs_labels", "transductive"),
    [
        ("direct", {}, False, False),
        ("majority_vote", {}, False, False),
        ("choice_likelihood", {}, False, False),
        ("choice_likelihood", {"prior": "pride"}, False, True),
        ("aqa_ttrl", {}, False, True),
        ("sft", {}, False, True),
        ("sft", {"labels": "likelihood"}, False, True),
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
        "aqa_ttrl", "choice_likelihood", "direct", "format_reward", "grpo", "majority_vote", "op_ttrl", "random_reward",
        "sari", "sft", "ttrl", "view_ttrl", "wrong_majority", "xs_cot",
    } == set(BUILT_IN)  # fmt: skip


PRESETS = [(name, preset) for name in BUILT_IN for preset in method_class(name).presets]


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_presets_configure_and_a_setting_beats_them(name: str, preset: str) -> None:
    settings = dict(method_class(name).presets[preset])
    flags = {"model": "tiny-omni", "method": name, "tasks": "synth_aqa", "train_task": "synth_aqa:train"}
    (spec,) = plan({**flags, "method_args": f"preset={preset}"})
    assert {key: spec.method_args[key] for key in settings} == settings
    assert "steps" not in settings or make(name, **spec.method_args).cost(3, 3, 0).steps == settings["steps"]
    (spec,) = plan({**flags, "method_args": f"preset={preset},lr=0.125"})
    assert spec.method_args["lr"] == 0.125


def test_a_method_that_trains_has_settings_for_a_small_model() -> None:
    trained = [name for name in BUILT_IN if method_class(name).trains]
    assert len(trained) == 11 and all(method_class(name).presets["small"]["lr"] == 3e-4 for name in trained)


def test_the_presets_are_there() -> None:
    assert {("ttrl", "g_mv"), ("op_ttrl", "evolrl"), ("op_ttrl", "intuitor"), ("grpo", "r1_aqa")} <= set(PRESETS)


def test_published_defaults() -> None:
    """The papers' settings with full fine-tuning, unless a model's own replace them."""
    ttrl, grpo, sft = (make(name, tune="full").config.model_dump() for name in ("aqa_ttrl", "grpo", "sft"))
    wanted = {
        "votes": 64, "temperature": 1.0, "group_size": 4, "max_attempts": 3, "criterion": "identical_outputs",
        "conf_weight": "exp", "clip": 0.2, "beta": 0.0, "lr": 1e-6, "weight_decay": 0.01, "batch_size": 8,
    }  # fmt: skip
    assert {key: ttrl[key] for key in wanted} == wanted
    assert (grpo["group_size"], grpo["beta"], grpo["temperature"]) == (8, 0.04, 1.0)
    assert (sft["epochs"], sft["votes"], sft["labels"]) == (3, 64, "pseudo")


@pytest.mark.parametrize("name", ["majority_vote", "choice_likelihood", "aqa_ttrl", "sft", "view_ttrl"])
def test_an_unknown_view_is_named(name: str) -> None:
    with pytest.raises(UserError, match="chioces"):
        make(name, views="chioces")


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


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (None, "no list of responses, but a NoneType"),
        ({"a": "x", "b": "y"}, "no list of responses, but a dict"),
        ("xy", "no list of responses, but a str"),
        ([5, 5], "gave a int as a response"),
        (["x"], "1 responses to 2"),
        ([Prediction("x", confidence=float("nan"))] * 2, "a confidence that is no number: nan"),
    ],
)
def test_what_is_no_answer_is_taken_for_none(answers: object, says: str) -> None:
    check_answers(["x", Prediction("y", confidence=1)], 2, "mine")
    with pytest.raises(UserError, match=says):
        check_answers(answers, 2, "mine")
