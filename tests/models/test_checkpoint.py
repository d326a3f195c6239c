"""Loading: the hub's layouts through the path of a real checkpoint, what is never read, and mistakes in one line."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub.errors import HTTPError
from safetensors import safe_open
from transformers import Qwen2AudioProcessor

from audio_eval.errors import UserError
from audio_eval.models.backends import load_policy
from audio_eval.models.hf import checkpoint
from audio_eval.models.hf.families.qwen2_audio import CHAT_TEMPLATE
from audio_eval.models.policy import Policy, Sampling, TrainablePolicy
from tests.models.checkpoints import CLASSES, QWEN2_AUDIO_TEMPLATE, TEXT_ONLY_TEMPLATE, question
from tests.models.conftest import Built

_opened: list[str] | None = None


def _note(event: str, args: tuple[Any, ...]) -> None:
    if _opened is not None and event in ("open", "os.open"):
        _opened.append(str(args[0]))


sys.addaudithook(_note)  # an audit hook cannot be taken back: it listens only while a test asks it to


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """Every path that Python opens during the test."""
    global _opened  # noqa: PLW0603
    _opened = []
    yield _opened
    _opened = None


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[Built], Path]:
    """A checkpoint folder that the test may damage."""
    return lambda built: Path(shutil.copytree(built.folder, tmp_path / built.kind))


def one_line(model: str) -> str:
    with pytest.raises(UserError) as caught:
        load_policy(model)
    message = str(caught.value)
    assert "\n" not in message and message
    return message


def test_the_weights_are_the_sources_bit_for_bit(built: Built) -> None:
    policy = built.policy()
    assert isinstance(policy, Policy) and isinstance(policy, TrainablePolicy)
    loaded = policy.model.state_dict()
    assert loaded.keys() == built.weights.keys()
    for name, tensor in built.weights.items():
        assert torch.equal(loaded[name], tensor), name
    assert not any(parameter.requires_grad for parameter in policy.model.parameters())
    assert not policy.model.training


def test_the_layout_is_the_hubs(omni: Built, qwen2_audio: Built) -> None:
    """What these tests load looks like what they stand for."""
    config = json.loads((omni.folder / "config.json").read_text())
    assert config["model_type"] == "qwen2_5_omni"
    assert {"thinker_config", "talker_config", "token2wav_config"} <= config.keys()
    index = json.loads((omni.folder / "model.safetensors.index.json").read_text())["weight_map"]
    assert len(set(index.values())) >= 3
    assert {name.split(".")[0] for name in index} == {"thinker", "talker", "token2wav"}
    for name in (
        "thinker.audio_tower.layers.0.self_attn.q_proj.weight", "thinker.visual.blocks.0.attn.q.weight",
        "thinker.model.layers.0.self_attn.q_proj.weight", "thinker.model.embed_tokens.weight", "thinker.lm_head.weight",
    ):  # fmt: skip
        assert name in index
    index = json.loads((qwen2_audio.folder / "model.safetensors.index.json").read_text())["weight_map"]
    for name in (
        "language_model.model.layers.0.self_attn.q_proj.weight", "language_model.lm_head.weight",
        "audio_tower.conv1.weight", "multi_modal_projector.linear.weight",
    ):  # fmt: skip
        assert name in index


def test_spk_dict_is_never_opened(omni: Built, opened: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("torch.load was called")

    monkeypatch.setattr(torch, "load", refuse)
    assert (omni.folder / "spk_dict.pt").is_file()
    load_policy(str(omni.folder)).generate([question(0, 0.5)], Sampling(max_tokens=2))
    assert any(path.endswith("config.json") for path in opened), "the hook must see what is opened"
    assert not [path for path in opened if path.endswith((".pt", ".bin", ".pth"))]


def test_only_the_thinkers_tensors_are_read(omni: Built, tensors_read: list[str]) -> None:
    """And of these no weight of the vision tower."""
    load_policy(str(omni.folder))
    index = json.loads((omni.folder / "model.safetensors.index.json").read_text())["weight_map"]
    thinkers = {name for name in index if name.startswith("thinker.")}
    assert any(".visual." in name for name in thinkers)
    assert sorted(tensors_read) == sorted(name for name in thinkers if ".visual." not in name)


def test_a_thinker_alone_loads_too(omni: Built, tmp_path: Path) -> None:
    """The layout that ``save_pretrained`` of the thinker writes (tiny-omni's own)."""
    folder = tmp_path / "thinker"
    policy = omni.policy()
    CLASSES["omni"].from_pretrained(omni.folder, config=policy.model.config).save_pretrained(folder)
    for name in ("preprocessor_config.json", "chat_template.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(omni.folder / name, folder / name)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "qwen2_5_omni_thinker"
    alone = load_policy(str(folder))
    asked = [question(1, 0.6)]
    assert alone.generate(asked, Sampling(max_tokens=8)) == policy.generate(asked, Sampling(max_tokens=8))


def test_every_end_token_counts(built: Built) -> None:
    """Qwen2-Audio's generation config lists two, Omni's none: there it is the tokenizer's."""
    policy = built.policy()
    ends = {"<|im_end|>"} if built.kind == "omni" else {"<|im_end|>", "<|endoftext|>"}
    assert policy._end_ids == {policy.tokenizer.convert_tokens_to_ids(token) for token in ends}


def test_the_revision_tells_checkpoints_apart(built: Built, copy: Callable[[Built], Path]) -> None:
    folder = copy(built)
    assert load_policy(str(folder)).info.revision == built.policy().info.revision
    shard = sorted(folder.glob("*.safetensors"))[0]
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    assert load_policy(str(folder)).info.revision != built.policy().info.revision


# --- chat template -------------------------------------------------------------------------------------------------


def test_the_template_may_stand_in_either_file(built: Built, copy: Callable[[Built], Path]) -> None:
    folder = copy(built)
    template = json.loads((folder / "chat_template.json").read_text())["chat_template"]
    (folder / "chat_template.json").unlink()
    (folder / "chat_template.jinja").write_text(template)
    asked = [question(2, 0.5)]
    want = built.policy().generate(asked, Sampling(max_tokens=8))
    assert load_policy(str(folder)).generate(asked, Sampling(max_tokens=8)) == want


def test_a_language_models_template_is_not_used(built: Built, copy: Callable[[Built], Path]) -> None:
    """tokenizer_config.json may hold one; it knows no audio."""
    folder = copy(built)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": TEXT_ONLY_TEMPLATE}))
    asked = [question(2, 0.5)]
    want = built.policy().generate(asked, Sampling(max_tokens=8))
    assert load_policy(str(folder)).generate(asked, Sampling(max_tokens=8)) == want
    (folder / "chat_template.json").unlink()
    if built.kind == "omni":
        assert "no chat template" in one_line(str(folder))
    else:
        assert load_policy(str(folder)).generate(asked, Sampling(max_tokens=8)) == want


def test_qwen2_audios_template_is_the_processors(qwen2_audio: Built) -> None:
    tokenizer = qwen2_audio.policy().tokenizer
    theirs = Qwen2AudioProcessor.default_chat_template.fget(None)
    turns = [
        {"role": "user", "content": [{"type": "audio", "audio_url": ""}, {"type": "text", "text": "What {is} it?"}]},
        {"role": "assistant", "content": "A bell."},
        {"role": "user", "content": [{"type": "text", "text": "Sure?"}]},
    ]
    for turn in (turns, turns[:1], [{"role": "system", "content": "Be brief."}, *turns]):
        wanted = tokenizer.apply_chat_template(turn, chat_template=theirs, tokenize=False, add_generation_prompt=True)
        for ours in (CHAT_TEMPLATE, QWEN2_AUDIO_TEMPLATE):
            # after a plain string the processor's template ends the turn, as ours does
            got = tokenizer.apply_chat_template(turn, chat_template=ours, tokenize=False, add_generation_prompt=True)
            assert got == wanted


# --- mistakes ------------------------------------------------------------------------------------------------------


def test_an_unknown_model_type(built: Built, copy: Callable[[Built], Path]) -> None:
    folder = copy(built)
    (folder / "config.json").write_text(json.dumps({"model_type": "whisper"}))
    message = one_line(str(folder))
    assert "'whisper'" in message and "qwen2_5_omni" in message and "qwen2_audio" in message
    (folder / "config.json").write_text("{}")
    one_line(str(folder))


def test_a_folder_without_a_config(tmp_path: Path) -> None:
    assert "config.json" in one_line(str(tmp_path))


def test_missing_weights(built: Built, copy: Callable[[Built], Path]) -> None:
    folder = copy(built)
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    name = next(n for n in content["weight_map"] if n.endswith("lm_head.weight"))
    file = content["weight_map"].pop(name)
    index.write_text(json.dumps(content))
    tensors = {}
    with safe_open(folder / file, framework="pt") as shard:
        tensors = {key: shard.get_tensor(key) for key in shard.keys() if key != name}  # noqa: SIM118
    checkpoint_file = folder / file
    checkpoint_file.unlink()
    from safetensors.torch import save_file

    save_file(tensors, checkpoint_file, {"format": "pt"})
    assert "lm_head.weight" in one_line(str(folder))


def test_a_missing_shard(built: Built, copy: Callable[[Built], Path]) -> None:
    folder = copy(built)
    next(folder.glob("model-00002-*")).unlink()
    one_line(str(folder))


def test_no_weights_at_all(built: Built, copy: Callable[[Built], Path]) -> None:
    folder = copy(built)
    for file in folder.glob("model*"):
        file.unlink()
    one_line(str(folder))


def test_a_truncated_shard(built: Built, copy: Callable[[Built], Path]) -> None:
    folder = copy(built)
    shard = next(folder.glob("model-00001-*"))
    shard.write_bytes(shard.read_bytes()[:-100])
    one_line(str(folder))


def test_a_broken_config(built: Built, copy: Callable[[Built], Path]) -> None:
    folder = copy(built)
    (folder / "config.json").write_text('{"model_type": ')
    one_line(str(folder))


@pytest.mark.parametrize("missing", ["preprocessor_config.json", "tokenizer.json"])
def test_a_missing_file(built: Built, copy: Callable[[Built], Path], missing: str) -> None:
    folder = copy(built)
    (folder / missing).unlink()
    one_line(str(folder))


def test_no_chat_template(omni: Built, copy: Callable[[Built], Path]) -> None:
    folder = copy(omni)
    (folder / "chat_template.json").unlink()
    assert "no chat template" in one_line(str(folder))


@pytest.mark.parametrize(
    "error", [OSError("no route"), ValueError("offline"), ConnectionError("refused"), HTTPError("no proxy")]
)
def test_a_hub_that_cannot_be_reached(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def refuse(source: str, **settings: object) -> str:
        asked.append(settings["allow_patterns"])
        raise error

    monkeypatch.setattr(checkpoint, "snapshot_download", refuse)
    message = one_line("Qwen/Qwen2.5-Omni-3B")
    assert "Qwen/Qwen2.5-Omni-3B" in message and "--model path/to/folder" in message
    assert asked and not any(pattern.endswith((".pt", ".bin", "*")) for pattern in asked[0])  # type: ignore[attr-defined]


def test_offline_mode_of_the_hub_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The hub client's own errors, without any network."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert "--model path/to/folder" in one_line("nobody/nothing-of-this-name")


@pytest.mark.parametrize("name", ["not a repo/na me", "a/b/c/d", "../nowhere/at/all", "nobody/"])
def test_a_name_that_no_hub_has(name: str) -> None:
    """No network is asked: the client refuses these names by their form."""
    assert name in one_line(name)
