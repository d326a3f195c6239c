"""HandoverPolicy: an hf policy whose weights another engine samples with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer

from audio_eval.group import Group
from audio_eval.models.hf import adapters
from audio_eval.models.hf.policy import HFPolicy


class HandoverPolicy(HFPolicy):
    """A GivesWeights."""

    @property
    def has_adapter(self) -> bool:
        """Whether a LoRA adapter is trained, not the model's own weights."""
        return self._in_training.peft is not None

    def write_adapter(self, folder: Path) -> None:
        """Write the adapter into ``folder``, in vLLM's layout in its ``vllm/``."""
        folder.mkdir(parents=True, exist_ok=True)
        adapters.save_adapter(folder, self.checkpoint, self._in_training.peft)

    def weights(self) -> Mapping[str, torch.Tensor]:
        """All weights of the model; see ``MergedWeights``."""
        return MergedWeights(self.model, self._dtype)

    def merged_logprobs(self, groups: Sequence[Group]) -> list[Group]:
        """``logprobs`` by the merged ``weights``, in which precision may be lost: what is smaller than it can hold."""
        layers, merged = adapted_layers(self.model), self.weights()
        own = {name: layer.get_base_layer().weight.data for name, layer in layers.items()}
        try:
            for name, layer in layers.items():
                layer.get_base_layer().weight.data = merged[name]
            return self.unadapted_logprobs(groups)
        finally:
            for name, layer in layers.items():
                layer.get_base_layer().weight.data = own[name]

    def unadapted_logprobs(self, groups: Sequence[Group]) -> list[Group]:
        """``logprobs`` of the model without the adapter that is trained."""
        with self._in_training.peft.disable_adapter():
            return self.logprobs(groups)


def adapted_layers(model: torch.nn.Module) -> dict[str, Any]:
    """The layers that have an adapter, by the name of the weight that it changes."""
    return {f"{name}.weight": module for name, module in model.named_modules() if isinstance(module, BaseTunerLayer)}


class MergedWeights(Mapping[str, torch.Tensor]):
    """A model's tensors under transformers' names, in ``dtype``, with LoRA's product in them.

    A tensor is made when it is looked up, so that no second model is in memory; the product is added in float32.
    """

    def __init__(self, model: torch.nn.Module, dtype: torch.dtype) -> None:
        self._model, self._dtype = model, dtype
        self._adapted = adapted_layers(model)
        self._tensors = {
            name.replace(".base_layer.", "."): tensor
            for name, tensor in model.state_dict().items()
            if ".lora_" not in name
        }

    def __getitem__(self, name: str) -> torch.Tensor:
        tensor = self._tensors[name].detach()
        if name in self._adapted:
            with torch.no_grad():
                tensor = tensor.float() + self._adapted[name].get_delta_weight("default").float()
        return tensor.to(self._dtype) if tensor.is_floating_point() else tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)
