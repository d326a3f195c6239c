"""XS-CoT on a scripted policy and on the embedded model, with made-up examples."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from audio_eval.errors import UserError
from audio_eval.method import Cost
from audio_eval.methods.xs_cot import Config, XsCot, chain
from audio_eval.models.catalog import load_policy
from audio_eval.models.policy import Sampling
from audio_eval.questions import Example
from audio_eval.rl.session import Session
from audio_eval.scoring.open_ended import final_answer
from audio_eval.store import JsonLines
from audio_eval.task import load_task
from tests.rl.fake_policy import FakePolicy, make_question

PARTS = {
    "transcript": "Wie heißt die Hauptstadt von Frankreich? Sag es kurz.",
    "english_instruction": "What is the capital of France? Keep it short.",
    "english_response": "It is\nParis.",
}
ANSWER = "Es ist die Stadt Paris, und das ist kurz."
EXAMPLES = [Example(make_question(f"t{i}", ()), ANSWER, PARTS) for i in range(4)]
EXPLICIT = f"<think>{PARTS['transcript']}\n{PARTS['english_instruction']}\nIt is Paris.</think>{ANSWER}"


def metrics(folder: Path) -> list[dict[str, float]]:
    return JsonLines(folder / "metrics.jsonl").read()


def test_settings_and_cost() -> None:
    assert all(info.description for info in Config.model_fields.values())
    assert XsCot.trains and not XsCot.needs_choices and XsCot().needs_labels and not XsCot().transductive
    assert XsCot(Config(epochs=3, batch_size=8)).cost(9, 7, 20) == Cost(steps=8, trained=64, answers=7)


def test_the_thinking_is_compressed_and_the_answer_is_not() -> None:
    assert chain(EXAMPLES[0], None) == EXPLICIT
    assert chain(EXAMPLES[0], 2) == f"<think>Wie heißt... Sag es...\nWhat is... Keep it...\nIt is...</think>{ANSWER}"
    assert final_answer(chain(EXAMPLES[0], 2)) == ANSWER, "what a judge is shown"


def test_the_chains_become_shorter_over_the_training(tmp_path: Path) -> None:
    policy = FakePolicy(lambda question, sampling: {})
    settings: dict[str, Any] = {"epochs": 8, "batch_size": 4, "stages": 4, "first_groups": 4, "last_groups": 0}
    XsCot(Config(**settings)).adapt(policy, [], Session(tmp_path, 0, 2, EXAMPLES))
    assert policy.asked == [] and len(policy.trained) == 8
    targets = [{group.best() for group, _ in step} for step in policy.trained]
    assert targets == [{chain(EXAMPLES[0], keep)} for keep in (None, None, 4, 4, 2, 2, 0, 0)]
    assert all(advantages.tolist() == [1.0] for step in policy.trained for _, advantages in step)
    logged = metrics(tmp_path)
    assert [r["kept"] for r in logged] == [-1, -1, 4, 4, 2, 2, 0, 0]
    assert [r["target_tokens"] for r in logged] == sorted((r["target_tokens"] for r in logged), reverse=True)


def test_one_stage_is_explicit_throughout(tmp_path: Path) -> None:
    policy = FakePolicy(lambda question, sampling: {})
    XsCot(Config(stages=1, batch_size=4)).adapt(policy, [], Session(tmp_path, 0, 2, EXAMPLES))
    assert {group.best() for step in policy.trained for group, _ in step} == {EXPLICIT}


def test_items_without_a_chain_are_left_out(tmp_path: Path) -> None:
    bare = Example(make_question("bare", ()), ANSWER, {**PARTS, "transcript": " "})
    policy = FakePolicy(lambda question, sampling: {})
    XsCot(Config(epochs=1, batch_size=4)).adapt(policy, [], Session(tmp_path, 0, 2, [bare, EXAMPLES[0]]))
    assert {group.question.id for step in policy.trained for group, _ in step} == {"t0"}
    with pytest.raises(UserError, match="rationale with transcript, english_instruction, english_response"):
        XsCot().adapt(policy, [], Session(tmp_path / "none", 0, 2, [bare]))


def test_the_embedded_model_learns_the_chain(tmp_path: Path) -> None:
    task = load_task("synth_aqa:train", prompt="xs_cot", limit=2)
    examples = [dataclasses.replace(e, rationale=PARTS, answer="Paris.") for e in task.examples]
    policy = load_policy("tiny-omni", batch_size=2, max_tokens=8)
    config = Config(epochs=30, batch_size=2, lr=2e-3, tune="full", stages=2, first_groups=2)
    XsCot(config).adapt(policy, [], Session(tmp_path, 0, 2, examples, save_every=30))
    logged = metrics(tmp_path)
    assert {r["kept"] for r in logged[:15]} == {-1} and {r["kept"] for r in logged[15:]} == {2}
    assert all(math.isfinite(r["loss"]) for r in logged)
    assert [group.best().startswith("<think>W") for group in policy.generate(task.questions, Sampling())] == [True] * 2
