"""LoRA merged into the weights while the model samples: a layer with its adapter is then one matrix product, not three.

Nothing is subtracted afterwards: the base itself is put back, bit for bit. Merged weights are W + (B A) * alpha / r,
computed in the adapter's float32 and rounded once to the dtype of W. In float32 that is the adapted model but for the
order of additions; in bfloat16 what the adapter changes is rounded with W (docs/engine.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.lora import Linear
from peft.tuners.tuners_utils import BaseTunerLayer

from audio_eval.models.hf.tower import writes


class RolloutWeights:
    """The adapters of a model that has been given some. Outside of ``merged`` the weights are always the base's.

    Where the device has room, the merged weights lie beside the base and the parameters point to them for a while: the
    base is never written. Else they are written over it, and the base is kept in host memory.
    """

    def __init__(self, peft_model: torch.nn.Module, adapter: str = "default") -> None:
        self._layers: list[Any] = [m for m in peft_model.modules() if isinstance(m, BaseTunerLayer)]
        assert all(isinstance(m, Linear) and not m.lora_variant for m in self._layers), "plain LoRA on linear layers"
        self._adapter = adapter
        self._weights = [layer.get_base_layer().weight for layer in self._layers]
        self.factors = [p for layer in self._layers for p in layer.parameters() if p.requires_grad]
        self._made_of: object = None  # the state of base and adapters that ``_merged`` was computed from
        self._merged: list[torch.Tensor] | None = None  # beside the base
        self._base: list[torch.Tensor] | None = None  # in host memory
        self.computed = 0  # how often weights were merged

    @contextmanager
    def merged(self) -> Iterator[None]:
        """The model samples with merged weights inside; the base is back afterwards, whatever happens.

        They are computed when the adapters have changed since the last time.
        """
        if self._merged is None and self._base is None:
            self._find_room()
        base = [weight.data for weight in self._weights]
        try:
            with torch.no_grad():
                self._enter(base)
            yield
        finally:
            self._leave(base)

    def _find_room(self) -> None:
        """Beside the base, if that takes at most half of what is free; the rest is for the update."""
        if sum(weight.nbytes for weight in self._weights) <= _free(self._weights[0].device) / 2:
            self._merged = [torch.empty_like(weight, requires_grad=False) for weight in self._weights]
        else:
            self._base = [_in_host_memory(weight.data) for weight in self._weights]

    def _enter(self, base: list[torch.Tensor]) -> None:
        if self._merged is None:
            # writes to ``data`` are not counted as such: a kept prefill stays valid for the same adapters
            self._compute(base, base)
        else:
            now = writes([*self._weights, *self.factors])
            if now != self._made_of:
                self._made_of = None  # an interruption would leave them half computed
                self._compute(base, self._merged)
                self._made_of = now
            for weight, merged in zip(self._weights, self._merged, strict=True):
                weight.data = merged
        for layer in self._layers:
            layer.merged_adapters = [self._adapter]  # peft then calls the base layer alone

    def _compute(self, base: list[torch.Tensor], into: list[torch.Tensor]) -> None:
        self.computed += 1
        for layer, weight, out in zip(self._layers, base, into, strict=True):
            change = layer.get_delta_weight(self._adapter)
            if out is not weight:
                out.copy_(weight)
            out.add_(change)

    def _leave(self, base: list[torch.Tensor]) -> None:
        for layer in self._layers:
            layer.merged_adapters = []
        for i, (weight, data) in enumerate(zip(self._weights, base, strict=True)):
            if self._base is not None:
                data.copy_(self._base[i])
            weight.data = data


def _in_host_memory(tensor: torch.Tensor) -> torch.Tensor:
    copy = tensor.to("cpu", copy=True)
    return copy.pin_memory() if tensor.device.type == "cuda" else copy


def _free(device: torch.device) -> float:
    """Bytes that can still be had on the device, those that PyTorch holds and does not use included."""
    if device.type != "cuda":
        return float("inf")
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + held
