"""Adapters that belong to a model: Granite Speech's beside the weights, Phi-4-multimodal's in speech-lora."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    GraniteForCausalLM,
    GraniteSpeechForConditionalGeneration,
    Phi4MultimodalForCausalLM,
)

from audio_eval.errors import UserError
from audio_eval.models.backends import load_policy
from audio_eval.models.hf.files import check_files, digests
from audio_eval.models.policy import Sampling
from tests.models.checkpoints import build_qwen2_audio, question
from tests.models.families.case import Case
from tests.models.families.checks import TOLERANCE, Built
from tests.models.families.granite_speech import GRANITE_SPEECH, GRANITE_SPEECH_PLUS, SCALING
from tests.models.families.phi4_multimodal import PHI4_MULTIMODAL

LORA = {"Granite Speech": "adapter_model.safetensors", "Phi-4-multimodal": "speech-lora/adapter_model.safetensors"}


def theirs(built: Built, active: bool) -> Any:
    """The model as transformers loads it, its adapter not merged but active, or switched off."""
    model: Any
    if built.case is GRANITE_SPEECH:
        model = GraniteSpeechForConditionalGeneration.from_pretrained(built.folder)
    else:
        model = Phi4MultimodalForCausalLM.from_pretrained(built.folder)
        model.load_adapter(str(built.folder / "speech-lora"), adapter_name="speech")
        model.set_adapter("speech")
    if not active:
        model.disable_adapters()
    return model.eval()


def built_once(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("family") / "checkpoint"
    case.build(folder)
    return Built(case, folder)


@pytest.fixture(scope="module", params=[GRANITE_SPEECH, PHI4_MULTIMODAL], ids=lambda case: case.name)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built_once(request.param, tmp_path_factory)


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[Built], Path]:
    """A checkpoint folder that the test may damage."""
    return lambda built: Path(shutil.copytree(built.folder, tmp_path / "copy"))


def one_line(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_policy(str(folder))
    message = str(caught.value)
    assert message and "\n" not in message
    return message


def test_merged_is_active(built: Built) -> None:
    """The logits are those of transformers with the adapter beside the weights, and not those without it."""
    asked = question(1, 1.0)
    ours = built.ours(built.policy, asked)
    given = built.case.inputs(built.policy, built.folder, asked)
    with torch.no_grad():
        active, inactive = (theirs(built, on)(**given).logits[0] / built.case.divisor for on in (True, False))
    torch.testing.assert_close(ours, active, **TOLERANCE)
    assert float((ours - inactive).abs().max()) > 0.1
    assert not hasattr(built.policy.model, "peft_config")


def test_no_recording_no_adapter(built: Built) -> None:
    """Such a question would be answered without the adapter, which is in the weights: it is refused by name."""
    refused, answered = built.policy.generate([question(3), question(1, 0.4)], Sampling(max_tokens=2))
    assert not refused.completions and f"no recording: {built.case.name} answers such" in (refused.error or "")
    assert answered.error is None and answered.completions
    assert built.policy.prompt_length(question(1, 0.4)).audio > 0


def test_without_an_adapter_of_its_own_it_answers(tmp_path_factory: pytest.TempPathFactory) -> None:
    plus = built_once(GRANITE_SPEECH_PLUS, tmp_path_factory)
    [group] = plus.policy.generate([question(3)], Sampling(max_tokens=2))
    assert group.error is None and group.completions


def test_granites_logits_are_divided(built: Built) -> None:
    """As GraniteForCausalLM does it, of which transformers' speech class used to be a user and no longer is."""
    if built.case is not GRANITE_SPEECH:
        pytest.skip("Phi-4-multimodal scales nothing")
    checkpoint = built.policy.checkpoint
    granite = GraniteForCausalLM(checkpoint.model.config.text_config).eval()
    granite.model.load_state_dict(checkpoint.language_model.state_dict())
    granite.tie_weights()
    ids = torch.arange(10, 30)[None]  # no placeholder among them
    with torch.no_grad():
        want = granite(ids).logits
        got = checkpoint.head(checkpoint.language_model(input_ids=ids).last_hidden_state)
        torch.testing.assert_close(got, want)
        torch.testing.assert_close(checkpoint.model(ids).logits, want * SCALING)


def test_its_contents_are_part_of_the_revision(built: Built, copy: Callable[[Built], Path]) -> None:
    folder = copy(built)
    file = LORA[built.case.name]
    assert {file, file.replace("model.safetensors", "config.json")} <= digests(folder).keys()
    tensors = load_file(folder / file)
    save_file({name: tensor * 2 for name, tensor in tensors.items()}, folder / file)
    changed = load_policy(str(folder))
    assert changed.info.revision != built.policy.info.revision
    assert changed.checkpoint.weights != built.policy.checkpoint.weights  # type: ignore[attr-defined]
    assert changed.model.name_or_path == str(folder), "the base that a trained adapter names"  # type: ignore[attr-defined]


def test_it_is_missing_or_does_not_fit(built: Built, copy: Callable[[Built], Path]) -> None:
    folder = copy(built)
    file = folder / LORA[built.case.name]
    tensors = load_file(file)
    name = sorted(tensors)[0]
    save_file({n: t for n, t in tensors.items() if n != name}, file)
    assert "adapter do not fit the model" in one_line(folder)
    save_file(tensors | {name.replace("layers.0", "layers.7"): tensors[name].clone()}, file)
    assert "adapter do not fit the model" in one_line(folder)
    shutil.rmtree(file.parent) if file.parent != folder else file.unlink()
    assert f"{LORA[built.case.name].partition('/')[0]} is missing" in one_line(folder)


def test_no_other_family_gets_one(tmp_path: Path) -> None:
    """transformers would attach it, whatever the configuration says."""
    folder = tmp_path / "model"
    build_qwen2_audio(folder)
    save_file({"base_model.model.x.lora_A.weight": torch.zeros(1)}, folder / "adapter_model.safetensors")
    with pytest.raises(UserError, match="holds an adapter"):
        check_files("model", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"has_lora_adapter": True}))
    assert "Qwen2-Audio has none of its own" in one_line(folder)


def test_fully_tuned_weights_beside_granite_are_refused(built: Built, copy: Callable[[Built], Path]) -> None:
    folder = copy(built)
    save_file({"lm_head.weight": torch.zeros(1)}, folder / "adapter_full.safetensors")
    assert "holds an adapter" in one_line(folder)


def test_phi4s_own_code_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "phi4mm"}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert "--model microsoft/Phi-4-multimodal-instruct@refs/pr/70" in one_line(tmp_path)
