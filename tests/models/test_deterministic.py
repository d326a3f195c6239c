"""``--deterministic``: what is set for a GPU, who refuses it, and sums that do not depend on their order."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from audio_eval.errors import UserError, as_user_error
from audio_eval.models.backends import Limits, choose
from audio_eval.models.hf import deterministic
from audio_eval.models.hf.deterministic import settle
from audio_eval.models.hf.draws import _cumulative, draw
from audio_eval.models.policy import Sampling
from audio_eval.runs.environment import environment

GPU, CPU = torch.device("cuda"), torch.device("cpu")


@pytest.fixture(autouse=True)
def set_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(deterministic, "_settled", [])
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # so that what is set is taken back
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    yield
    torch.use_deterministic_algorithms(False)
    cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def test_a_gpu_is_held_to_deterministic_kernels_and_a_cpu_is_left_alone() -> None:
    settle(True, CPU)
    assert not environment().deterministic and "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    settle(True, GPU)
    assert environment().deterministic and os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert not torch.is_deterministic_algorithms_warn_only_enabled(), "with warnings alone attention is not"
    assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32
    settle(True, GPU)
    with pytest.raises(UserError, match="with and without --deterministic"):
        settle(False, GPU)


def test_an_environment_that_is_not_deterministic_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:2:16:8")
    with pytest.raises(UserError, match="CUBLAS_WORKSPACE_CONFIG=:4096:2:16:8 is not deterministic: unset it"):
        settle(True, GPU)
    assert not torch.are_deterministic_algorithms_enabled()


def test_what_has_no_deterministic_kernel_is_a_line() -> None:
    torch.use_deterministic_algorithms(True)
    with pytest.raises(RuntimeError) as error:
        torch.zeros(4).put_(torch.tensor([0]), torch.ones(1), accumulate=False)
    told = as_user_error(error.value)
    assert told is not None and str(told).startswith("--deterministic cannot be kept: put_ does not have a determ")


@pytest.mark.parametrize("backend", ["vllm", "api", "mellow"])
def test_another_program_promises_nothing(backend: str) -> None:
    with pytest.raises(UserError, match=f"backend '{backend}' computes in another program"):
        choose("mellow" if backend == "mellow" else "tiny-omni", backend).load(Limits(deterministic=True))


def test_cumulative_sums_are_exact_in_any_order() -> None:
    """In floating point the sum of these depends on the order: the small ones are lost beside the large one."""
    probs = torch.tensor([[0.5, *[2.0**-38] * 1000, 0.25]])
    found, reverse = _cumulative(probs.clone()), _cumulative(probs.flip(-1))
    assert int(found[0, -1]) == int(reverse[0, -1]) == 2**61 + 1000 * 2**24 + 2**60
    assert found.dtype == torch.int64 and (found.diff(dim=-1) > 0).all()


def test_no_token_of_probability_zero_is_drawn_at_the_ends() -> None:
    head = torch.nn.Linear(1, 6, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[-200.0], [1.0], [1.0], [-200.0], [1.0], [-200.0]]))
        points = np.array([0.0, 1 / 3 + 1e-6, 0.5, np.nextafter(1.0, 0.0)])
        found = draw(head, torch.ones(1, 1), np.zeros(4, dtype=int), points, Sampling(temperature=1.0))
    assert found.tolist() == [1, 2, 2, 4]
