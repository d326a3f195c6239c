"""AdamW with its moments beside the weights, in eight bits or in host memory; and an update that is never half done.

The moments are there before the first update, and the largest block that an update needs is reserved before it begins.
So where memory runs out, nothing has been changed yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.optim.adamw import adamw

from audio_eval.errors import UserError
from audio_eval.models.hf.tensors import read_tensors, write_tensors
from audio_eval.models.policy import Training

STATE = ("step", "exp_avg", "exp_avg_sq")  # torch's names of AdamW's state
_CONSTANT = "qmap"  # bitsandbytes' code tables, the same for all parameters
_ROOM = 4  # float32 copies of the largest parameter that an update with moments elsewhere needs at most


def make_optimizer(training: Training, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer that ``training`` names, its moments allocated; where there is no room for them, AdamW with its
    moments in host memory, whose updates are the same to the bit.
    """
    settings: dict[str, Any] = {"lr": training.lr, "weight_decay": training.weight_decay}
    on_gpu = parameters[0].is_cuda
    try:
        if training.optimizer == "adamw_8bit":
            return _eight_bits(parameters, settings)
        if training.optimizer == "adamw":
            # one kernel that allocates nothing; on a CPU the update stays the one it has always been
            return _with_moments(torch.optim.AdamW(parameters, fused=True if on_gpu else None, **settings))
    except torch.cuda.OutOfMemoryError:
        if training.optimizer == "adamw_8bit":
            raise UserError(
                "the GPU has no room for the optimizer's moments in eight bits: --method-args "
                "optimizer=adamw_offloaded keeps them in host memory, tune=lora trains fewer weights."
            ) from None
    torch.cuda.empty_cache() if on_gpu else None
    return OffloadedAdamW(parameters, fused=True if on_gpu else None, **settings)


class OffloadedAdamW(torch.optim.AdamW):
    """AdamW whose state lies in host memory, pinned with a GPU, and is on the device for one parameter at a time."""

    def __init__(self, parameters: list[torch.nn.Parameter], **settings: Any) -> None:
        super().__init__(parameters, **settings)
        for parameter in parameters:
            pinned = parameter.is_cuda
            zeros = {name: torch.zeros(parameter.shape, dtype=parameter.dtype, pin_memory=pinned) for name in STATE[1:]}
            self.state[parameter] = {"step": torch.zeros(()), **zeros}

    @classmethod
    def of(cls, other: torch.optim.AdamW) -> OffloadedAdamW:
        """The same optimizer with the same moments, which are moved one by one."""
        [group] = other.param_groups
        moved = cls(group["params"], **{name: group[name] for name in ("lr", "weight_decay", "fused")})
        for parameter in group["params"]:
            for name, tensor in moved.state[parameter].items():
                tensor.copy_(other.state[parameter].pop(name))
        return moved

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """``AdamW.step`` parameter by parameter."""
        [group] = self.param_groups
        beta1, beta2 = group["betas"]
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            host = self.state[parameter]
            step, *moments = (host[name].to(parameter.device, non_blocking=True) for name in STATE)
            adamw(
                [parameter], [parameter.grad], moments[:1], moments[1:], [], [step],
                foreach=False, fused=bool(group["fused"]), amsgrad=False, beta1=beta1, beta2=beta2, lr=group["lr"],
                weight_decay=group["weight_decay"], eps=group["eps"], maximize=False,
            )  # fmt: skip
            for name, near in zip(STATE, (step, *moments), strict=True):
                if near is not host[name]:
                    host[name].copy_(near, non_blocking=True)
        if group["params"][0].is_cuda:
            torch.cuda.synchronize()  # the copies to host memory are done


def _with_moments(optimizer: torch.optim.AdamW) -> torch.optim.AdamW:
    """The zeros that AdamW would allocate in the first update, parameter by parameter."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            step = torch.zeros((), device=parameter.device if group["fused"] else "cpu")
            optimizer.state[parameter] = {
                "step": step, **{name: torch.zeros_like(parameter) for name in STATE[1:]},
            }  # fmt: skip
    return optimizer


def _eight_bits(parameters: list[torch.nn.Parameter], settings: dict[str, Any]) -> torch.optim.Optimizer:
    """AdamW of bitsandbytes: block-wise 8-bit moments (Dettmers et al., 2022), float32 for parameters under 4096."""
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise UserError(
            "optimizer=adamw_8bit needs bitsandbytes, which is not installed or cannot be imported "
            f'({" ".join(str(error).split())[:150]}): pip install "audio-eval[8bit]".'
        ) from None
    optimizer = AdamW8bit(parameters, **settings)
    for g, group in enumerate(optimizer.param_groups):
        for p, parameter in enumerate(group["params"]):
            optimizer.init_state(group, parameter, g, p)
    return optimizer


def update(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Make an update; returns the optimizer that made it: one with its moments in host memory where there was no room.

    ``UserError`` where there is none even so.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    try:
        reserve(optimizer, parameters)
    except torch.cuda.OutOfMemoryError:
        if type(optimizer) is not torch.optim.AdamW:
            raise UserError(_NO_ROOM.format("Nothing of this update was done")) from None
        optimizer = OffloadedAdamW.of(optimizer)
        if parameters[0].is_cuda:
            torch.cuda.empty_cache()
    try:
        optimizer.step()
    except torch.cuda.OutOfMemoryError:
        raise UserError(_NO_ROOM.format("A part of this update may be done, so the weights are given up")) from None
    return optimizer


_NO_ROOM = (
    "the GPU has no room for an update of the weights. {}: audio-eval resume goes on from the last checkpoint, once "
    "there is more memory. Less is needed with --method-args optimizer=adamw_offloaded or adamw_8bit, or tune=lora."
)


def reserve(optimizer: torch.optim.Optimizer, parameters: list[torch.nn.Parameter]) -> None:
    """Allocate what an update needs beside weights, gradients and moments, and let go of it.

    PyTorch keeps the block for the update. The fused kernel needs none; the others work parameter by parameter.
    """
    largest = max(parameter.numel() for parameter in parameters)
    copies = 0 if type(optimizer) is torch.optim.AdamW else _ROOM
    if parameters[0].is_cuda:
        torch.empty(copies * largest, dtype=torch.float32, device=parameters[0].device)


def state_tensors(optimizer: torch.optim.Optimizer, names: Mapping[torch.nn.Parameter, str]) -> dict[str, torch.Tensor]:
    """The optimizer's state under the parameters' names, as it is in a file; tensors are no copies."""
    return {
        f"{name}|{key}": torch.as_tensor(value)
        for parameter, name in names.items()
        for key, value in optimizer.state[parameter].items()
        if not key.startswith(_CONSTANT)
    }


def save_optimizer(path: Path, optimizer: torch.optim.Optimizer, names: Mapping[torch.nn.Parameter, str]) -> None:
    """Write moments and step counts."""
    write_tensors(path, state_tensors(optimizer, names))


def load_optimizer(path: Path, optimizer: torch.optim.Optimizer, names: Mapping[torch.nn.Parameter, str]) -> None:
    """Read back what ``save_optimizer`` wrote."""
    tensors = state_tensors(optimizer, names)
    read_tensors(path, tensors)
    for parameter, name in names.items():
        state = optimizer.state[parameter]
        if isinstance(state.get("step"), int):  # bitsandbytes counts without a tensor
            state["step"] = int(tensors[f"{name}|step"])
