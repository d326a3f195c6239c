"""Two runs on one machine at the same time against one alone: how much they slow each other down.

    python bench/two_at_once.py [--items 128] [--steps 15] [--repeats 2]

Each run is ``audio-eval --method aqa_ttrl`` in a process of its own, with the embedded model. Its time is the wall time
that it logs; the best of the repeats counts. Runs that share the cores evenly take twice as long; with threads that
spin while they wait they take ten times as long. The last line is one JSON object: ``ratio`` is the time of the slower
of two runs divided by the time of one alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

THREADING = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def start(output: Path, items: int, steps: int) -> subprocess.Popen[bytes]:
    """Start one run with the harness's own thread settings."""
    environment = {key: value for key, value in os.environ.items() if key not in THREADING}
    command = [
        sys.executable, "-m", "audio_eval", "--model", "tiny-omni", "--method", "aqa_ttrl", "--tasks", "synth_aqa",
        "--method-args", f"votes=16,steps={steps}", "--limit", str(items), "--output", str(output),
    ]  # fmt: skip
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def seconds(count: int, items: int, steps: int) -> list[float]:
    """Wall times of ``count`` runs that start together."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder) / str(number) for number in range(count)]
        for process in [start(output, items, steps) for output in outputs]:
            if process.wait():
                raise SystemExit(f"a run failed with exit code {process.returncode}")
        results = [json.loads(next(output.glob("*/result.json")).read_text()) for output in outputs]
    return [result["audio_eval"]["wall_s"] for result in results]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=128)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=2)
    args = parser.parse_args()
    seconds(1, 8, 1)  # clips are rendered once, before anything is timed
    alone = min(seconds(1, args.items, args.steps)[0] for _ in range(args.repeats))
    together = min(max(seconds(2, args.items, args.steps)) for _ in range(args.repeats))
    print(f"one alone {alone:.1f} s; two at once {together:.1f} s each")
    print(json.dumps({"alone_s": alone, "together_s": together, "ratio": round(together / alone, 3)}))


if __name__ == "__main__":
    main()
