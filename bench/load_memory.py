"""Memory of loading a checkpoint: peak of what the process allocates, against the bytes of the weights it keeps.

``python bench/load_memory.py`` writes a random Qwen2.5-Omni thinker in bfloat16 (``--hidden``, ``--layers``; with a
vision tower of an eighth of its layers) and loads it once in each precision, in a process of its own. Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import torch
from transformers import Qwen2_5OmniThinkerForConditionalGeneration

from audio_eval.models.tiny_omni import architecture
from bench.random_checkpoint import save_omni, tokenizer


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
        print("| dtype | weights kept | peak of memory allocated above the imports | of resident memory |")
        print("|---|---|---|---|")
        for dtype in ("bfloat16", "float32"):
            command = [sys.executable, "-m", "bench.load_memory", "--load", str(folder), "--dtype", dtype]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found = json.loads(said.splitlines()[-1])
            print(f"| {dtype} | {found['kept']:.0f} MB | {found['allocated']:.0f} MB | {found['resident']:.0f} MB |")


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
    """MB while the policy is loaded: weights, and the peaks of the process's own and its resident memory."""
    from audio_eval.models.backends import load_policy

    before, peak, done = status(), {"RssAnon": 0.0, "VmRSS": 0.0}, threading.Event()

    def watch() -> None:
        while not done.is_set():
            now = status()
            for name, most in peak.items():
                peak[name] = max(most, now[name] - before[name])
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    policy = load_policy(folder, model_args={"dtype": dtype})
    done.set()
    watcher.join()
    kept = sum(p.nbytes for p in policy.model.parameters()) / 1e6
    return {"kept": kept, "allocated": peak["RssAnon"], "resident": peak["VmRSS"]}


def status() -> dict[str, float]:
    """Memory of this process in MB, by the kernel's names."""
    lines = [line.partition(":") for line in Path("/proc/self/status").read_text().splitlines()]
    return {name: int(rest.split()[0]) / 1e3 for name, _, rest in lines if "kB" in rest}


if __name__ == "__main__":
    main()
