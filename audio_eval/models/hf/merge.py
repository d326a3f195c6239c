"""``--adapter``: weights that were trained before are merged into the model, so that a method can train on top of them.

What is read is what a run saves, for LoRA in peft's layout: a folder with ``adapter_model.safetensors`` and
``adapter_config.json``, or with ``adapter_full.safetensors``; or the directory of a run, whose last checkpoint counts.
Merged rather than kept beside the model, as a method's own adapters then start from it, and its KL term refers to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file

from audio_eval.checkpoint_sums import STATE, is_sealed, unseal
from audio_eval.errors import UserError
from audio_eval.models.hf.checkpoint import Checkpoint
from audio_eval.models.hf.files import (
    ADAPTER_CONFIG,
    FULL,
    LORA,
    NAMES_NO_CODE,
    TRAINED_FROM,
    adapter_digests,
    adapter_folder,
    fingerprint,
    read_settings,
)


def merge_adapter(checkpoint: Checkpoint, adapter: str, named: str) -> Checkpoint:
    """The checkpoint with the adapter's weights; ``named`` is the model as the user gave it.

    LoRA's product is added to the weights in their own precision. ``UserError`` for an adapter of another model: one
    that says so, or that has other parameters or other shapes.
    """
    folder = adapter_folder(adapter)
    file = folder / (LORA if (folder / LORA).is_file() else FULL)
    _check_whole(folder)
    try:
        settings = read_settings(folder / ADAPTER_CONFIG) if file.name == LORA else {}
    except UserError as error:
        raise UserError(f"--adapter: {error}") from None
    try:
        with safe_open(file, framework="pt") as opened:
            trained_from = (opened.metadata() or {}).get(TRAINED_FROM)
        tensors = load_file(file)
        if trained_from not in (None, checkpoint.weights):
            raise UserError(f"it was trained from weights {trained_from}, and '{named}' has {checkpoint.weights}")
        if trained_from is None:
            _check_named(settings.get("base_model_name_or_path"), checkpoint, named)
        if file.name == LORA:
            _merge_lora(checkpoint, settings, tensors)
        else:
            _copy(dict(checkpoint.model.named_parameters()), tensors)
    except UserError as error:
        raise UserError(f"--adapter: '{file}' does not belong to '{named}': {error}.") from None
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # peft and safetensors raise errors of every class for a damaged file
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"--adapter: '{file}' cannot be read: {reason:.500}.") from error
    digest = fingerprint(adapter_digests(adapter))
    weights = sha256(f"{checkpoint.weights} {digest}".encode()).hexdigest()[: len(checkpoint.weights)]
    return replace(checkpoint, revision=f"{checkpoint.revision}+{digest}", weights=weights)


def _check_whole(folder: Path) -> None:
    """``UserError`` where a run wrote the adapter, with checksums, and it is another by now."""
    if is_sealed(folder):
        try:
            unseal(folder)
        except ValueError as error:
            raise UserError(
                f"--adapter: '{folder}' is damaged ({error}). If you changed it yourself, take {STATE} out of there."
            ) from None


def _check_named(base: object, checkpoint: Checkpoint, named: str) -> None:
    """``UserError`` where adapter_config.json names another model; a copy of a hub model may lie in a folder."""
    folder = checkpoint.model.name_or_path
    hub = re.search(r"models--(.+?)--(.+?)/snapshots", folder)
    known = {Path(name).name.lower() for name in (named, folder, hub[2] if hub else named)}
    if base and Path(str(base)).name.lower() not in known:
        raise UserError(
            f"its {ADAPTER_CONFIG} has base_model_name_or_path '{base}' (change that if the models are the same)"
        )


def _merge_lora(checkpoint: Checkpoint, settings: dict[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    if settings.get("peft_type") != "LORA":
        raise UserError(f"its peft_type is {settings.get('peft_type')}, and only LORA can be merged")
    settings = {**settings, **NAMES_NO_CODE}  # the model was checked, and peft would warn of it
    try:
        with torch.random.fork_rng(devices=[]):  # new adapters are drawn, and then replaced
            model = get_peft_model(checkpoint.model, LoraConfig.from_peft_type(**settings))
    except ValueError as error:  # no module of these names
        raise UserError(" ".join(str(error).split())[:200].rstrip(".")) from error
    _check(get_peft_model_state_dict(model), tensors, complete=True)
    set_peft_model_state_dict(model, dict(tensors))
    checkpoint.model = model.merge_and_unload().eval().requires_grad_(False)


def _copy(own: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor]) -> None:
    _check(own, tensors, complete=False)
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)


def _check(own: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor], complete: bool) -> None:
    """``UserError`` for a tensor that the model has no place for, and for a place that stays empty."""
    unknown = sorted(tensors.keys() - own.keys())
    if unknown or not tensors:
        raise UserError(f"{len(unknown)} of its {len(tensors)} parameters are unknown to the model{_first(unknown)}")
    if complete and (missing := sorted(own.keys() - tensors.keys())):
        raise UserError(f"it lacks {len(missing)} parameters{_first(missing)}")
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape:
            raise UserError(f"{name} is {tuple(tensor.shape)}, the model's is {tuple(own[name].shape)}")


def _first(names: list[str]) -> str:
    return f", {names[0]} first" if names else ""
