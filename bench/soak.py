"""Long runs, and many at once: memory, open files and threads stay flat, and runs that share a folder do not meet.

    python bench/soak.py [--items 20000] [--votes-items 5000] [--steps 2000] [--runs 10] [--output DIR]

``items``: an evaluation (direct) of so many questions, in MMAR's layout, over 50 recordings of half a second.
``votes``: two runs of one command (majority_vote, aqa_ttrl) that share the votes on so many of them.
``steps``: an adaptation (aqa_ttrl, small) of so many steps, with a checkpoint after each.
``runs``: so many processes at once into one output folder; see soak_at_once.py.

Each is ``audio-eval`` in a process of its own, with the embedded model, looked at from outside: what the system says of
its resident memory, open files and threads, beside the lines that it has written. What is told for 10 %, 50 % and 100 %
is the median over the tenth of the run before that point. From 10 % to 100 % the memory may grow by ``BYTES_PER_ITEM``
or ``BYTES_PER_STEP`` and ``SLACK_MIB``, which is what the allocator may keep; files by one, which is being written;
threads not at all. A size of 0 leaves a part out. Ends with 1 where a bound is broken. The last line is a JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soak_at_once
import soundfile
from tabulate import tabulate

BYTES_PER_ITEM, BYTES_PER_STEP, SLACK_MIB = 512, 2048, 48
WRITTEN = 1  # a file that is being written at the moment, of short runs seen as often as not
RECORDINGS = 50
SHARES = (0.1, 0.5, 1.0)
VOTES = 8  # of an item
# of aqa_ttrl: steps as short as they come
SMALL = "votes=4,group_size=2,batch_size=2,max_attempts=1"


@dataclass(frozen=True)
class Seen:
    """What a process had when so many lines were written."""

    done: int
    rss_mib: float
    files: int
    threads: int


class Lines:
    """Counts the lines of files that grow."""

    def __init__(self, *paths: Path) -> None:
        self.count, self._read = 0, dict.fromkeys(paths, 0)

    def now(self) -> int:
        """How many there are; what was counted is not read again."""
        for path, known in self._read.items():
            if path.is_file():
                with path.open("rb") as file:
                    file.seek(known)
                    new = file.read()
                self.count += new.count(b"\n")
                self._read[path] = known + len(new)
        return self.count


def command(method: str, task: str, output: Path, *flags: str) -> list[str]:
    """audio-eval with the embedded model."""
    start = [sys.executable, "-m", "audio_eval", "--model", "tiny-omni"]
    return [*start, "--method", method, "--tasks", task, "--output", str(output), *flags]


def watch(run: Sequence[str], lines: Lines, log: Path, every: float) -> list[Seen]:
    """Run a command to its end; returns what was seen of it, every so many seconds."""
    seen = []
    with log.open("wb") as said:
        process = subprocess.Popen(run, stdout=said, stderr=said)
        known = psutil.Process(process.pid)
        try:
            while process.poll() is None:
                done = lines.now()
                try:
                    now = Seen(done, known.memory_info().rss / 2**20, known.num_fds(), known.num_threads())
                except psutil.Error:  # it has ended just now
                    break
                seen.append(now)
                time.sleep(every)
        finally:
            process.kill()
    if process.wait():
        raise SystemExit(f"a run ended with {process.returncode}: {log.read_text(errors='replace')[-500:]}")
    return seen


def figures(seen: Sequence[Seen], total: int, bytes_each: int) -> dict[str, Any]:
    """Medians at ``SHARES`` of the run, growth from the first to the last of them, and whether it is in its bounds."""
    going = [one for one in seen if 0 < one.done < total]  # before are imports, behind them scores and pages
    at = {}
    for share in SHARES:
        near = [one for one in going if (share - 0.1) * total <= one.done <= share * total]
        if not near:
            raise SystemExit(f"nothing was seen of the run around {share:.0%} of {total}: it is too short")
        at[f"{share:.0%}"] = {
            key: statistics.median(getattr(one, key) for one in near) for key in ("rss_mib", "files", "threads")
        }
    first, last = at["10%"], at["100%"]
    grown, allowed = last["rss_mib"] - first["rss_mib"], bytes_each * 0.9 * total / 2**20 + SLACK_MIB
    return {
        "total": total, "at": at, "grown_mib": round(grown, 1), "allowed_mib": round(allowed, 1),
        "bytes_each": round(grown * 2**20 / (0.9 * total)), "peak_mib": round(max(one.rss_mib for one in seen)),
        "ok": grown <= allowed and last["files"] <= first["files"] + WRITTEN and last["threads"] <= first["threads"],
    }  # fmt: skip


def benchmark(folder: Path, items: int) -> None:
    """MMAR's metadata and recordings below ``folder``. Of the options of an item three are its own; the fourth is what
    the embedded model calls noise, so that votes name an option and every item has a label.
    """
    audio = folder / "mmar" / "audio"
    audio.mkdir(parents=True)
    noise = np.random.default_rng(0).normal(0, 0.05, (RECORDINGS, 8_000))
    for number, samples in enumerate(noise):
        soundfile.write(audio / f"{number}.wav", samples, 16_000, subtype="PCM_16")
    what, truth = ("dog", "cat", "rain", "drum", "voice", "engine"), "hiss"
    with (folder / "mmar" / "MMAR-meta.jsonl").open("w") as file:
        for i in range(items):
            choices = [f"a {what[(i + k) % 6]} of item {i}" for k in range(3)]
            choices.insert(i % 4, truth)
            row = {
                "id": f"item{i}", "audio_path": f"./audio/{i % RECORDINGS}.wav", "question": f"What is heard in {i}?",
                "choices": choices, "answer": truth, "modality": "sound", "category": "Signal Layer",
                "sub-category": "Pitch",
            }  # fmt: skip
            file.write(json.dumps(row) + "\n")


def soak_items(folder: Path, items: int, method: str, settings: str, every: float) -> dict[str, Any]:
    """An evaluation of so many items."""
    benchmark(folder, items)
    more = ["--method-args", settings] if settings else []
    run = command(method, "mmar", folder / "runs", "--data-dir", str(folder), *more)
    lines = Lines(folder / "runs" / f"tiny-omni-{method}-mmar-seed0" / "responses.jsonl")
    return figures(watch(run, lines, folder / "items.log", every), items, BYTES_PER_ITEM)


def soak_votes(folder: Path, items: int, every: float) -> dict[str, Any]:
    """A vote on so many items by one run; a second run of the command takes the votes over and counts them.

    The lines are the answers of both, so that up to 50 % the first votes and from there on the second answers.
    """
    benchmark(folder, items)
    settings = ("--method-args", f"votes={VOTES},steps=0", "--data-dir", str(folder))
    run = command("majority_vote,aqa_ttrl", "mmar", folder / "runs", *settings)
    first, second = (folder / "runs" / f"tiny-omni-{name}-mmar-seed0" for name in ("majority_vote", "aqa_ttrl"))
    lines = Lines(first / "responses.jsonl", second / "responses.jsonl")
    return figures(watch(run, lines, folder / "votes.log", every), 2 * items, BYTES_PER_ITEM // 2)


def soak_steps(folder: Path, steps: int, every: float) -> dict[str, Any]:
    """An adaptation of so many steps."""
    settings = ("--method-args", f"{SMALL},steps={steps}", "--limit", "32")
    run = command("aqa_ttrl", "synth_aqa", folder / "runs", *settings)
    lines = Lines(folder / "runs" / "tiny-omni-aqa_ttrl-synth_aqa-seed0" / "metrics.jsonl")
    return figures(watch(run, lines, folder / "steps.log", every), steps, BYTES_PER_STEP)


def main() -> int:
    """Soak, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--method", default="direct", help="the method of the evaluation")
    parser.add_argument("--method-args", default="", help="its settings")
    parser.add_argument("--votes-items", type=int, default=5_000)
    parser.add_argument("--steps", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--every", type=float, help="seconds between looks (default: 0.1 for short runs, else 2)")
    parser.add_argument("--output", type=Path, help="keep the runs here (default: a temporary folder)")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # of all runs, so that ten on a machine are as fast as one after another
    every = args.every or (0.1 if max(args.items, args.votes_items, args.steps) < 1_000 else 2.0)
    found: dict[str, Any] = {"benchmark": "soak"}
    with tempfile.TemporaryDirectory() as name:
        folder = args.output or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        if args.items:
            found["items"] = soak_items(folder, args.items, args.method, args.method_args, every)
        if args.votes_items:
            found["votes"] = soak_votes(folder / "of_votes", args.votes_items, every)
        if args.steps:
            found["steps"] = soak_steps(folder, args.steps, every)
        for part in ("items", "votes", "steps"):
            if part in found:
                show(part, found[part])
        if args.runs:
            found["at_once"] = soak_at_once.soak(folder, args.runs)
            for fault in found["at_once"]["faults"]:
                print(f"at once: {fault}")
    found["ok"] = all(part["ok"] for part in found.values() if isinstance(part, dict))
    print(json.dumps(found))
    return 0 if found["ok"] else 1


def show(part: str, found: dict[str, Any]) -> None:
    """A table of a part."""
    rows = [(share, round(f["rss_mib"], 1), f["files"], f["threads"]) for share, f in found["at"].items()]
    print(tabulate(rows, [f"of {found['total']} {part}", "resident MiB", "open files", "threads"]))
    print(
        f"grown by {found['grown_mib']} MiB, {found['allowed_mib']} are allowed; peak {found['peak_mib']} MiB",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
