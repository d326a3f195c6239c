"""What a token step costs the host: operations and milliseconds at 36 layers, by adapters and shapes.

    python bench/decode_steps.py [--layers 36] [--hidden 64] [--questions 8] [--samples 8] [--device cpu]

The model has as many layers as Qwen2.5-Omni-3B and is otherwise as small as can be, so that what is timed is the host
(on a CPU the small products too). Operations are what PyTorch dispatches in a step, drawing included; "launched" are
those that are not views. All figures are the difference of a long and a short call, divided by the steps between them.
On a GPU a further line has CUDA graphs. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from random_checkpoint import DIMENSIONS, build_omni, save_omni
from torch.utils._python_dispatch import TorchDispatchMode

from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.models.policy import Sampling, Training
from audio_eval.questions import Question

SHORT, LONG = 4, 12  # tokens of an answer
TEXT = "Which is heard first? Please choose the answer from the following options: ['a', 'b', 'c', 'd']."
WAYS: dict[str, dict[str, Any]] = {
    "base": {},
    "adapters apart": {"merge_rollouts": False},
    "adapters merged": {"merge_rollouts": True},
    "merged, static shapes": {"merge_rollouts": True, "static_shapes": True},
}


class Operations(TorchDispatchMode):
    """Counts what is dispatched inside: all, and what computes or copies."""

    def __init__(self) -> None:
        super().__init__()
        self.all = self.launched = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count it and run it."""
        self.all += 1
        self.launched += not func.is_view and "_unsafe_view" not in str(func)
        return func(*args, **(kwargs or {}))


def checkpoint(folder: Path, layers: int, hidden: int) -> Path:
    """A thinker of so many small layers with random weights."""
    DIMENSIONS["deep"] = dict(
        text=dict(hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers, num_attention_heads=4,
                  num_key_value_heads=2, mrope=[hidden // 32, hidden // 32, hidden // 16]),
        audio=dict(d_model=32, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=32),
    )  # fmt: skip
    return save_omni(build_omni("deep"), folder)


def step_cost(policy: HFPolicy, asked: Sequence[Question], samples: int, repeats: int) -> dict[str, float]:
    """Operations and milliseconds of a token step of ``asked``, whose answers do not end by themselves."""
    policy._end_ids = frozenset()

    def run(tokens: int) -> None:
        policy.generate(asked, Sampling(n=samples, temperature=1.0, max_tokens=tokens))
        if policy.device.type == "cuda":
            torch.cuda.synchronize()

    for _ in range(3):  # the prefill is kept from here on; graphs are captured
        run(LONG)
    counted = []
    for tokens in (SHORT, LONG):
        with Operations() as operations:
            run(tokens)
        counted.append((operations.all, operations.launched))
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        run(SHORT)
        between = time.perf_counter()
        run(LONG)
        seconds.append(time.perf_counter() - between - (between - began))
    steps = LONG - SHORT
    every, launched = ((long - short) / steps for short, long in zip(*counted, strict=True))
    return {"operations": every, "launched": launched, "ms": 1000 * min(seconds) / steps}


def measure(
    layers: int, hidden: int, questions: int, samples: int, device: str, repeats: int = 3
) -> dict[str, dict[str, float]]:
    """The figures of each way."""
    asked, found = [Question(f"q{i}", None, TEXT, (), f"{TEXT} {i}") for i in range(questions)], {}
    ways = WAYS | ({"merged, CUDA graphs": {"merge_rollouts": True}} if device == "cuda" else {})
    with tempfile.TemporaryDirectory() as name:
        folder = checkpoint(Path(name) / "model", layers, hidden)
        for way, settings in ways.items():
            engine = EngineSettings(**{"cuda_graphs": "graphs" in way, **settings})
            policy = HFPolicy("deep", str(folder), device=device, max_tokens=LONG, engine=engine)
            if way != "base":
                policy.begin_training(Training(lora_r=16), seed=0)
            found[way] = step_cost(policy, asked, samples, repeats)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=36)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--questions", type=int, default=8)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    found = measure(args.layers, args.hidden, args.questions, args.samples, args.device)
    for way, one in found.items():
        print(f"  {way:22} {one['operations']:6.0f} operations, {one['launched']:6.0f} launched, {one['ms']:7.1f} ms")
    print(json.dumps({
        "benchmark": "decode_steps", "torch": torch.__version__, "threads": torch.get_num_threads(), **vars(args),
        "ways": {way: {name: round(value, 2) for name, value in one.items()} for way, one in found.items()},
    }))  # fmt: skip


if __name__ == "__main__":
    main()
