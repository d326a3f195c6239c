"""The same run gives the same bytes. ``python -m tests.determinism`` asks that of every method and new processes."""

from __future__ import annotations

from pathlib import Path

from audio_eval.runs.execute import Executor
from audio_eval.runs.plan import plan
from tests.chaos.same import difference

FLAGS = {
    "model": "tiny-omni", "method": "aqa_ttrl", "tasks": "synth_aqa:validation", "limit": 2, "batch_size": 2,
    "method_args": "votes=3,steps=1,batch_size=2,lr=0.01,tune=lora",
}  # fmt: skip


def run(folder: Path) -> Path:
    """Everything loaded and drawn anew."""
    [spec] = plan(FLAGS)
    Executor().run(spec, folder)
    return folder


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = run(tmp_path / "one"), run(tmp_path / "two")
    assert difference(two, one) is None
    [adapter] = two.glob("adapt/step-*/adapter_model.safetensors")
    adapter.write_bytes(adapter.read_bytes()[:-1] + b"?")
    assert difference(two, one) == f"differing files: ['{adapter.relative_to(two)}']", "it sees a single byte"
