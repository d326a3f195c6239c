"""The main result: every method and control on the embedded benchmark, five seeds, all at their defaults.

    python bench/five_seeds.py --output runs/five-seeds --docs docs

Interrupted, the same command goes on. ``--jobs`` runs that many seeds side by side, one thread each. Writes
``<docs>/results.md`` (tables, the parts of view_ttrl, curves, reliability of labels, every run), ``<docs>/curve.svg``
and ``<docs>/reliability.svg``, and the table of the README; the last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

VIEWS = "choices+shift+gain+paraphrase"  # view_ttrl's own
TRAIN = {"train_task": "synth_aqa:train"}
GOLD = "labels=gold"


class Arm(NamedTuple):
    """One row: a method, its settings as --method-args takes them, and further flags."""

    method: str
    args: str = ""
    flags: dict[str, Any] = {}  # noqa: RUF012 (a default of a NamedTuple, never changed)
    seeds: int | None = None  # only the first so many

    @property
    def name(self) -> str:
        """What the page calls it."""
        audio = f"audio={self.flags['audio']}" if "audio" in self.flags else ""
        return " ".join(filter(None, [self.method, *self.args.split(","), audio]))


CURVE = {"curve_every": 25}
PARTS: dict[str, list[Arm]] = {
    "main": [
        Arm("direct"), Arm("majority_vote"), Arm("majority_vote", f"views={VIEWS}"), Arm("sft"),
        Arm("sft", f"views={VIEWS}"), Arm("ttrl"), Arm("aqa_ttrl", flags=CURVE), Arm("view_ttrl", flags=CURVE),
        Arm("random_reward"), Arm("format_reward"), Arm("wrong_majority"),
        *(Arm("direct", flags={"audio": audio}) for audio in ("silence", "shuffled", "none")),
        Arm("grpo", flags=TRAIN, seeds=2), Arm("sft", GOLD, TRAIN, seeds=2),
        Arm("sari", "chains=none,format=answer", TRAIN, seeds=2),
    ],
    "open": [
        Arm("direct"), Arm("op_ttrl", "reward=medoid"), Arm("op_ttrl", "reward=cluster"),
        Arm("op_ttrl", "reward=majority"), Arm("op_ttrl", "reward=empo"), Arm("op_ttrl", "reward=intuitor"),
        *(Arm("op_ttrl", args, seeds=1)
          for args in ("reward=evolrl", "reward=cluster,cluster_mode=kde", "reward=centroid", "reward=judge")),
    ],
    "views": [
        *(Arm("majority_vote", f"views={kind}", seeds=1)
          for kind in ("choices", "shift", "gain", "paraphrase", "noise", "resample")),
        *(Arm("view_ttrl", args, seeds=1) for args in ("answer_views=1", "views=none")),
    ],
}  # fmt: skip
QUICK = {"steps": 2, "votes": 8, "epochs": 1, "samples": 2}
TASKS = {"main": "synth_aqa", "open": "synth_aqa_open", "views": "synth_aqa"}


def run_seed(seed: int, place: int, part: str, task: str, output: str, asked: str) -> list[dict[str, Any]]:
    """Every arm of a part with one seed; what is there already is not run again. Returns where each run is.

    ``asked``: "all", "quick", or "finished": run nothing, and tell of what has ended.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    from audio_eval.cli.run import quiet_libraries
    from audio_eval.registry import method_class
    from audio_eval.runs.execute import Executor
    from audio_eval.runs.plan import parse_args, plan, run_folder

    quiet_libraries()
    executor, done = Executor(), []
    for arm in PARTS[part]:
        if arm.seeds is not None and place >= arm.seeds:
            continue
        known = method_class(arm.method).Config.model_fields
        args = {**{k: v for k, v in QUICK.items() if asked == "quick" and k in known}, **parse_args(arm.args)}
        flags = {"model": "tiny-omni", "method": arm.method, "tasks": task, "seed": seed, "save_every": 50, **arm.flags}
        flags |= {"limit": 8, "train_limit": 8} if asked == "quick" else {}
        (spec,) = plan({**flags, "method_args": ",".join(f"{key}={value}" for key, value in args.items())})
        folder = run_folder(spec, Path(output))
        if asked == "finished" and not (folder / "result.json").is_file():
            continue
        result = executor.run(spec, folder).audio_eval
        print(f"seed {seed} {part}: {arm.name}: {result.accuracy:.1f} %, {result.wall_s:.0f} s", flush=True)
        done.append({"part": part, "arm": arm.name, "seed": seed, "folder": str(folder)})
    return done


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default="runs/five-seeds")
    parser.add_argument("--docs", default="docs")
    parser.add_argument("--readme", default="README.md")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--split", default="test")
    parser.add_argument(
        "--runs", choices=("all", "quick", "finished"), default="all",
        help="quick: 8 items, 2 steps, that it runs; finished: run nothing, write the page of what is there",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    parts, seeds = args.parts.split(","), [int(seed) for seed in args.seeds.split(",")]
    suffix = "" if args.split == "test" else f":{args.split}"
    with ProcessPoolExecutor(args.jobs) as pool:
        running = [
            pool.submit(run_seed, seed, place, part, TASKS[part] + suffix, args.output, args.runs)
            for part in parts
            for place, seed in enumerate(seeds)
        ]
        runs = [run for future in running for run in future.result()]
    from results_page import write

    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        found[run["part"]].append(run)
    if "main" not in found:
        parser.error("the page is about the main part: name it in --parts.")
    print(json.dumps(write(dict(found), args)))


if __name__ == "__main__":
    main()
