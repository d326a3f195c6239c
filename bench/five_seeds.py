"""The main result: every method and control on the embedded benchmark, with five seeds, at the default settings.

    python bench/five_seeds.py --output runs/five-seeds --docs docs

After an interruption, the same command continues. ``--jobs`` seeds run at the same time, with one thread each. Writes
``<docs>/results.md`` (table, comparisons, labels, curves), ``<docs>/results-details.md`` (all columns, sources, groups,
every run), ``<docs>/curve.svg``, ``<docs>/reliability.svg`` and the table of the README. The last line printed is one
JSON object.
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


class Variant(NamedTuple):
    """One row: a method, its settings in the form of --method-args, and further flags."""

    method: str
    args: str = ""
    flags: dict[str, Any] = {}  # noqa: RUF012 (a default of a NamedTuple, never changed)
    seeds: int | None = None  # how many of the seeds; None: all

    @property
    def name(self) -> str:
        """Its name on the page, such as ``majority_vote +views``, ``sft, gold labels``, ``direct, silence``."""
        words = {f"views={VIEWS}": " +views", GOLD: ", gold labels", "": ""}
        settings = (words.get(setting, f", {setting}") for setting in self.args.split(","))
        audio = f", {self.flags['audio']}" if "audio" in self.flags else ""
        return "".join([self.method, *settings, audio])


CURVE = {"curve_every": 25}
PARTS: dict[str, list[Variant]] = {
    "main": [
        Variant("direct"), Variant("majority_vote"), Variant("majority_vote", f"views={VIEWS}"), Variant("sft"),
        Variant("sft", f"views={VIEWS}"), Variant("ttrl"), Variant("aqa_ttrl", flags=CURVE),
        Variant("view_ttrl", flags=CURVE), Variant("random_reward"), Variant("format_reward"),
        Variant("wrong_majority"),
        *(Variant("direct", flags={"audio": audio}) for audio in ("silence", "shuffled", "none")),
        Variant("grpo", flags=TRAIN, seeds=2), Variant("sft", GOLD, TRAIN, seeds=2),
        Variant("sari", "chains=none,format=answer", TRAIN, seeds=2),
    ],
    "open": [
        Variant("direct"), Variant("op_ttrl", "reward=medoid"), Variant("op_ttrl", "reward=cluster"),
        Variant("op_ttrl", "reward=majority"), Variant("op_ttrl", "reward=empo"), Variant("op_ttrl", "reward=intuitor"),
        *(Variant("op_ttrl", args, seeds=1)
          for args in ("reward=evolrl", "reward=cluster,cluster_mode=kde", "reward=centroid", "reward=judge")),
    ],
    "views": [
        *(Variant("majority_vote", f"views={kind}", seeds=1)
          for kind in ("choices", "shift", "gain", "paraphrase", "noise", "resample")),
        *(Variant("view_ttrl", args, seeds=1) for args in ("anchor=false", "answer_views=1", "views=none")),
    ],
}  # fmt: skip
QUICK = {"steps": 2, "votes": 8, "epochs": 1, "samples": 2}
TASKS = {"main": "synth_aqa", "open": "synth_aqa_open", "views": "synth_aqa"}


def run_seed(seed: int, place: int, part: str, task: str, output: str, asked: str) -> list[dict[str, Any]]:
    """Run every variant of a part with one seed; finished runs are not repeated. Returns where each run is.

    ``place`` is the seed's index in the list of seeds. ``asked``: "all", "quick", or "finished": run nothing, and
    return the runs that have ended.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    from audio_eval.cli.run import quiet_libraries
    from audio_eval.registry import method_class
    from audio_eval.runs.execute import Executor
    from audio_eval.runs.plan import parse_args, plan, run_folder

    quiet_libraries()
    executor, done = Executor(), []
    for variant in PARTS[part]:
        if variant.seeds is not None and place >= variant.seeds:
            continue
        known = method_class(variant.method).Config.model_fields
        args = {**{k: v for k, v in QUICK.items() if asked == "quick" and k in known}, **parse_args(variant.args)}
        flags = {
            "model": "tiny-omni",
            "method": variant.method,
            "tasks": task,
            "seed": seed,
            "save_every": 50,
            **variant.flags,
        }
        flags |= {"limit": 8, "train_limit": 8} if asked == "quick" else {}
        (spec,) = plan({**flags, "method_args": ",".join(f"{key}={value}" for key, value in args.items())})
        folder = run_folder(spec, Path(output))
        if asked == "finished" and not (folder / "result.json").is_file():
            continue
        result = executor.run(spec, folder).audio_eval
        print(f"seed {seed} {part}: {variant.name}: {result.accuracy:.1f} %, {result.wall_s:.0f} s", flush=True)
        done.append({"part": part, "variant": variant.name, "seed": seed, "folder": str(folder)})
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
        help="quick: 8 items and 2 steps, to see that it runs; finished: run nothing, write the pages of finished runs",
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
        parser.error("the pages need the main part: name it in --parts.")
    print(json.dumps(write(dict(found), args)))


if __name__ == "__main__":
    main()
