"""What a training is given by sizes: the estimate of activations is near what PyTorch keeps, and what a 3B gets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from audio_eval.models.hf.room import BUDGET, LEAST, MOST, activation_bytes, settled
from audio_eval.models.policy import Training
from tests.models.conftest import Built
from tests.models.test_dtype import half
from tests.models.training import both_ways, settings

GB = 10**9


@pytest.mark.parametrize("checkpointing", [False, True])
@both_ways
def test_the_estimate_is_near_what_is_kept(omni: Built, tune: str, checkpointing: bool) -> None:
    """Of a token more, in bfloat16; with checkpointing the layer that is computed again is not among what is kept."""
    training = settings(tune, checkpointing=checkpointing)
    policy = half(omni)
    policy.begin_training(training, 0)
    decoder, length = policy.checkpoint.language_model, 400
    weights = {p.untyped_storage().data_ptr() for p in policy.model.parameters()}

    def kept(rows: int) -> int:
        saved: dict[int, int] = {}
        alive: list[torch.Tensor] = []  # so that no storage is used twice

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            alive.append(tensor)
            place = tensor.untyped_storage().data_ptr()
            if place not in weights and length in (*tensor.shape[-2:], tensor.shape[0] // rows):
                saved[place] = tensor.untyped_storage().nbytes()
            return tensor

        for layer in decoder.layers:
            layer.training = checkpointing
        embeds = torch.randn(rows, length, decoder.config.hidden_size)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), policy._precision():
            decoder(inputs_embeds=embeds.requires_grad_(), use_cache=False)
        return sum(saved.values())

    measured = (kept(2) - kept(1)) / length
    estimate = activation_bytes(training, policy.checkpoint)
    if checkpointing:
        last = 8 * decoder.config.hidden_size
        all_layers = activation_bytes(settings(tune, checkpointing=False), policy.checkpoint) - last
        estimate -= all_layers / len(decoder.layers)
    assert measured == pytest.approx(estimate, rel=0.3), measured / estimate


def omni_3b(tune: str) -> tuple[Any, list[Any]]:
    """Qwen2.5-Omni-3B's sizes, and its parameters in training: 3.4 billion in float32, or 30 million of LoRA."""
    config = SimpleNamespace(hidden_size=2048, intermediate_size=11008, num_hidden_layers=36)
    trained = [SimpleNamespace(numel=lambda: 3.4 * GB if tune == "full" else 0.03 * GB)]
    weights = [SimpleNamespace(nbytes=15.0 * GB if tune == "full" else 8.1 * GB)]
    return SimpleNamespace(
        language_model=SimpleNamespace(config=config),
        model=SimpleNamespace(parameters=lambda: weights),
        head=SimpleNamespace(weight=torch.empty(151_936, 1, device="meta")),
    ), trained


@pytest.mark.parametrize(
    ("tune", "optimizer", "memory", "tokens"),
    [
        ("lora", "adamw", 24, 1024),
        ("lora", "adamw", 80, 10240),
        # 72 GB less weights (15), gradients and moments (41) and logits (1.9) are 14.3 GB; a token takes 467 kB
        ("full", "adamw", 80, 29696),
        ("full", "adamw_offloaded", 80, 65536),
        ("full", "adamw", 40, LEAST),  # does not fit anyway: memory runs out in the first step, and one line says so
    ],
)
def test_budgets_of_a_3b(tune: str, optimizer: str, memory: int, tokens: int) -> None:
    checkpoint, trained = omni_3b(tune)
    chosen = settled(Training.model_validate({"tune": tune, "optimizer": optimizer}), checkpoint, trained, memory * GB)
    assert chosen.checkpointing == (tune == "full")
    assert LEAST <= chosen.token_budget <= MOST and chosen.token_budget == tokens


def test_a_cpu_and_what_the_user_says_stay_as_they_were() -> None:
    checkpoint, trained = omni_3b("full")
    default = settled(Training.model_validate({"tune": "full"}), checkpoint, trained, None)
    assert (default.token_budget, default.checkpointing) == (BUDGET, False) and BUDGET == 16384
    given = Training.model_validate({"tune": "full", "token_budget": 7, "checkpointing": False})
    assert settled(given, checkpoint, trained, 80 * GB) == given, "as a spec.json of before has it"
