"""Memory of loading a checkpoint, and of loading it again after full fine-tuning, against the bytes of its weights.

``python -m bench.load_memory`` writes a random Qwen2.5-Omni thinker in bfloat16 (``--hidden``, ``--layers``; with a
vision tower of an eighth of its layers) and loads it once in each precision, in a process of its own. Memory is what
the process has allocated itself, above what the imports took; pages of a mapped file are not among it. Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from transformers import Qwen2_5OmniThinkerForConditionalGeneration

from audio_eval.models.tiny_omni import architecture
from bench.random_checkpoint import save_omni, tokenizer

T = TypeVar("T")


def main() -> None:
    """Write the checkpoint, load it in subprocesses, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, default=1280)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--load", metavar="DIR", help=argparse.SUPPRESS)
    parser.add_argument("--dtype", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.load:
        print(json.dumps(measured(args.load, args.dtype)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = save_omni(build(args.hidden, args.layers), Path(scratch) / "checkpoint")
        on_disk = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        print(f"checkpoint in bfloat16, with its vision tower: {on_disk / 1e6:.0f} MB")
        print("| dtype | weights | peak while loading | in training (tune=full) | peak while it is reset |")
        print("|---|---|---|---|---|")
        for dtype in ("bfloat16", "float32"):
            command = [sys.executable, "-m", "bench.load_memory", "--load", str(folder), "--dtype", dtype]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found = json.loads(said.splitlines()[-1])
            print(f"| {dtype} | {' | '.join(f'{megabytes:.0f} MB' for megabytes in found.values())} |")


def build(hidden: int, layers: int) -> Qwen2_5OmniThinkerForConditionalGeneration:
    """A thinker with random weights in bfloat16."""
    config = architecture.config(tokenizer())
    text, vision = config.text_config, config.vision_config
    sizes = dict(hidden_size=hidden, intermediate_size=4 * hidden, num_hidden_layers=layers, vocab_size=32_000)
    for name, value in sizes.items():
        setattr(text, name, value)
    text.layer_types = ["full_attention"] * layers
    vision.depth, vision.hidden_size, vision.intermediate_size = max(1, layers // 8), hidden, 4 * hidden
    vision.out_hidden_size = config.audio_config.output_dim = hidden
    torch.set_default_dtype(torch.bfloat16)
    return Qwen2_5OmniThinkerForConditionalGeneration(config).eval()


def measured(folder: str, dtype: str) -> dict[str, float]:
    """MB of the weights, and of the process at each stage."""
    from audio_eval.models.backends import load_policy
    from audio_eval.models.hf.policy import HFPolicy
    from audio_eval.models.policy import Training

    before = allocated()
    policy, loading = peak(lambda: load_policy(folder, model_args={"dtype": dtype}))
    assert isinstance(policy, HFPolicy)
    weights = sum(p.nbytes for p in policy.model.parameters()) / 1e6
    policy.begin_training(Training.model_validate({"tune": "full"}), 0)
    training = allocated()
    _, resetting = peak(policy.reset)
    return {
        "weights": weights, "loading": loading - before, "training": training - before, "reset": resetting - before,
    }  # fmt: skip


def peak(work: Callable[[], T]) -> tuple[T, float]:
    """What ``work`` returns, and the most that was allocated meanwhile, in MB."""
    most, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.is_set():
            most.append(allocated())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        found = work()
    finally:
        done.set()
        watcher.join()
    return found, max(most)


def allocated() -> float:
    """Anonymous memory of this process in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("RssAnon"))


if __name__ == "__main__":
    main()
