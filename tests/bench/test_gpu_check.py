"""bench/gpu_check.py on the CPU: every part runs, one that fails does not stop the others, bounds are what they say."""

from __future__ import annotations

import json
import sys
from typing import Any

import gpu_bound
import gpu_check
import pytest
import torch

from audio_eval.models.hf.dimensions import of_source

CPU = ["gpu_check.py", "--dims", "small", "--device", "cpu", "--items", "2", "--voted", "2", "--votes", "3", "--step",
       "2", "--group", "2", "--answer", "3"]  # fmt: skip


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    monkeypatch.setattr(sys, "argv", [*CPU, *more])
    assert gpu_check.main() == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_every_part_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    found = run(monkeypatch, capsys, "--out", str(tmp_path / "found.json"))
    assert found == json.loads((tmp_path / "found.json").read_text())
    assert found["ok"] and list(found["parts"]) == list(gpu_check.LIMITS)
    assert found["card"] == "cpu" and found["versions"]["torch"] == torch.__version__
    for part in ("greedy", "votes", "lora", "full"):
        assert found["parts"][part]["s"] > 0 and found["parts"][part]["needs_gb"] > 0, part
    assert found["parts"]["exact"]["ok"], found["parts"]["exact"]


def test_a_part_that_fails_or_hangs_is_recorded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def hang(self: Any) -> None:
        while True:
            pass

    def fail(self: Any) -> None:
        raise torch.cuda.OutOfMemoryError("no memory")

    monkeypatch.setattr(gpu_check.Check, "tower", hang)
    monkeypatch.setattr(gpu_check.Check, "votes", fail)
    monkeypatch.setattr(gpu_check, "LIMITS", gpu_check.LIMITS | {"tower": 1})
    found = run(monkeypatch, capsys, "--parts", "load,tower,votes,greedy")
    assert not found["ok"] and "more than 1 s" in found["parts"]["tower"]["error"]
    assert "no memory" in found["parts"]["votes"]["error"] and found["parts"]["greedy"]["s"] > 0


def test_the_parts_are_done_within_ten_minutes() -> None:
    assert sum(gpu_check.LIMITS.values()) < 600


@pytest.mark.parametrize(
    ("name", "bandwidth"),
    [("NVIDIA H100 80GB HBM3", 3.35e12), ("NVIDIA H200", 4.8e12), ("NVIDIA A100-SXM4-80GB", 2.0e12),
     ("NVIDIA H100 PCIe", 2.0e12), ("NVIDIA GeForce GT 710", None)],
)  # fmt: skip
def test_cards_are_found_by_name(name: str, bandwidth: float | None) -> None:
    found = gpu_bound.card(name)
    assert (found and found.bandwidth) == bandwidth


def test_a_token_step_of_one_row_reads_the_weights_once() -> None:
    """3.09 billion parameters of layers and head in bfloat16, 6.2 GB: 1.8 ms on an H100."""
    d, card = of_source("Qwen/Qwen2.5-Omni-3B"), gpu_bound.card("NVIDIA H100 80GB HBM3")
    assert card is not None
    layers = sum(torch.Size(s).numel() for name, s in d.shapes.items() if ".language_model.layers." in name)
    assert card.token_steps(d, layers, [1], 1, 1) == pytest.approx(1.84e-3, rel=0.02)
    many = card.token_steps(d, layers, [300] * 64, 64, 8)
    assert many > card.token_steps(d, layers, [300] * 64, 1, 8) > 8 * 1.8e-3, "4096 rows are bound by multiplications"
