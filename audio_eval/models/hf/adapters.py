"""The trained weights, LoRA adapters or the model's own, and the optimizer: set up, saved and loaded."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from audio_eval.models.hf.checkpoint import Checkpoint
from audio_eval.models.hf.files import ADAPTER_CONFIG, FULL, LORA, TRAINED_FROM
from audio_eval.models.policy import Training


def attach_lora(checkpoint: Checkpoint, training: Training, seed: int) -> Any:
    """Put adapters on every linear layer of the language model. ``seed`` decides their initial values."""
    config = LoraConfig(
        r=training.lora_r,
        lora_alpha=training.lora_alpha,
        target_modules=checkpoint.family.lora_targets,
        exclude_modules=checkpoint.family.lora_excludes,
        lora_dropout=0.0,
        bias="none",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(checkpoint.model, config)


def unfreeze(checkpoint: Checkpoint, training: Training) -> None:
    """Make the language model and the head trainable, in float32; with ``train_tower`` the audio modules as well."""
    for name, parameter in checkpoint.model.named_parameters():
        if checkpoint.family.is_trained(name, training.train_tower):
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)


def save_adapter(folder: Path, checkpoint: Checkpoint, peft_model: Any | None) -> None:
    """Write adapters in peft's layout and once more under vLLM's names, or full weights under the model's own names."""
    model, family, metadata = checkpoint.model, checkpoint.family, {TRAINED_FROM: checkpoint.weights}
    if peft_model is None:
        trained = {n: p.detach().cpu().contiguous() for n, p in model.named_parameters() if p.requires_grad}
        save_file(trained, folder / FULL, metadata)
        return
    tensors = {n: t.detach().cpu().contiguous() for n, t in get_peft_model_state_dict(peft_model).items()}
    config = peft_model.peft_config["default"].to_dict()
    config = {k: sorted(v) if isinstance(v, set) else v for k, v in config.items()}
    # vLLM matches modules by plain names and silently ignores an adapter whose names it does not know
    plain = sorted(
        {name.split(".")[-1] for name, _ in model.named_modules() if re.fullmatch(family.lora_targets, name)}
    )
    vllm_config = {**config, "target_modules": plain}
    renamed = {family.vllm_name(name): tensor for name, tensor in tensors.items()}
    for place, named, settings in ((folder, tensors, config), (folder / "vllm", renamed, vllm_config)):
        place.mkdir(exist_ok=True)
        save_file(named, place / LORA, metadata)
        (place / ADAPTER_CONFIG).write_text(json.dumps(settings, indent=1, default=str) + "\n")


def load_adapter(folder: Path, model: Any, peft_model: Any | None) -> None:
    """Read back what ``save_adapter`` wrote."""
    if peft_model is not None:
        set_peft_model_state_dict(peft_model, load_file(folder / LORA))
        return
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in load_file(folder / FULL).items():
            own[name].copy_(tensor)


def save_optimizer(path: Path, optimizer: torch.optim.Optimizer, names: dict[torch.nn.Parameter, str]) -> None:
    """Write AdamW's moments and step counts under the parameters' names."""
    tensors = {
        f"{name}|{key}": value.detach().cpu().contiguous()
        for parameter, name in names.items()
        for key, value in optimizer.state[parameter].items()
    }
    save_file(tensors, path)


def load_optimizer(path: Path, optimizer: torch.optim.Optimizer, names: dict[torch.nn.Parameter, str]) -> None:
    """Read back what ``save_optimizer`` wrote."""
    by_name = {name: parameter for parameter, name in names.items()}
    for key, tensor in load_file(path).items():
        name, part = key.rsplit("|", 1)
        parameter = by_name[name]
        # AdamW keeps the step count on the CPU
        optimizer.state[parameter][part] = tensor if part == "step" else tensor.to(parameter.device)
