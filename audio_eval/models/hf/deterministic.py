"""Deterministic kernels on a GPU (``--deterministic``): the same command on the same card gives the same bytes.

What decides, by PyTorch 2.13's documentation and source:

- Strict, not ``warn_only``: the backward passes of flash and memory-efficient attention choose their deterministic form
  only where a kernel that has none is an error. cuDNN's attention is left out then.
- cuBLAS adds up in one order only with a workspace of fixed size, which it reads from the environment when the first
  multiplication makes its handle.
- TF32 is deterministic, but off: whether a multiplication takes it is not left to the library.

What has no deterministic kernel is a RuntimeError, which ``errors.as_user_error`` turns into a line. On a CPU every
kernel here is deterministic for a given number of threads, so nothing is set.
"""

from __future__ import annotations

import os

import torch

from audio_eval.errors import UserError

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_FIXED = (":4096:8", ":16:8")  # of eight buffers each, of 4 MiB or 16 KiB
_settled: list[bool] = []  # how this process computes on a GPU; empty before it has begun


def settle(wanted: bool, device: torch.device) -> None:
    """Call it before anything is computed on ``device``. ``UserError`` where this process has computed the other way,
    or the environment asks for a workspace under which cuBLAS is not deterministic.
    """
    if device.type == "cpu":
        return
    if _settled not in ([], [wanted]):
        raise UserError("runs with and without --deterministic do not go into one process: give each kind by itself.")
    if wanted and os.environ.setdefault(_WORKSPACE, _FIXED[0]) not in _FIXED:
        raise UserError(f"--deterministic: {_WORKSPACE}={os.environ[_WORKSPACE]} is not deterministic: unset it.")
    _settled[:] = [wanted]
    if wanted:
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
