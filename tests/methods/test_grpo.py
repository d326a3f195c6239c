"""GRPO's rewards, presets and cost, on a scripted policy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio_eval.errors import UserError
from audio_eval.method import Cost
from audio_eval.methods.grpo import Config, Grpo
from audio_eval.questions import Example
from audio_eval.rl.session import Session
from audio_eval.runs.plan import plan
from audio_eval.store import JsonLines
from tests.openai_server import OpenAIServer, completion
from tests.rl.fake_policy import Drawn, FakePolicy, make_question, tagged

CHOICES = ("cat", "dog", "owl")
EXAMPLES = [Example(make_question("a", CHOICES), "dog"), Example(make_question("b", CHOICES), "cat")]
THINK = "<think>a bark so far</think>"


def run(folder: Path, drawn: dict[str, Drawn], **settings: Any) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """One step on both examples: what it logged, and the advantages by question."""
    policy = FakePolicy(lambda question, sampling: drawn[question.id])
    config = Config(**{"steps": 1, "batch_size": 2, **settings})
    Grpo(config).adapt(policy, [], Session(folder, 0, 2, EXAMPLES))
    (record,) = JsonLines(folder / "metrics.jsonl").read()
    return record, {group.question.id: advantages for group, advantages in policy.trained[0]}


def test_it_uses_the_training_task_only(tmp_path: Path) -> None:
    policy = FakePolicy(lambda question, sampling: {tagged("dog"): 6, "cat": 2})
    examples = [Example(make_question(f"t{i}", CHOICES), "dog" if i % 2 else "cat") for i in range(6)]
    Grpo(Config(steps=3, batch_size=4, beta=0.1)).adapt(policy, [], Session(tmp_path, 0, 3, examples))
    assert len(policy.asked) == 12 and all(id_.startswith("t") for id_, _ in policy.asked)
    assert {(s.n, s.temperature) for _, s in policy.asked} == {(8, 1.0)}
    assert policy.training is not None and policy.training.beta == 0.1
    for group, advantages in policy.trained[0]:
        # tagged and right against bare and wrong: 2, 0; or tagged and wrong against bare and right: 1, 1
        odd = int(group.question.id[1:]) % 2
        mean, std = 1.5, 2 * math.sqrt(6 * 2 / 64 * 8 / 7)
        expected = np.array([0.5, -1.5]) / (std + 1e-4) if odd else np.zeros(2)
        assert mean == 1.5 and advantages == pytest.approx(expected, abs=1e-9)


def test_the_parts_of_the_reward_are_logged_apart(tmp_path: Path) -> None:
    drawn = {"a": {tagged("dog"): 2, "dog": 2}, "b": {tagged("dog"): 4}}
    record, advantages = run(tmp_path, drawn)
    assert (record["accuracy"], record["format"], record["reward"]) == (0.5, 0.75, 1.25)
    assert (record["no_contrast"], record["skipped_groups"]) == (0.5, 1)
    assert advantages["a"].any() and not advantages["b"].any()


def test_graded_formats_and_lengths(tmp_path: Path) -> None:
    drawn = {"a": {THINK + tagged("dog"): 1, tagged("dog"): 1}, "b": {THINK: 2}}
    settings = {"accuracy_weight": 0.8, "format_weight": 0.2, "format": "think_answer", "graded_format": True}
    record, advantages = run(tmp_path / "graded", drawn, **settings)
    assert record["format"] == pytest.approx(((1 + 0.75) / 2 + 0.25) / 2)
    # 0.8 + 0.2 against 0.8 + 0.15: half of 0.05 from the mean, over a deviation of 0.05 / sqrt 2
    assert advantages["a"] == pytest.approx(np.array([0.025, -0.025]) / (0.05 / math.sqrt(2) + 1e-4))
    record, _ = run(tmp_path / "length", drawn, length_weight=1.0, length_words=4)
    assert record["thinking_length"] == pytest.approx((0.5 + 1) / 2)
    assert "thinking_length" not in run(tmp_path / "none", drawn)[0]


def test_audio_thinker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All think on a, none on b: lambda 1/2, at step 0 both factors are e^-1/2."""
    monkeypatch.setenv("AUDIO_EVAL_CACHE", str(tmp_path / "cache"))
    drawn = {"a": {THINK + tagged("dog"): 1, THINK + tagged("cat"): 1}, "b": {tagged("cat"): 1, "owl": 1}}
    factor = math.exp(-0.5)
    record, _ = run(tmp_path / "alone", drawn, reward="audio_thinker")
    expected = [factor + 0.5, 0.5, 2 * factor + 0.5, -factor]
    assert record["reward"] == pytest.approx(np.mean(expected), abs=1e-6)
    assert (record["accuracy"], record["format"], record["think_share"]) == (0.5, 0.75, 0.5)
    with OpenAIServer(lambda request, number: completion("consistency=1 quality=0.5")) as server:
        judged = {"reward": "audio_thinker", "judge_url": server.url, "judge_model": "judge"}
        record, _ = run(tmp_path / "judged", drawn, **judged)
        assert len(server.requests) == 2
    expected = [1.5 * factor + 1, 1, 2 * factor + 0.5, -factor]
    assert record["reward"] == pytest.approx(np.mean(expected), abs=1e-6) and record["judge_failed"] == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"judge_url": "http://localhost:1/v1", "reward": "audio_thinker"}, "go together"),
        ({"judge_url": "http://localhost:1/v1", "judge_model": "m"}, "set reward=audio_thinker"),
    ],
)
def test_a_judge_without_use(settings: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Config(**settings)  # type: ignore[arg-type]


def test_presets_and_cost() -> None:
    for name, settings in Grpo.presets.items():
        args = f"preset={name}"
        flags = {"model": "tiny-omni", "method": "grpo", "tasks": "synth_aqa", "train_task": "synth_aqa:train"}
        (spec,) = plan({**flags, "method_args": args})
        assert {key: spec.method_args[key] for key in settings} == settings, name
    assert Grpo.trains and not Grpo().needs_judge
    drawn = 16 * 8 * 1000
    assert Grpo().cost(0, 7, 100) == Cost(steps=1000, rollouts=drawn, trained=drawn, answers=7)
    config = Config(reward="audio_thinker", judge_url="http://localhost:1/v1", judge_model="m", steps=2)
    assert Grpo(config).needs_judge and Grpo(config).cost(0, 7, 100).judged == 2 * 16 * 8
