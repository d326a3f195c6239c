"""How time and peak memory grow with the samples per question, the length of the audio and the number of items.

    python bench/growth.py --out docs/growth.svg

tiny-omni on the CPU, from files to answers, with cold caches. Every point is measured in a process of its own, so that
it has a memory peak of its own. The time is the best of ``--rounds`` processes with ``--repeats`` repetitions each; the
start of the process and the loading of the model are not included.

``n``: 32 questions of synth_aqa with this many samples each, at temperature 1.
``seconds``: 8 questions, greedy, with clips of synth_aqa joined to this length. At most 8 tokens, because the model
does not end its answers to clips longer than those of its training.
``items``: greedy, in chunks of 32 as in a run; every answer is kept. The same 32 recordings of synth_aqa are used under
different ids, because rendering 10,000 recordings takes longer than answering. So this shows all growth except that of
the clip cache, which has a limit of its own.

Writes a CSV beside the figure; the last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

Point = dict[str, float]
AXES: dict[str, tuple[int, ...]] = {
    "n": (4, 16, 64, 256),
    "seconds": (2, 5, 10, 20, 30, 60),
    "items": (100, 300, 1000, 3000, 10_000),
}
QUICK: dict[str, tuple[int, ...]] = {"n": (4, 16, 64), "seconds": (2, 10), "items": (64, 128)}
CHUNK = 32


def measure(axis: str, value: int, repeats: int) -> Point:
    """One point, measured in this process: seconds of wall time and peak resident memory in MB."""
    from audio_eval.cli.run import quiet_libraries
    from audio_eval.models.backends import Limits, load_policy
    from audio_eval.models.policy import Sampling
    from audio_eval.task import load_task

    quiet_libraries()
    asked = load_task("synth_aqa", limit=CHUNK).questions
    samplings = {"n": Sampling(n=value, temperature=1.0), "seconds": Sampling(max_tokens=8)}
    sampling = samplings.get(axis, Sampling())
    with tempfile.TemporaryDirectory() as folder:
        if axis == "seconds":
            asked = [replace(q, audio=_joined(asked, i, value, Path(folder))) for i, q in enumerate(asked[:8])]
        elif axis == "items":
            asked = [replace(asked[i % CHUNK], id=f"item{i}") for i in range(value)]
        best = float("inf")
        for _ in range(repeats if len(asked) <= 1000 else 1):
            policy = load_policy("tiny-omni", Limits(batch_size=CHUNK, device="cpu"))
            start = time.perf_counter()
            kept = []
            for at in range(0, len(asked), CHUNK):
                kept += policy.generate(asked[at : at + CHUNK], sampling)
            best = min(best, time.perf_counter() - start)
            assert all(group.size == sampling.n for group in kept)
    return {"value": value, "seconds": round(best, 4), "peak_mb": round(_peak_mb(), 1)}


def _joined(asked: Sequence[Any], start: int, seconds: float, folder: Path) -> Any:
    """The clips from index ``start`` on, joined to a WAV file of this many seconds."""
    from scipy.io import wavfile

    from audio_eval.audio import RATE, AudioRef

    joined, k = np.empty(0, np.float32), start
    while len(joined) < seconds * RATE:
        joined, k = np.concatenate([joined, asked[k % len(asked)].audio.load(RATE)]), k + 1
    path = folder / f"{start}.wav"
    wavfile.write(path, RATE, (joined[: int(seconds * RATE)] * 32767).astype(np.int16))
    return AudioRef(path=str(path))


def _peak_mb() -> float:
    """Peak memory of this process alone; getrusage would include the memory of its parent at the fork."""
    status = Path("/proc/self/status")
    if status.is_file():
        return int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


def in_fresh_process(axis: str, value: int, repeats: int) -> Point:
    """The same point, measured in a new interpreter."""
    command = [sys.executable, __file__, "--point", axis, str(value), "--repeats", str(repeats)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{axis}={value} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def plot(points: dict[str, list[Point]], path: Path) -> None:
    """Time and memory over each axis; x is logarithmic, y starts at 0."""
    import matplotlib
    import matplotlib.pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = "audio-eval"
    labels = {"n": "samples per question", "seconds": "seconds of audio", "items": "items"}
    figure, axes = plt.subplots(2, 3, figsize=(9.6, 5.0), sharex="col")
    for column, (axis, found) in enumerate(points.items()):
        for row, key in enumerate(("seconds", "peak_mb")):
            panel = axes[row][column]
            panel.plot([p["value"] for p in found], [p[key] for p in found], marker="o")
            panel.set_xscale("log")
            panel.set_ylim(bottom=0)
        axes[1][column].set_xlabel(labels[axis])
    axes[0][0].set_ylabel("time (s)")
    axes[1][0].set_ylabel("peak memory (MB)")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="docs/growth.svg")
    parser.add_argument("--repeats", type=int, default=3, help="repetitions per process")
    parser.add_argument("--rounds", type=int, default=3, help="processes per point, except for items")
    parser.add_argument("--quick", action="store_true", help="few and small points: a smoke test")
    parser.add_argument("--point", nargs=2, metavar=("AXIS", "VALUE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        print(json.dumps(measure(args.point[0], int(args.point[1]), args.repeats)))
        return
    import matplotlib  # not in the measured processes; at the start, so that its absence shows before the measuring

    matplotlib.use("svg")
    points: dict[str, list[Point]] = {}
    for axis, values in (QUICK if args.quick else AXES).items():
        rounds = []
        for _ in range(1 if args.quick or axis == "items" else args.rounds):
            rounds.append([in_fresh_process(axis, value, args.repeats) for value in values])
            print(axis, rounds[-1], flush=True)
        points[axis] = [min(measured, key=lambda p: p["seconds"]) for measured in zip(*rounds, strict=True)]
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["axis", "value", "seconds", "peak_mb"])
        writer.writerows([axis, *p.values()] for axis, found in points.items() for p in found)
    plot(points, out)
    by_n = {p["value"]: p["seconds"] for p in points["n"]}
    few, many = points["items"][-3 if len(points["items"]) > 2 else 0], points["items"][-1]
    growth = (many["peak_mb"] - few["peak_mb"]) / (many["value"] - few["value"]) * 1000
    print(json.dumps({
        "benchmark": "growth", "n16_to_n64": round(by_n[64] / by_n[16], 3),
        "rss_growth_mb_per_1000_items": round(growth, 2), "figure": str(out),
        "items_per_s": round(many["value"] / many["seconds"], 1),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
