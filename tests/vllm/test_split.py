"""Rollouts by a real vLLM, updates by hf."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.models.hf.families.base import Family
from audio_eval.models.hf.handover import HandoverPolicy
from audio_eval.models.policy import Sampling
from audio_eval.models.split import SplitPolicy
from audio_eval.models.vllm.engine import Engine
from audio_eval.models.vllm.worker import WorkerExtension
from tests.models.checkpoints import question
from tests.models.training import advantages_of, settings, trained
from tests.vllm.conftest import Pair, needs_vllm

pytestmark = needs_vllm
ASKED = [question(1, 0.4), question(2, 1.3), question(3)]
LORA = settings("lora", lr=3e-3)


def trainer_of(folder: Path) -> HandoverPolicy:
    return HandoverPolicy("trainer", str(folder), "cpu")


def draw(policy: SplitPolicy, step: int) -> list[Group]:
    return policy.generate(ASKED, Sampling(n=6, temperature=0.7, max_tokens=6, stream=f"step{step}"))


@pytest.fixture
def split(pair: Pair) -> Iterator[SplitPolicy]:
    """A policy whose vLLM goes back to the unadapted model after the test."""
    policy = SplitPolicy(pair.vllm, lambda: trainer_of(pair.folder))  # type: ignore[arg-type]
    yield policy
    policy.reset()


@pytest.mark.parametrize("tune", ["lora", "full"])
def test_three_steps_end_in_the_weights_that_hf_makes_of_the_same_completions(
    pair: Pair, split: SplitPolicy, tune: str
) -> None:
    training = settings(tune, lr=3e-3 if tune == "lora" else 1e-3, train_tower=tune == "full")
    unadapted = [group.completions for group in draw(split, 0)]
    split.begin_training(training, 5)
    drawn, metrics = [], []
    for step in range(3):
        drawn.append(draw(split, step))
        metrics.append(split.train_step(drawn[-1], advantages_of(drawn[-1])).metrics)
    assert [group.completions for group in drawn[0]] == unadapted, "a new adapter changes nothing"
    for one in metrics[1:]:
        assert one["sync_agreement"] > 0.9999 and one["sync_change"] > 1e-3
        assert one["sync_arrived"] == pytest.approx(1, abs=1e-2)
    alone = trainer_of(pair.folder)
    alone.begin_training(training, 5)
    for groups in drawn:
        alone.train_step(groups, advantages_of(groups))
    want, got = trained(alone), trained(split._loaded)  # type: ignore[arg-type]
    assert want.keys() == got.keys() and all(torch.equal(want[name], got[name]) for name in want)
    greedy = Sampling(max_tokens=8)
    answers = [[group.best() for group in one.generate(ASKED, greedy)] for one in (split, alone)]
    assert answers[0] == answers[1], "vLLM answers with the trained weights"
    split.reset()
    assert [group.completions for group in draw(split, 0)] == unadapted


def test_an_adapter_that_vllm_ignores_is_found(flamingo: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = SplitPolicy(flamingo.vllm, lambda: trainer_of(flamingo.folder))  # type: ignore[arg-type]
    monkeypatch.setattr(Family, "vllm_name", lambda self, name: name)  # peft's names, which vLLM has no module for
    with pytest.raises(UserError, match="without a word"):
        learn_and_draw(policy)
    policy.reset()
    monkeypatch.setattr(WorkerExtension, "unknown_to_model", lambda self, adapter: [])  # the check before is blind
    with pytest.raises(UserError, match=r"shows 0% of what the last updates changed.*names do not match"):
        learn_and_draw(policy)
    policy.reset()


def learn_and_draw(policy: SplitPolicy, steps: int = 1, **other: Any) -> None:
    policy.begin_training(settings(other.pop("tune", "lora"), lr=1e-3, **other), 5)
    for step in range(steps):
        groups = draw(policy, step)
        policy.train_step(groups, advantages_of(groups))
    draw(policy, steps)


def test_weights_of_the_step_before_are_found(pair: Pair, split: SplitPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "take_adapter" if pair.kind == "flamingo" else "replace_weights"
    monkeypatch.setattr(Engine, name, once(getattr(Engine, name)))
    with pytest.raises(UserError, match="of what the last updates changed"):
        learn_and_draw(split, steps=2)
    monkeypatch.undo()


def once(function: Callable[..., None]) -> Callable[..., None]:
    """The function, which does nothing after the first call."""
    calls: list[None] = []

    def called(*args: Any) -> None:
        calls.append(None)
        if len(calls) == 1:
            function(*args)

    return called


def test_clips_encoded_by_the_tower_of_before_are_found(qwen2_audio: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = SplitPolicy(qwen2_audio.vllm, lambda: trainer_of(qwen2_audio.folder))  # type: ignore[arg-type]
    forget = Engine._forget
    monkeypatch.setattr(Engine, "_forget", lambda self, tower_changed: forget(self, False))
    with pytest.raises(UserError, match="in caches is of the old ones"):
        learn_and_draw(policy, tune="full", train_tower=True)
    monkeypatch.undo()
    policy.reset()
