"""``--adapter``: trained weights are merged into the model they were trained from, and into no other."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from audio_eval.errors import UserError
from audio_eval.models.backends import load_policy
from audio_eval.models.hf.policy import HFPolicy
from tests.models.conftest import Built
from tests.models.training import advantages_of, both_ways, groups_of, settings

LORA, FULL = "adapter_model.safetensors", "adapter_full.safetensors"


def trained(built: Built, folder: Path, tune: str = "lora", **more: Any) -> HFPolicy:
    policy = built.policy()
    policy.begin_training(settings(tune, lr=3e-2, **more), seed=1)
    groups = groups_of(policy)
    policy.train_step(groups, advantages_of(groups))
    policy.save(folder)
    return policy


def loaded(built: Built, adapter: Path) -> HFPolicy:
    policy = load_policy(str(built.folder), adapter=str(adapter))
    assert isinstance(policy, HFPolicy)
    return policy


def refused(built: Built, adapter: Path) -> str:
    with pytest.raises(UserError) as caught:
        loaded(built, adapter)
    assert "\n" not in str(caught.value) and "--adapter" in str(caught.value)
    return str(caught.value)


@both_ways
def test_it_answers_as_the_policy_that_was_trained(built: Built, tune: str, tmp_path: Path) -> None:
    policy = trained(built, tmp_path / "mine", tune)
    merged, plain = loaded(built, tmp_path / "mine"), built.policy()
    assert groups_of(merged) == groups_of(policy) != groups_of(plain)
    assert merged.info.name == f"{built.kind}+mine"
    assert merged.info.revision.startswith(f"{plain.info.revision}+") and len(merged.info.revision) > 24
    assert not any(parameter.requires_grad for parameter in merged.model.parameters())
    assert not any("lora" in name for name, _ in merged.model.named_parameters())


@both_ways
def test_training_goes_on_from_it_and_reset_comes_back_to_it(built: Built, tune: str, tmp_path: Path) -> None:
    trained(built, tmp_path / "first")
    policy = loaded(built, tmp_path / "first")
    start = {name: tensor.clone() for name, tensor in policy.model.state_dict().items()}
    before = groups_of(policy)
    policy.begin_training(settings(tune, lr=3e-2), seed=2)
    assert groups_of(policy) == before, "new adapters change nothing before the first step"
    policy.train_step(before, advantages_of(before))
    assert groups_of(policy) != before
    policy.reset()
    assert all(torch.equal(policy.model.state_dict()[name], tensor) for name, tensor in start.items())


def test_a_run_directory_and_its_parts_will_do(omni: Built, tmp_path: Path) -> None:
    run = tmp_path / "my-run"
    trained(omni, run / "adapt" / "step-000012")
    (run / "adapt" / "step-000020.tmp").mkdir()
    (run / "adapt" / "step-000020.tmp" / LORA).write_bytes(b"left by a kill")
    found = [loaded(omni, run / part).info for part in ("", "adapt", "adapt/step-000012")]
    assert len(set(found)) == 1 and found[0].name == "omni+my-run"


def test_it_is_not_applied_to_another_model(omni: Built, tmp_path: Path) -> None:
    """Of the same shapes: only the weights tell that the adapter is not theirs."""
    trained(omni, tmp_path / "mine")
    other = Built("omni", tmp_path / "other", {})
    shutil.copytree(omni.folder, other.folder)
    assert loaded(other, tmp_path / "mine"), "a copy of the same weights is the same model"
    shard = next(other.folder.glob("model-00001-*"))
    tensors = load_file(shard)
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, shard, {"format": "pt"})
    assert "was trained from weights" in refused(other, tmp_path / "mine")


def _edit(change: Callable[[dict[str, Any], dict[str, torch.Tensor]], object], folder: Path) -> None:
    """Change adapter_config.json and the tensors; the note of the base model is lost, as in an adapter of peft's."""
    config, tensors = json.loads((folder / "adapter_config.json").read_text()), load_file(folder / LORA)
    change(config, tensors)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file(tensors, folder / LORA)


def _rename(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    tensors["base_model.model.model.other.lora_A.weight"] = tensors.pop(next(iter(tensors)))


def _drop(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    tensors.pop(next(iter(tensors)))


def _reshape(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    name = next(iter(tensors))
    tensors[name] = tensors[name][:, :-1].contiguous()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda config, tensors: config.update(base_model_name_or_path="Qwen/Qwen2.5-Omni-7B"), "Qwen2.5-Omni-7B"),
        (lambda config, tensors: config.update(peft_type="IA3"), "peft_type is IA3"),
        (lambda config, tensors: config.update(target_modules=["nothing_of_this_name"]), "nothing_of_this_name"),
        (lambda config, tensors: config.update(r=2), "the model's is"),
        (_rename, "unknown to the model, base_model.model.model.other.lora_A.weight first"),
        (_drop, "lacks 1 parameters"),
        (_reshape, "the model's is"),
        (lambda config, tensors: tensors.clear(), "0 of its 0"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(change: Any, says: str, omni: Built, tmp_path: Path) -> None:
    trained(omni, tmp_path / "mine")
    _edit(change, tmp_path / "mine")
    assert says in refused(omni, tmp_path / "mine")


def test_an_adapter_of_peft_that_fits_is_taken(omni: Built, tmp_path: Path) -> None:
    policy = trained(omni, tmp_path / "mine")
    _edit(lambda config, tensors: config.update(base_model_name_or_path="someone/omni"), tmp_path / "mine")
    assert groups_of(loaded(omni, tmp_path / "mine")) == groups_of(policy)


def test_full_weights_of_another_model(omni: Built, tmp_path: Path) -> None:
    trained(omni, tmp_path / "mine", "full")
    tensors = load_file(tmp_path / "mine" / FULL)
    save_file({**tensors, "model.other.weight": torch.zeros(2)}, tmp_path / "mine" / FULL)
    assert "model.other.weight first" in refused(omni, tmp_path / "mine")
    name = next(iter(tensors))
    save_file({name: tensors[name][:-1].contiguous()}, tmp_path / "mine" / FULL)
    assert "the model's is" in refused(omni, tmp_path / "mine")


def test_what_is_no_adapter(omni: Built, tmp_path: Path) -> None:
    assert "holds neither" in refused(omni, tmp_path / "nowhere")
    (tmp_path / "adapter_model.bin").write_bytes(b"a pickle")
    assert "adapter_model.bin is a pickle, which is never read" in refused(omni, tmp_path)
    (tmp_path / LORA).write_bytes(b"no safetensors")
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "cannot be read" in refused(omni, tmp_path)
    (tmp_path / "adapter_config.json").unlink()
    trained(omni, tmp_path / "mine")
    (tmp_path / "mine" / "adapter_config.json").unlink()
    assert "adapter_config.json" in refused(omni, tmp_path / "mine")


# --- a checkpoint's folder that is not only a checkpoint -------------------------------------------------------------


@pytest.fixture
def copy(omni: Built, tmp_path: Path) -> Path:
    return Path(shutil.copytree(omni.folder, tmp_path / "copy"))


def one_line(model: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_policy(str(model))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_adapter_beside_the_model_is_never_attached_unasked(omni: Built, copy: Path, tmp_path: Path) -> None:
    trained(omni, tmp_path / "mine")
    for name in (LORA, "adapter_config.json"):
        shutil.copy(tmp_path / "mine" / name, copy)
        assert "--adapter FOLDER" in one_line(copy) and name in one_line(copy)
        (copy / name).unlink()
    assert load_policy(str(copy))


def test_an_adapter_alone_is_no_model(omni: Built, tmp_path: Path) -> None:
    trained(omni, tmp_path / "mine")
    assert "--model BASE --adapter" in one_line(tmp_path / "mine")


def test_a_pickled_checkpoint_is_not_read(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("torch.load was called")

    monkeypatch.setattr(torch, "load", refuse)
    weights: dict[str, torch.Tensor] = {}
    for shard in sorted(copy.glob("model*.safetensors")):
        weights |= load_file(shard)
        shard.unlink()
    (copy / "model.safetensors.index.json").unlink()
    torch.save(weights, copy / "pytorch_model.bin")
    assert "pytorch_model.bin is a pickle" in one_line(copy)
    save_file({"unrelated": torch.zeros(1)}, copy / "optimizer.safetensors", {"format": "pt"})
    one_line(copy)  # transformers, too, is told to read nothing else


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that trained is scored again as a model of its own; a mistake leaves nothing behind."""
    from audio_eval.cli.main import main

    runs = tmp_path / "runs"
    ask = ["--model", "tiny-omni", "--tasks", "synth_aqa:validation", "--limit", "4", "--output", str(runs)]
    args = "votes=4,steps=1,batch_size=4,tune=lora,lr=0.01"
    assert main([*ask, "--method", "aqa_ttrl", "--method-args", args]) == 0
    (run,) = runs.iterdir()
    assert main([*ask, "--method", "direct", "--adapter", str(run)]) == 0
    (scored,) = [folder for folder in runs.iterdir() if folder != run]
    assert re.fullmatch(rf"tiny-omni-{re.escape(run.name)}_[0-9a-f]{{6}}-direct-.*", scored.name)
    said = [[json.loads(line)["response"] for line in (f / "responses.jsonl").open()] for f in (run, scored)]
    assert said[0] == said[1]
    row = json.loads((scored / "result.json").read_text())["audio_eval"]
    assert row["model"] == f"tiny-omni+{run.name}" and "+" in row["model_revision"]
    files = dict(json.loads((scored / "identity.json").read_text())["model"])
    assert f"adapter/{LORA}" in files and "model.safetensors" in files
    capsys.readouterr()
    assert main([*ask, "--method", "direct", "--adapter", str(tmp_path / "nowhere")]) == 1
    assert "--adapter" in capsys.readouterr().err and len(list(runs.iterdir())) == 2
    (saved,) = run.glob("adapt/step-*/adapter_model.safetensors")
    save_file({name: tensor * 2 for name, tensor in load_file(saved).items()}, saved)
    assert main([*ask, "--method", "direct", "--adapter", str(run)]) == 1
    assert f"the model changed (adapter/{LORA})" in capsys.readouterr().err
