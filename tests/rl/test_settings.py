"""Defaults of the training settings that depend on each other."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field

from audio_eval.plugins import registered
from audio_eval.registry import method_class
from audio_eval.rl.settings import Updates

TRAINED = sorted(name for name in registered("methods") if method_class(name).trains)


@pytest.mark.parametrize("name", TRAINED)
def test_adapters_learn_at_a_rate_of_their_own(name: str) -> None:
    """The sources' rates are for full fine-tuning; adapters need more."""
    config: Any = method_class(name).Config
    full = {"ttrl": 5e-7, "op_ttrl": 2e-6}.get(name, 1e-6)
    assert (config().tune, config().lr) == ("lora", 1e-5) and config(tune="full").lr == full
    for tune in ("lora", "full"):
        assert config(tune=tune, lr=3e-3).lr == 3e-3
        assert config(**config(tune=tune).model_dump()) == config(tune=tune), "as spec.json has it"


def test_a_method_with_a_rate_of_its_own_keeps_it() -> None:
    class Own(Updates):
        lr: float = Field(0.125, description="")

    assert Own().lr == Own(tune="full").lr == 0.125


def test_ttrl_has_an_update_for_each_question() -> None:
    """Eight of them a step, as its scripts have; its baseline in the AQA-TTRL paper has one."""
    cls: Any = method_class("ttrl")
    assert (cls.Config().batch_size, cls.Config().mini_batch) == (8, 1)
    for preset in ("g_mv", "small"):
        assert cls.Config(**cls.presets[preset]).mini_batch is None
