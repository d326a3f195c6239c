"""A LoRA adapter that belongs to a model: its makers trained it for questions with audio and publish it beside the
weights. It is merged into them when the model is loaded, so that whatever is trained starts from the whole model.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file

from audio_eval.models.hf.files import ADAPTER_CONFIG, LORA, NAMES_NO_CODE, read_settings

PREFIX = "base_model.model."  # that peft puts before the names of modules


def merge_own_adapter(model: Any, folder: Path) -> None:
    """Add the product of ``folder``'s adapter to the weights, in their own precision.

    Raises ``ValueError`` for an adapter of another model: other parameters, or other shapes.
    """
    settings = read_settings(folder / ADAPTER_CONFIG)
    tensors = load_file(folder / LORA)
    config = LoraConfig.from_peft_type(**settings | NAMES_NO_CODE)
    modules = {name.removeprefix(PREFIX).rsplit(".lora_", 1)[0] for name in tensors}
    # short names, such as o_proj, may be modules of the tower as well, in which nothing was trained
    if modules <= {name for name, _ in model.named_modules()}:
        config.target_modules = modules
    report = model.load_adapter(peft_config=config, adapter_state_dict=tensors)
    if wrong := sorted([*report.missing_keys, *report.unexpected_keys]):
        raise ValueError(f"{len(wrong)} parameters of {folder.name}'s adapter do not fit the model, {wrong[0]} first.")
    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, module.get_base_layer())
    del model.peft_config
    model._hf_peft_config_loaded = False


@contextmanager
def without_adapter(folder: Path) -> Iterator[Path]:
    """A checkpoint's files by links, without the adapter beside them.

    transformers would attach it (until 5.22 whatever it is told), and then does not report which weights are missing.
    """
    with tempfile.TemporaryDirectory() as scratch:
        for file in folder.iterdir():
            if file.name not in (ADAPTER_CONFIG, LORA):
                (Path(scratch) / file.name).symlink_to(file.resolve())
        yield Path(scratch)


def without_audio(name: str) -> str:
    """Why a model with its adapter merged is asked no question without audio."""
    return (
        f"no recording: {name} answers such a question without its adapter for audio, which is merged into the weights."
    )
