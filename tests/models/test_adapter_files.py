"""Adapters on the disk: peft, vLLM and a fresh policy read them."""

from __future__ import annotations

import json
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file

from audio_eval.models.hf.policy import HFPolicy
from tests.models.checkpoints import CLASSES, TOWERS_BESIDE, model_inputs, question
from tests.models.conftest import Built
from tests.models.training import advantages_of, both_ways, groups_of, settings, started

SEVEN = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


@pytest.fixture
def adapter(built: Built, tmp_path: Path) -> tuple[HFPolicy, Path]:
    policy = started(built, settings())
    groups = groups_of(policy)
    policy.train_step(groups, advantages_of(groups))
    policy.save(tmp_path / "saved")
    return policy, tmp_path / "saved"


def test_peft_reads_the_adapter(built: Built, adapter: tuple[HFPolicy, Path]) -> None:
    policy, folder = adapter
    if TOWERS_BESIDE and built.kind == "omni":
        pytest.skip("adapters have the names that transformers' class has from 5.21 on")
    names = set(load_file(folder / "adapter_model.safetensors"))
    assert names and all(n.startswith("base_model.model.model.language_model.layers.") for n in names)
    assert {n.split(".lora_")[0].split(".")[-1] for n in names} == SEVEN
    fresh = built.policy()
    inputs = model_inputs(built.kind, policy.tokenizer, policy.encoder.checkpoint.extractor, question(6, 0.8))
    with torch.no_grad():
        unadapted = fresh.model(**inputs).logits
        # a model that has never met this package: transformers' class from the folder, peft's loader from the adapter
        plain = CLASSES[built.kind].from_pretrained(built.folder, config=fresh.model.config).eval()
        theirs = peft.PeftModel.from_pretrained(plain, folder).eval()(**inputs).logits
        ours = policy.model(**inputs).logits
    assert torch.equal(theirs, ours)
    assert not torch.allclose(unadapted, ours, atol=1e-3)


def test_vllms_copy_has_vllms_names(adapter: tuple[HFPolicy, Path]) -> None:
    _, folder = adapter
    own, vllm = (load_file(place / "adapter_model.safetensors") for place in (folder, folder / "vllm"))
    assert all(n.startswith("base_model.model.language_model.model.layers.") for n in vllm)
    assert {n.replace("language_model.model.", "model.language_model.") for n in vllm} == own.keys()
    for name, tensor in vllm.items():
        assert torch.equal(own[name.replace("language_model.model.", "model.language_model.")], tensor)
    config = json.loads((folder / "vllm" / "adapter_config.json").read_text())
    assert set(config["target_modules"]) == SEVEN
    assert config["r"] == 4 and config["lora_alpha"] == 8 and config["peft_type"] == "LORA"
    assert peft.PeftConfig.from_pretrained(str(folder / "vllm")).peft_type == "LORA"


@both_ways
def test_an_adapter_is_read_back_by_a_fresh_policy(built: Built, tune: str, tmp_path: Path) -> None:
    """What scoring in another process does: no optimizer step follows."""
    training = settings(tune, lr=3e-2)
    policy = built.policy()
    policy.begin_training(training, seed=1)
    groups = groups_of(policy)
    policy.train_step(groups, advantages_of(groups))
    policy.save(tmp_path)
    fresh = built.policy()
    before = groups_of(fresh)
    fresh.begin_training(training, seed=0)
    fresh.load(tmp_path)
    assert groups_of(fresh) == groups_of(policy) != before
