"""The same command twice, in new processes: the same bytes. ``python -m tests.determinism [--device cuda]``

Every registered method runs with the embedded model, small but whole, and all that the two runs wrote is compared:
responses, votes, labels, rollouts, metrics, adapters, scores, figures and tables. What may differ says
``tests/chaos/same.py`` (times, the command, the page) and ``TIMES`` below. The two processes have different seeds of
Python's hashes, so that no result rests on the order of a set. On a GPU the runs have ``--deterministic``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tabulate import tabulate

from audio_eval.plugins import registered
from tests.chaos.same import contents, difference

TIMES = ("wall_s", "device_hours", "audio_rate")  # of a row of the leaderboard
_PROGRAM = "from audio_eval.cli.main import main; raise SystemExit(main())"
_TRAIN = "steps=2,batch_size=2,lr=0.001"
_LABELLED = ["--train-task", "synth_aqa:train", "--train-limit", "6"]
# What each command runs: methods with their settings, and further flags. "" takes the methods that no other names.
COMMANDS: dict[str, tuple[str, str, list[str]]] = {
    "transductive": ("", f"votes=4,{_TRAIN},tune=lora", ["--curve-every", "2"]),
    "all weights": ("aqa_ttrl,sft", f"votes=4,{_TRAIN},sft.epochs=1,beta=0.04,inner_updates=2,tune=full", []),
    "chains of thought": (
        "xs_cot", "epochs=1,stages=2,batch_size=2,lr=0.001", ["--train-task", "avqa", "--prompt", "xs_cot"],
    ),
    "labelled": ("grpo,sari", f"{_TRAIN},group_size=4,samples=4,grpo.tune=lora", _LABELLED),
    "open, majority": ("op_ttrl", f"{_TRAIN},group_size=4,reward=majority", ["--tasks", "synth_aqa_open"]),
    "open, intuitor": ("op_ttrl", f"{_TRAIN},group_size=4,reward=intuitor", ["--tasks", "synth_aqa_open"]),
    "shuffled audio": ("direct,majority_vote", "votes=4,views=choices+shift+gain", ["--audio", "shuffled"]),
}  # fmt: skip


def flags_of(command: str) -> list[str]:
    """The command line after ``audio-eval``, without the output."""
    methods, settings, more = COMMANDS[command]
    named = {name for other, _, _ in COMMANDS.values() for name in other.split(",")} - {"direct", "aqa_ttrl", "sft"}
    methods = methods or ",".join(sorted(registered("methods").keys() - named | {"direct", "majority_vote"}))
    tasks = [] if "--tasks" in more else ["--tasks", "synth_aqa"]
    return ["--model", "tiny-omni", "--method", methods, "--method-args", settings, *tasks, *more]


def write_chains(data_dir: Path) -> None:
    """A training task with chains of thought, in AVQA's layout, which xs_cot learns from: four tones."""
    (data_dir / "avqa").mkdir(parents=True)
    rows = []
    for i in range(4):
        tone = 0.3 * np.sin(2 * np.pi * (200 + 150 * i) * np.arange(16000) / 16000)
        soundfile.write(data_dir / "avqa" / f"{i}.wav", tone, 16000)
        parts = {"transcript": f"Ton {i}.", "english_instruction": f"Tone {i}.", "english_response": "It rises."}
        rows.append({
            "id": i, "question_text": "How does the pitch move?", "multi_choice": ["rising", "falling"], "answer": 0,
            "audio_path": f"{i}.wav", "rationale": parts,
        })  # fmt: skip
    (data_dir / "avqa" / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))


def run(command: str, folder: Path, hash_seed: int, more: list[str]) -> None:
    """One command and its tables, each in a process of its own."""
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    runs = [*flags_of(command), *more, "--output", str(folder / "runs")]
    for arguments in (runs, ["leaderboard", str(folder / "runs"), "-o", str(folder / "tables")]):
        ended = subprocess.run(
            [sys.executable, "-c", _PROGRAM, *arguments], env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if ended.returncode:
            raise SystemExit(f"{command}: {' '.join(arguments)} ended with {ended.returncode}: {ended.stderr[-800:]}")


def compare(one: Path, two: Path) -> tuple[list[Path], list[str]]:
    """The run directories of the first, and what differs in those of the second or in the tables."""
    runs = sorted(path for path in (one / "runs").iterdir() if path.is_dir())
    others = sorted(path.name for path in (two / "runs").iterdir() if path.is_dir())
    wrong = [] if [path.name for path in runs] == others else [f"other runs: {others}"]
    found = {path.name: difference(two / "runs" / path.name, path) for path in runs if path.name in others}
    wrong += [f"{name}: {what}" for name, what in found.items() if what]
    if _rows(one) != _rows(two):
        wrong.append("tables differ")
    return runs, wrong


def _rows(folder: Path) -> Any:
    """The tables' rows with all their columns, without times and places."""
    text = (folder / "tables" / "leaderboard.json").read_text().replace(str(folder), "")
    rows = json.loads(re.sub(r'"(started|command)": [^,}]*', "", text))["rows"]
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def main() -> int:
    """Run each command twice and print what was compared; 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu, cuda")
    parser.add_argument("--limit", type=int, default=12, help="items of each task")
    parser.add_argument("--only", choices=COMMANDS, help="one of the commands")
    parser.add_argument("--keep", type=Path, help="a new folder for the runs")
    arguments = parser.parse_args()
    work = arguments.keep or Path(tempfile.mkdtemp(prefix="determinism-"))
    more = ["--limit", str(arguments.limit), "--batch-size", "4", "--device", arguments.device]
    more += ["--train-data-dir", str(work / "data")]
    more += ["--deterministic"] if arguments.device != "cpu" else []
    write_chains(work / "data")
    began, table, differing = time.monotonic(), [], []
    for command in [arguments.only] if arguments.only else COMMANDS:
        places = [work / command.replace(" ", "-") / name for name in ("one", "two")]
        for hash_seed, place in enumerate(places, 1):
            run(command, place, hash_seed, more)
        runs, wrong = compare(*places)
        files = [data for path in runs for data in contents(path).values()]
        table.append((command, len(runs), len(files), sum(map(len, files)), len(wrong)))
        differing += [f"{command}: {what}" for what in wrong]
        print(*differing[-len(wrong) :] if wrong else [], sep="\n", end="", file=sys.stderr, flush=True)
    print(tabulate(table, headers=["command", "runs", "files", "bytes", "differing"]))
    print(f"{arguments.device}, {os.environ.get('OMP_NUM_THREADS', 'all')} threads, {time.monotonic() - began:.0f} s")
    if not differing and not arguments.keep:
        shutil.rmtree(work)
    return 1 if differing else 0


if __name__ == "__main__":
    raise SystemExit(main())
