"""Memory and time of building a task of 9000 items of 30 s, in three ways, each in a process of its own.

    python bench/task_memory.py [--items 9000] [--seconds 30]

Writes the layout of MMAU test into a temporary folder: the metadata, and one WAV file of 30 s with hard links for all
items (8.6 GB for a reader). Then ``load_task("mmau_test")`` and lm-eval's own TaskManager build the task, each in a
process of its own; resident memory is read before and after. For comparison a third process keeps the decoded waveforms
of the first 100 items in memory, as lm-eval's one audio task does (arrays in the docs); its memory is scaled to all
items.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

PROBE = """
import json, sys, time
import psutil
began = time.monotonic()
process = psutil.Process()
start = process.memory_info().rss
{imports}
imported = process.memory_info().rss
ready = time.monotonic()
{build}
print(json.dumps({{"imports_mb": round(imported / 2**20), "after_mb": round(process.memory_info().rss / 2**20),
                   "imports_s": round(ready - began, 2), "build_s": round(time.monotonic() - ready, 2), "n": n}}))
"""
OURS = (
    "from audio_eval.task import load_task\nimport datasets, lm_eval.tasks",
    "task = load_task('mmau_test', None, sys.argv[1]); n = len(task.questions)",
)
LM_EVAL = (
    "from lm_eval.tasks import TaskManager\nimport datasets, audio_eval.task_index as c",
    "m = TaskManager(include_path=str(c.TASKS_DIR), include_defaults=False, metadata={'data_dir': sys.argv[1]})\n"
    "task = m.load(['mmau_test'])['tasks']['mmau_test']; task.build_all_requests(); n = len(task.instances)",
)
ARRAYS = (
    "from audio_eval.task import load_task\nimport datasets, lm_eval.tasks, librosa",
    "task = load_task('mmau_test', None, sys.argv[1], limit=100)\n"
    "waves = [q.audio.load() for q in task.questions]; n = len(waves)",
)


def write_layout(folder: Path, items: int, seconds: float) -> None:
    """MMAU test's metadata and recordings below ``folder``."""
    audio = folder / "mmau" / "test-audios"
    audio.mkdir(parents=True)
    noise = np.random.default_rng(0).normal(0, 0.05, int(seconds * 16_000))
    soundfile.write(audio / "0.wav", noise, 16_000, subtype="PCM_16")
    rows = []
    for i in range(items):
        if i:
            os.link(audio / "0.wav", audio / f"{i}.wav")
        rows.append({
            "id": f"{i:08d}-0000-0000-0000-000000000000", "audio_id": f"./test-audios/{i}.wav",
            "question": "Based on the given audio, identify the source of the sound that is heard most often.",
            "choices": [f"The {what} of item {i}" for what in ("engine", "dog", "speaker", "rain")], "answer": "",
            "dataset": "AudioSet", "task": ("sound", "music", "speech")[i % 3], "split": "test",
            "category": "Reasoning", "sub-category": "Acoustic Source Inference", "difficulty": "medium",
        })  # fmt: skip
    (folder / "mmau" / "mmau-test.json").write_text(json.dumps(rows))


def measure(code: tuple[str, str], folder: Path) -> dict[str, float]:
    """Run a probe in a new process; returns what it measured."""
    script = PROBE.format(imports=code[0], build=code[1])
    done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=9000)
    parser.add_argument("--seconds", type=float, default=30.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        write_layout(Path(name), args.items, args.seconds)
        probes = {"ours": OURS, "lm_eval": LM_EVAL, "arrays": ARRAYS}
        found = {what: measure(code, Path(name)) for what, code in probes.items()}
    each = (found["arrays"]["after_mb"] - found["arrays"]["imports_mb"]) / found["arrays"]["n"]
    for what, figures in found.items():
        memory = f"imports {figures['imports_mb']} MB, then {figures['after_mb']} MB with {figures['n']} items"
        print(f"{what:8} {memory}; imports {figures['imports_s']} s, build {figures['build_s']} s")
    print(f"decoded waveforms in the docs would take {each * args.items / 1024:.1f} GB more")
    mine = found["ours"]
    print(json.dumps({
        "benchmark": "task_memory", "items": args.items, "seconds": args.seconds, "resident_mb": mine["after_mb"],
        "build_s": mine["build_s"], "lm_eval_resident_mb": found["lm_eval"]["after_mb"],
        "ratio": round((each * args.items + mine["imports_mb"]) / mine["after_mb"], 1),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
