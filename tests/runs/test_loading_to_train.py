"""A backend that needs to know whether a method will train is told, and loads again only where it must."""

from __future__ import annotations

from typing import Any

import pytest

from audio_eval.models.backends import Limits
from audio_eval.models.hf.backend import HF
from audio_eval.models.policy import Training
from audio_eval.models.vllm.settings import VLLMSettings
from audio_eval.runlog import RunSpec
from audio_eval.runs import inputs
from audio_eval.runs.inputs import Loader


def spec(method: str, **args: Any) -> RunSpec:
    return RunSpec(model="tiny-omni", method=method, task="synth_aqa", method_args=args)


@pytest.mark.parametrize("heeds", [True, False])
def test_a_policy_is_loaded_for_the_training_that_follows(monkeypatch: pytest.MonkeyPatch, heeds: bool) -> None:
    seen: list[Training | None] = []

    def load(model: str, limits: Limits, *rest: object) -> object:
        seen.append(limits.training)
        return object()

    monkeypatch.setattr(inputs, "load_policy", load)
    monkeypatch.setattr(HF, "heeds_training", heeds, raising=False)
    loader = Loader()
    for one in (
        spec("direct"), spec("aqa_ttrl", lr=1e-3), spec("majority_vote"), spec("aqa_ttrl", steps=3),
        spec("aqa_ttrl", tune="full"),
    ):  # fmt: skip
        loader.policy(one)
    assert [t and (t.tune, t.lora_r) for t in seen] == ([None, ("lora", 16), ("full", 16)] if heeds else [None])


def test_vllm_leaves_room_for_the_trainer_and_takes_its_rank() -> None:
    lora, full = Training.model_validate({"lora_r": 32}), Training.model_validate({"tune": "full"})

    def decided(training: Training | None, **given: Any) -> tuple[float | None, int | None]:
        settings = VLLMSettings(**given).beside(training)
        return settings.gpu_memory_utilization, settings.lora_rank

    assert (decided(None), decided(lora), decided(full)) == ((0.9, 0), (0.4, 32), (0.25, 0))
    assert decided(lora, merge=True) == (0.4, 0)
    assert decided(lora, gpu_memory_utilization=0.6, lora_rank=64) == (0.6, 64)
