"""Settings that methods which train share. A method's Config inherits from the class whose fields it needs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from audio_eval.models.policy import Training
from audio_eval.rl.monitors import parse_rule

Criterion = Literal["identical_outputs", "zero_reward_std"]

# The preset "small", which a named model asks for. The values were chosen on synth_aqa:validation for a model of
# 1.6 M parameters (bench/sweep.py sweeps around them); these learning rates would ruin a large model.
SMALL_MODEL: dict[str, Any] = {"tune": "full", "lr": 3e-4, "batch_size": 16}
SMALL_MODEL_STEPS: dict[str, Any] = {**SMALL_MODEL, "steps": 100}


class Updates(Training):
    """Settings of the weight updates and of when to stop them."""

    stop_when: str | None = Field(
        None, description="stop early once a metric of what steps sample meets this rule: majority_ratio>0.99 for 10"
    )

    @field_validator("stop_when")
    @classmethod
    def _is_a_rule(cls, value: str | None) -> str | None:
        parse_rule(value)
        return value


class Steps(Updates):
    """Settings of a fixed number of steps with rollouts."""

    steps: int = Field(100, ge=0, description="training steps; the model after the last one is scored")
    batch_size: int = Field(8, ge=1, description="questions per step")
    group_size: int = Field(4, ge=2, description="rollouts per question (G)")


class Rollouts(Steps):
    """Settings of steps that may sample a group again when it has no contrast."""

    max_attempts: int = Field(1, ge=1, description="times a question's rollouts are sampled at most in a step")
    criterion: Criterion = Field(
        "identical_outputs",
        description="when rollouts are sampled again: all texts are the same, or all rewards are the same",
    )
