"""What can be said of the backend where vLLM is not installed: settings, prompts, and how a user is told."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from audio_eval.errors import UserError
from audio_eval.models.backends import choose, load_policy
from audio_eval.models.hf.checkpoint import without_weights
from audio_eval.models.hf.families import FAMILIES
from audio_eval.models.vllm.engine import Engine
from audio_eval.models.vllm.prompts import ask, check_prompt, request
from tests.models.checkpoints import build_qwen2_audio, question


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
def test_its_absence_is_said_in_one_line() -> None:
    with pytest.raises(UserError, match=r"vLLM is not installed\..*docs/vllm\.md") as caught:
        load_policy("tiny-omni", backend="vllm")
    assert "\n" not in str(caught.value)


def test_a_misspelt_setting_has_a_near_match() -> None:
    with pytest.raises(UserError, match="Did you mean 'tensor_parallel'"):
        choose("tiny-omni", "vllm", {"tensor_paralel": 2})


def test_a_prompt_has_one_placeholder_for_a_clip_and_the_samples(tmp_path: Path) -> None:
    build_qwen2_audio(tmp_path / "model")
    checkpoint = without_weights("model", tmp_path / "model")
    asked = ask(checkpoint, question(1, 0.5), "cut")
    made = request(checkpoint, asked, (7, 8))
    assert made["prompt_token_ids"].count(checkpoint.placeholder) == 1 and made["prompt_token_ids"][-2:] == [7, 8]
    [(samples, rate)] = made["multi_modal_data"]["audio"]
    assert (samples.shape, rate) == ((8000,), 16000)
    assert made["multi_modal_uuids"] == {"audio": [question(1, 0.5).audio.digest()]}


def test_where_vllm_fails_each_prompt_is_tried_once_more_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[list[str]] = []

    def run(self: Engine, prompts: list[str], settings: object) -> list[str]:
        tried.append(prompts)
        if "poison" in prompts:
            raise RuntimeError("CUDA error:\nan illegal memory access")
        return [prompt.upper() for prompt in prompts]

    monkeypatch.setattr(Engine, "_run", run)
    engine = Engine.__new__(Engine)
    engine._llm = SimpleNamespace(collective_rpc=lambda *args, **kwargs: None)
    assert engine.run(["a", "b"], {}) == ["A", "B"]
    failed = "vLLM failed at it (RuntimeError: CUDA error: an illegal memory access)"
    assert engine.run(["a", "poison", "b"], {}) == ["A", failed, "B"]
    assert tried == [["a", "b"], ["a", "poison", "b"], ["a"], ["poison"], ["b"]]


def test_another_prompt_than_ours_is_found_out() -> None:
    checkpoint = SimpleNamespace(placeholder=9, family=SimpleNamespace(name="Some model"))
    check_prompt(checkpoint, [1, 9, 2, 9, 3], [1, 9, 9, 9, 2, 9, 3])
    for used in ([1, 8, 9, 9, 2, 9, 3], [1, 9, 2, 3], [1, 9, 2, 9, 3, 3], [1, 9, 2, 9, 9]):
        with pytest.raises(UserError, match="another prompt of a question than Some model"):
            check_prompt(checkpoint, [1, 9, 2, 9, 3], used)


def test_names_of_weights_are_those_of_checkpoints() -> None:
    family = next(family for family in FAMILIES if family.name == "Qwen2-Audio")
    names = {
        "model.language_model.layers.0.mlp.up_proj.weight": "language_model.model.layers.0.mlp.up_proj.weight",
        "lm_head.weight": "language_model.lm_head.weight",
        "model.audio_tower.conv1.bias": "audio_tower.conv1.bias",
        "model.multi_modal_projector.linear.weight": "multi_modal_projector.linear.weight",
    }
    assert {name: family.vllm_weight(name) for name in names} == names
