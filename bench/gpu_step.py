"""A step of AQA-TTRL at the published dimensions, with random weights: seconds, tokens per second, peak memory.

    python bench/gpu_step.py --dims 3b [--tune lora|full] [--seconds 10] [--questions 8] [--votes 64] [--group 4]

Nothing is downloaded: the Omni thinker is built from its configuration with random weights, in bfloat16 on a GPU, and
the clips are noise. With random weights no answer ends by itself, so every answer has ``--answer`` tokens. Nearly all
samples of a group differ, which is the worst case. Beside each part the script prints how much fewer tokens it computes
than with repeated prompts, and the time that its multiplications need at 40 % of the GPU's peak (2 x parameters x
tokens forward, twice that backward; with LoRA once). ``--dims small --device cpu`` tries the script without a GPU.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import transformers
from random_checkpoint import build_omni, save_omni

from audio_eval.audio import AudioRef
from audio_eval.group import Group
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import Sampling, Training
from audio_eval.questions import Question

PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}  # bfloat16, dense
UTILISATION = 0.4


def make_policy(dims: str, device: str, folder: Path, questions: int, answer: int) -> HFPolicy:
    """The policy of a random checkpoint, which is saved and loaded like any other."""
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    model = build_omni(dims, dtype, device)
    save_omni(model, folder)
    del model
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    return HFPolicy(f"random-{dims}", str(folder), device=device, batch_size=questions, max_tokens=answer)


def make_questions(count: int, seconds: float, folder: Path) -> list[Question]:
    """Questions about clips of noise, each with a clip of its own."""
    rng = np.random.default_rng(0)
    asked = []
    for i in range(count):
        path = folder / f"{i}.wav"
        soundfile.write(path, rng.normal(0, 0.1, int(seconds * 16_000)), 16_000)
        text = "Which is heard first? Please choose the answer from the following options: ['a', 'b', 'c', 'd']."
        asked.append(Question(f"q{i}", AudioRef(str(path)), text, ("a", "b", "c", "d"), text))
    return asked


class Timer:
    """Measures seconds, and waits for the device before and after."""

    def __init__(self, device: str) -> None:
        self.device = device

    def __call__(self, work: Any) -> tuple[float, Any]:
        """The seconds that ``work`` takes, and its result."""
        self._wait()
        began = time.perf_counter()
        result = work()
        self._wait()
        return time.perf_counter() - began, result

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()


def advantages(groups: list[Group]) -> list[np.ndarray]:
    """Fixed advantages with zero mean: +1 for half of the completions, -1 for the others."""
    return [np.where(np.arange(len(g.counts)) % 2 == 0, 1.0, -1.0) for g in groups]


def measure(
    policy: HFPolicy, asked: list[Question], votes: int, group: int, steps: int, device: str
) -> dict[str, float]:
    """Median seconds of the parts of a step: the votes, the rollouts, the update."""
    timer = Timer(device)
    parts: dict[str, list[float]] = {"votes": [], "rollouts": [], "update": []}
    for step in range(steps + 1):
        vote = Sampling(n=votes, temperature=1.0, stream=f"votes{step}")
        roll = Sampling(n=group, temperature=1.0, stream=f"step{step}")
        seconds, _ = timer(lambda vote=vote: policy.generate(asked, vote))
        parts["votes"].append(seconds)
        seconds, groups = timer(lambda roll=roll: policy.generate(asked, roll))
        parts["rollouts"].append(seconds)
        seconds, _ = timer(lambda groups=groups: policy.train_step(groups, advantages(groups)))
        parts["update"].append(seconds)
    return {part: statistics.median(seconds[1:]) for part, seconds in parts.items()}


def report(
    found: dict[str, float], prompt: int, parameters: int, args: argparse.Namespace, device: str
) -> dict[str, Any]:
    """Print one line per part; returns the figures."""
    passes = {"votes": 1, "rollouts": 1, "update": 2 if args.tune == "lora" else 3}
    rows = {"votes": args.votes, "rollouts": args.group, "update": args.group}
    peak = next((flops for name, flops in PEAK_FLOPS.items() if name in device), None)
    figures: dict[str, Any] = {}
    for part, seconds in found.items():
        tokens = args.questions * (prompt + rows[part] * args.answer)
        naive = args.questions * rows[part] * (prompt + args.answer)
        bound = 2 * parameters * tokens * passes[part] / (peak * UTILISATION) if peak else None
        speed = tokens / seconds
        figures[part] = {"s": round(seconds, 4), "tokens_per_s": round(speed), "bound_s": bound and round(bound, 4)}
        saved = f"{naive / tokens:.1f} x fewer tokens than with repeated prompts"
        limit = f", {bound:.4f} s at {UTILISATION:.0%} of the peak" if bound else ""
        print(f"  {part:9} {seconds:8.4f} s, {speed:10.0f} tokens/s, {saved}{limit}")
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dims", default="3b", help="small, wide, 3b, 7b")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tune", default="lora", choices=("lora", "full"))
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds of each clip")
    parser.add_argument("--questions", type=int, default=8)
    parser.add_argument("--votes", type=int, default=64)
    parser.add_argument("--group", type=int, default=4)
    parser.add_argument("--answer", type=int, default=8, help="tokens per answer")
    parser.add_argument("--steps", type=int, default=5, help="timed steps, after one warm-up step")
    args = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as name:
        policy = make_policy(args.dims, args.device, Path(name) / "model", args.questions, args.answer)
        asked = make_questions(args.questions, args.seconds, Path(name))
        encode_s, prompts = Timer(args.device)(lambda: policy.encoder.prompts(asked))
        policy.begin_training(Training(tune=args.tune, lora_r=16), seed=0)
        if args.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        found = measure(policy, asked, args.votes, args.group, args.steps, args.device)
    prompt = int(statistics.mean(len(p.embeds) for p in prompts))
    parameters = sum(p.numel() for p in policy.model.model.language_model.parameters())
    device = torch.cuda.get_device_name() if args.device == "cuda" else "cpu"
    print(f"{args.dims} on {device}: {parameters / 1e6:.1f} M parameters of text, prompts of {prompt} tokens")
    figures = report(found, prompt, parameters, args, device)
    memory = torch.cuda.max_memory_allocated() / 2**30 if args.device == "cuda" else None
    if memory:
        print(f"  peak memory {memory:.1f} GiB")
    print(json.dumps({
        "benchmark": "gpu_step", "dims": args.dims, "tune": args.tune, "device": device, "torch": torch.__version__,
        "encode_s": round(encode_s, 4), "step_s": round(found["rollouts"] + found["update"], 4), "parts": figures,
        "peak_gib": memory and round(memory, 2), "questions": args.questions, "votes": args.votes, "group": args.group,
        "prompt_tokens": prompt, "answer_tokens": args.answer, "seconds": args.seconds,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
