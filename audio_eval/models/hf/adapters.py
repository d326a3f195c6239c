"""The trained weights, LoRA adapters or the model's own: set up, saved and loaded."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file

from audio_eval.models.hf.checkpoint import Checkpoint
from audio_eval.models.hf.files import ADAPTER_CONFIG, FULL, LORA, TRAINED_FROM
from audio_eval.models.hf.tensors import read_tensors, write_tensors
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


def trained_tensors(checkpoint: Checkpoint, peft_model: Any | None) -> dict[str, torch.Tensor]:
    """What a file of trained weights holds, by name; tensors are no copies."""
    if peft_model is None:
        return {n: p for n, p in checkpoint.model.named_parameters() if p.requires_grad}
    return dict(get_peft_model_state_dict(peft_model))


def save_adapter(folder: Path, checkpoint: Checkpoint, peft_model: Any | None) -> None:
    """Write adapters in peft's layout and once more under vLLM's names, or full weights under the model's own names."""
    model, family, metadata = checkpoint.model, checkpoint.family, {TRAINED_FROM: checkpoint.weights}
    tensors = trained_tensors(checkpoint, peft_model)
    if peft_model is None:
        write_tensors(folder / FULL, tensors, metadata)
        return
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
        write_tensors(place / LORA, named, metadata)
        (place / ADAPTER_CONFIG).write_text(json.dumps(settings, indent=1, default=str) + "\n")


def load_adapter(folder: Path, model: Any, peft_model: Any | None) -> None:
    """Read back what ``save_adapter`` wrote."""
    if peft_model is not None:
        set_peft_model_state_dict(peft_model, load_file(folder / LORA))
        return
    read_tensors(folder / FULL, dict(model.named_parameters()))
