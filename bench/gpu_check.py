"""What a GPU makes of the engine, against the bound of the card: times, peak memory, exactness, in one JSON.

    python bench/gpu_check.py [--dims 3b|7b|small] [--device cuda|cpu] [--out gpu_check.json]

Nothing is downloaded: the Omni thinker is built at the published dimensions with random weights, saved, and loaded like
any other. With random weights no answer ends by itself and nearly all samples differ, which is the worst case. Prompts
are as long as those of a question about 10 s of audio; recordings are features of noise. In order, each part by itself
and within a time limit, all together below ten minutes on an H100:

    load     the checkpoint, from a file that the page cache holds
    tower    64 recordings of 10 s through the audio tower
    greedy   200 items; eager: the same without CUDA graphs
    votes    64 items x 64 samples
    lora     three steps: rollouts of 8 questions x 4, and the update
    full     one such step with tune=full
    exact    at small dimensions in float32: GPU against CPU, merged against unmerged adapters, graphs against none

A part that fails is recorded, and the next one runs. Beside its seconds stands the bound: bytes that must be read over
the card's bandwidth for each token step, multiplications over its peak for prefill and update; beside its peak memory
what audio_eval/models/hf/needs.py says. Cards that are not in the table have no bound.

Where no network is: copy the repository and carry wheels of torch, transformers, peft, safetensors, numpy, pydantic and
huggingface_hub, with what they depend on (accelerate, filelock, jinja2, psutil and pyyaml among it). That is all: not
lm-eval, datasets, librosa, soundfile, scipy and the others of pyproject.toml, and nothing has to be installed.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
import transformers
from gpu_exact import PROMPT
from gpu_parts import Check
from time_limit import at_most

from audio_eval.models.hf.settings import EngineSettings

LIMITS = {"load": 120, "tower": 20, "greedy": 50, "eager": 60, "votes": 70, "lora": 70, "full": 120, "exact": 60}


def rounded(value: Any) -> Any:
    """Figures to four digits, in whatever holds them."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def run(args: argparse.Namespace) -> dict[str, Any]:
    """All parts, each with its result or its error."""
    parts: dict[str, Any] = {}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        check = Check(args, Path(name) / "model")
        for part, limit in LIMITS.items():
            if part not in args.parts:
                continue
            start = time.perf_counter()
            try:
                with at_most(limit):
                    parts[part] = getattr(check, part)()
            except Exception as error:  # one part less; the card's figures of the others are worth having
                parts[part] = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
            parts[part] = rounded(parts[part] | {"all_s": time.perf_counter() - start})
            print(f"{part:8} {json.dumps(parts[part])}", file=sys.stderr, flush=True)
            check.clear()
        return {
            "benchmark": "gpu_check", "card": check.name, "dims": args.dims, "parameters": check.parameters,
            "memory_gb": rounded(torch.cuda.get_device_properties(0).total_memory / 1e9) if check.cuda else None,
            "peaks": check.card and vars(check.card),
            "versions": {"python": platform.python_version(), "cuda": torch.version.cuda}
            | {name: version(name) for name in ("torch", "transformers", "peft", "safetensors")},
            "settings": {k: v for k, v in vars(args).items() if k not in ("folder", "out", "parts")}
            | {"prompt": PROMPT, "engine": EngineSettings().model_dump()},
            "parts": parts, "ok": all("error" not in part and part.get("ok", True) for part in parts.values()),
            "all_s": rounded(time.perf_counter() - began),
        }  # fmt: skip


def main() -> int:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dims", default="3b", help="small, wide, 3b, 7b")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--items", type=int, help="greedy answers (200; small: 8)")
    parser.add_argument("--voted", type=int, help="items with votes (64; small: 4)")
    parser.add_argument("--votes", type=int, help="votes for each (64; small: 8)")
    parser.add_argument("--step", type=int, help="questions of a step (8; small: 4)")
    parser.add_argument("--group", type=int, default=4, help="rollouts for each")
    parser.add_argument("--answer", type=int, default=8, help="tokens of an answer")
    parser.add_argument("--parts", default=",".join(LIMITS), help="only these parts, with commas")
    parser.add_argument("--folder", help="where the checkpoint is written (3b: 9 GB); default: the temporary folder")
    parser.add_argument("--out", help="a file for the JSON")
    args = parser.parse_args()
    small = args.dims == "small"
    args.items, args.voted = args.items or (8 if small else 200), args.voted or (4 if small else 64)
    args.votes, args.step = args.votes or (8 if small else 64), args.step or (4 if small else 8)
    args.parts = args.parts.split(",")
    if args.device == "cuda" and not torch.cuda.is_available():
        print("no GPU that torch can use: --device cpu --dims small tries the script", file=sys.stderr)
        return 1
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    found = json.dumps(run(args))
    if args.out:
        Path(args.out).write_text(found + "\n")
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
