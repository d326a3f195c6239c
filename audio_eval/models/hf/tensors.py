"""Files of tensors (safetensors), written and read tensor by tensor: all of them are never in memory a second time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open

# The format's names of the types that are trained and of moments, the order in which safetensors writes them first.
TYPES = {
    torch.int64: "I64", torch.float32: "F32", torch.int32: "I32", torch.bfloat16: "BF16", torch.float16: "F16",
    torch.uint8: "U8",
}  # fmt: skip
_ALIGNED = 8  # the length of the header is a multiple of this many bytes


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write the very bytes that safetensors' own ``save_file`` writes; of a GPU's tensors one at a time is copied.

    The format: eight bytes with the length of a header, the header as JSON, the tensors' bytes one after another.
    """
    ranks = {dtype: rank for rank, dtype in enumerate(TYPES)}
    names = sorted(tensors, key=lambda name: (ranks[tensors[name].dtype], name))
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in names:
        begin, end = end, end + tensors[name].nbytes
        header[name] = {
            "dtype": TYPES[tensors[name].dtype], "shape": list(tensors[name].shape), "data_offsets": [begin, end],
        }  # fmt: skip
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNED)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in names:
            host = tensors[name].detach().cpu().contiguous()
            file.write(host.reshape(-1).view(torch.uint8).numpy().data)


def read_tensors(path: Path, into: Mapping[str, torch.Tensor]) -> None:
    """Copy each tensor of a file into the one of its name, in place."""
    with torch.no_grad(), safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 - a file is no mapping
            into[name].copy_(file.get_tensor(name))


def size_of(tensors: Mapping[str, torch.Tensor]) -> int:
    """Bytes of these tensors in a file, without the header."""
    return sum(tensor.nbytes for tensor in tensors.values())
