"""How many bytes a checkpoint of the training takes on the disk, known before the first step."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from math import prod

from audio_eval.models.hf.files import TRAINED_FROM

Shapes = Mapping[str, Sequence[int]]  # of tensors, by name

_SIZES = {"F64": 8, "I64": 8, "F32": 4, "BF16": 2, "F16": 2, "I8": 1, "U8": 1}  # safetensors' names of dtypes
EIGHT_BITS_FROM, BLOCK = 4096, 256  # bitsandbytes' own: elements of a parameter, numbers that share a scale
_FINGERPRINT = "0" * 16  # as long as that of any weights


def file_bytes(tensors: Mapping[str, tuple[str, Sequence[int]]], metadata: Mapping[str, str] | None = None) -> int:
    """The size of a safetensors file of tensors (dtype in safetensors' words, shape) by name.

    8 bytes for the length of the header; the header, which is JSON padded to a multiple of 8; the tensors in the order
    of their dtypes, widest first, and of their names.
    """
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    start = 0
    for name in sorted(tensors, key=lambda name: (-_SIZES[tensors[name][0]], name)):
        dtype, shape = tensors[name]
        end = start + _SIZES[dtype] * prod(shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
        start = end
    text = len(json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode())
    return 8 + -(-text // 8) * 8 + start


def weights_bytes(trained: Shapes, tune: str, vllm_name: Callable[[str], str] = str) -> int:
    """The files of trained weights, of parameters by the names that the model in training has: float32, fully tuned
    ones once, adapters once under peft's names and once under vLLM's.
    """
    metadata = {TRAINED_FROM: _FINGERPRINT}
    if tune == "full":
        return file_bytes({name: ("F32", shape) for name, shape in trained.items()}, metadata)
    names = {f"base_model.model.{n.replace('.default.', '.')}": ("F32", shape) for n, shape in trained.items()}
    return file_bytes(names, metadata) + file_bytes({vllm_name(n): kind for n, kind in names.items()}, metadata)


def moments_bytes(trained: Shapes, optimizer: str = "adamw") -> int:
    """The file of AdamW's state: two moments for each parameter, which are float32, and a step count.

    In eight bits (``adamw_8bit``) each block of 256 numbers has a scale; parameters of few elements stay float32.
    """
    state: dict[str, tuple[str, Sequence[int]]] = {}
    for name, shape in trained.items():
        eight = optimizer == "adamw_8bit" and prod(shape) >= EIGHT_BITS_FROM
        for part in ("exp_avg", "exp_avg_sq"):
            state[f"{name}|{part}"] = ("U8" if eight else "F32", shape)
            if eight:
                state[f"{name}|{part}_scale"] = ("F32", (-(-prod(shape) // BLOCK),))
        state[f"{name}|step"] = ("F32", ())
    return file_bytes(state)


def checkpoint_bytes(
    trained: Shapes, tune: str, moments: bool = True, vllm_name: Callable[[str], str] = str, optimizer: str = "adamw"
) -> int:
    """The large files of a checkpoint folder; without ``moments`` those of one that training cannot go on from.

    Settings and states (*.json) add a few kB. While a checkpoint replaces the one before, both are on the disk.
    """
    return weights_bytes(trained, tune, vllm_name) + (moments_bytes(trained, optimizer) if moments else 0)
