"""Weights of a trainer: adapters and merged weights give hf's answers, and nothing of the old ones is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.models.backends import Limits, load_policy
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import ReadsTokens, Sampling, TakesWeights, Training
from tests.models.checkpoints import question
from tests.vllm.conftest import ARGS, Pair, needs_vllm

pytestmark = needs_vllm
ITEMS = [question(i, 0.5 + 0.4 * (i % 4)) for i in range(8)]
GREEDY = Sampling()


@pytest.fixture(autouse=True)
def as_it_was(pair: Pair) -> Iterator[None]:
    yield
    pair.vllm.drop_weights()


def another(pair: Pair) -> HFPolicy:
    """The checkpoint once more in hf, to be changed."""
    policy = load_policy(str(pair.folder), Limits(max_tokens=12))
    assert isinstance(policy, HFPolicy)
    return policy


def trained(pair: Pair, folder: Path, seed: int) -> list[Group]:
    """Adapters that change the answers, saved in ``folder``; hf's answers with them."""
    policy = another(pair)
    policy.begin_training(Training(), seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in policy.model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    policy.save(folder)
    return policy.generate(ITEMS, GREEDY)


def test_it_takes_weights(pair: Pair) -> None:
    assert isinstance(pair.vllm, TakesWeights) and isinstance(pair.vllm, ReadsTokens)
    assert pair.vllm.takes_adapters == (pair.kind == "flamingo")  # vLLM has no LoRA for Qwen2-Audio


def test_an_adapter_answers_as_in_peft_and_the_next_replaces_it(pair: Pair, tmp_path: Path) -> None:
    if not pair.vllm.takes_adapters:
        with pytest.raises(UserError, match="takes no adapters: vLLM has no LoRA for its class"):
            pair.vllm.take_adapter(tmp_path)
        return
    plain = pair.vllm.generate(ITEMS, GREEDY)
    for seed in (1, 2):
        ours = trained(pair, tmp_path, seed)  # into the same folder, as a trainer may
        pair.vllm.take_adapter(tmp_path / "vllm")
        assert pair.vllm.generate(ITEMS, GREEDY) == ours != plain
    pair.vllm.drop_weights()
    assert pair.vllm.generate(ITEMS, GREEDY) == plain == pair.hf.generate(ITEMS, GREEDY)


def test_an_adapter_under_other_names_is_refused(flamingo: Pair, tmp_path: Path) -> None:
    """vLLM itself takes it, and answers as without it."""
    trained(flamingo, tmp_path, 1)
    with pytest.raises(UserError, match=r"14 modules that vLLM's model has not, model\.language_model\.layers\.0"):
        flamingo.vllm.take_adapter(tmp_path)
    assert flamingo.vllm.generate(ITEMS, GREEDY) == flamingo.hf.generate(ITEMS, GREEDY)


def test_merged_weights_answer_as_in_hf_and_can_be_dropped(pair: Pair, tmp_path: Path) -> None:
    ours = trained(pair, tmp_path, 3)
    merged = load_policy(str(pair.folder), adapter=str(tmp_path))
    assert isinstance(merged, HFPolicy)
    family = merged.checkpoint.family
    weights = {name: p for name, p in merged.model.named_parameters() if family.is_trained(name, False)}
    plain = pair.vllm.generate(ITEMS, GREEDY)
    pair.vllm.take_weights(weights, tower_changed=False)
    assert pair.vllm.generate(ITEMS, GREEDY) == ours != plain
    pair.vllm.drop_weights()
    assert pair.vllm.generate(ITEMS, GREEDY) == plain


def test_weights_of_an_incomplete_layer_or_unknown_name_are_refused(pair: Pair) -> None:
    own = dict(pair.hf.model.named_parameters())
    half = next(name for name in own if name.endswith("q_proj.weight") and "language_model" in name)
    with pytest.raises(UserError, match="parameters of a layer come together"):
        pair.vllm.take_weights({half: own[half]}, tower_changed=False)
    with pytest.raises(UserError, match="no place for"):
        pair.vllm.take_weights({"model.language_model.layers.7.weight": own[half]}, tower_changed=False)
    pair.vllm.drop_weights()
    assert pair.vllm.generate(ITEMS, GREEDY) == pair.hf.generate(ITEMS, GREEDY)


def test_a_trained_tower_needs_the_encoder_cache_emptied(pair: Pair) -> None:
    """vLLM does not do so itself: without it the clips sound as they did to the old tower."""
    changed = another(pair)
    tower = {
        name: p
        for name, p in changed.model.named_parameters()
        if "language_model" not in name and "lm_head" not in name
    }
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in tower.values():
            parameter.mul_(1 + 0.5 * torch.randn(parameter.shape, generator=generator))
    ours, before = changed.generate(ITEMS, GREEDY), pair.vllm.generate(ITEMS, GREEDY)
    pair.vllm.take_weights(tower, tower_changed=False)
    stale = pair.vllm.generate(ITEMS, GREEDY)
    assert stale == before != ours
    pair.vllm.take_weights(tower, tower_changed=True)
    assert pair.vllm.generate(ITEMS, GREEDY) == ours


def test_an_adapter_of_the_command_line_is_merged(pair: Pair, tmp_path: Path) -> None:
    ours = trained(pair, tmp_path / "trained", 4)
    policy = load_policy(str(pair.folder), Limits(max_tokens=12), "vllm", ARGS, str(tmp_path / "trained"))
    hf = load_policy(str(pair.folder), Limits(max_tokens=12), adapter=str(tmp_path / "trained"))
    assert policy.generate(ITEMS, GREEDY) == hf.generate(ITEMS, GREEDY) == ours
    assert (policy.info.name, policy.info.revision) == (hf.info.name, hf.info.revision)
    policy.drop_weights()
    assert policy.generate(ITEMS, GREEDY) == ours
