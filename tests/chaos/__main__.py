"""Disturb runs in many ways and count what came of it: ``python -m tests.chaos [--minutes 9] [--seed 0]``.

Each case ends, resumed, with the bytes of the run that was left alone, or in one line with exit code 1 or 2.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from tabulate import tabulate

from tests.chaos.cases import METHODS, Case, Chaos, Skipped
from tests.chaos.commands import Commands
from tests.chaos.small_disk import small_disks

PRELOADED = (
    "audio_eval.runs.execute",
    "audio_eval.cli.main",
    "audio_eval.cli.ending",
    "audio_eval.cli.bars",
    "audio_eval.models.hf.policy",
    "audio_eval.models.hf.families.omni",
    "audio_eval.report.page",
    "audio_eval.compare.page",
    "audio_eval.leaderboard",
    "audio_eval.sharing.importing",
    "audio_eval.sharing.export",
    "peft",
    "librosa",
    "scipy.stats",
    "lm_eval.tasks",
    "transformers.models.qwen2_5_omni.modeling_qwen2_5_omni",
    "rich.progress",
    "rich.panel",
)
ALONE = "vanishing data"  # its cases move what they share, so one worker has them all


def prepare() -> None:
    """Do once, before the forks, what each process of a command would do again; nothing that begins a thread."""
    for module in PRELOADED:
        importlib.import_module(module)
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    from audio_eval.registry import method_class
    from audio_eval.report import write
    from audio_eval.runs.source_code import source_digests

    get_checkpoint_conversion_mapping("")  # a thousand regular expressions
    for method in METHODS:
        source_digests(method_class(method.partition("-")[0]))
    write.BUDGET_AT_END = 0  # no sounds in the pages of runs, which take seconds in each new process


def spread(kinds: dict[str, list[tuple[str, Case]]]) -> list[tuple[str, str, Case]]:
    """All cases, each kind spread evenly over the time."""
    placed = [
        ((place + 0.5) / len(cases), kind, name, case)
        for kind, cases in kinds.items() for place, (name, case) in enumerate(cases)
    ]  # fmt: skip
    return [(kind, name, case) for _, kind, name, case in sorted(placed, key=lambda entry: entry[:2])]


def shares(cases: list[tuple[str, str, Case]], workers: int) -> list[list[tuple[str, str, Case]]]:
    """The cases of each worker."""
    found: list[list[tuple[str, str, Case]]] = [[] for _ in range(workers)]
    for case in cases:
        (found[0] if case[0] == ALONE else min(found, key=len)).append(case)
    return found


def work_off(chaos: Chaos, worker: int, cases: list[tuple[str, str, Case]], until: float) -> int:
    """Fork a worker that runs the cases until the time is over, and writes what came of each; its process."""
    if pid := os.fork():
        return pid
    chaos.worker, code = worker, 1
    try:
        with (chaos.work / f"done-{worker}.jsonl").open("w") as out:
            for kind, name, check in cases:
                if time.monotonic() > until:
                    break
                wrong, skipped = None, None
                try:
                    wrong = check()
                except Skipped as reason:
                    skipped = str(reason)
                except Exception:
                    wrong = f"the case itself failed: {traceback.format_exc()}"
                told = {"kind": kind, "case": name, "wrong": wrong, "skipped": skipped}
                print(json.dumps(told), file=out, flush=True)
                if wrong:
                    print(f"{kind}, {name}: {wrong}", file=sys.stderr, flush=True)
        code = 0
    finally:
        os._exit(code)


def main() -> int:
    """Run the cases with a worker for each core until the time is over; 1 if any went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--kinds", help="kinds with a comma between; the default is all")
    parser.add_argument("--keep", type=Path, help="a new folder for the runs; what went wrong stays there")
    arguments = parser.parse_args()
    began = time.monotonic()
    prepare()
    work = arguments.keep or Path(tempfile.mkdtemp(prefix="chaos-"))
    chaos = Chaos(work.resolve(), arguments.seed)
    commands = Commands(chaos)
    makers = {
        "kill at an operation": chaos.kill_points, "kill of another command": commands.kill_points,
        "random kill": chaos.random_kills, "damaged file": chaos.damaged_files, "full disk": chaos.full_disks,
        "full disk of another command": commands.full_disks, "small tmpfs": lambda: small_disks(chaos),
        "two owners": chaos.two_owners, ALONE: chaos.vanishing_data, "same command again": chaos.same_again,
    }  # fmt: skip
    kinds = {kind: list(makers[kind]()) for kind in (arguments.kinds.split(",") if arguments.kinds else makers)}
    until = began + arguments.minutes * 60
    dealt = shares(spread(kinds), arguments.workers)
    workers = [work_off(chaos, number, cases, until) for number, cases in enumerate(dealt)]
    ended = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers]
    done = [json.loads(line) for file in sorted(chaos.work.glob("done-*.jsonl"))
            for line in file.read_text().splitlines()]  # fmt: skip
    counted, failures = Counter(case["kind"] for case in done), [case for case in done if case["wrong"]]
    failed, skipped = (Counter(case["kind"] for case in done if case[why]) for why in ("wrong", "skipped"))
    print(tabulate(
        [(kind, len(cases), counted[kind] - skipped[kind], skipped[kind], failed[kind])
         for kind, cases in kinds.items()],
        headers=["kind", "cases", "done", "skipped", "failed"],
    ))  # fmt: skip
    for reason in sorted({f"skipped {case['kind']}: {case['skipped']}" for case in done if case["skipped"]}):
        print(reason)
    seconds, operations = round(time.monotonic() - began), sum(map(len, chaos.operations.values()))
    print(json.dumps({"seed": arguments.seed, "seconds": seconds, "operations": operations, "failures": failures}))
    if not failures and not arguments.keep:
        shutil.rmtree(work)
    return 1 if failures or any(ended) else 0


if __name__ == "__main__":
    raise SystemExit(main())
