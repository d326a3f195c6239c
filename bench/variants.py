"""What five_seeds.py and sweep.py share: rows as data, runs that can be interrupted, and the rule of one commit."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from audio_eval.errors import UserError

VIEWS = "choices+shift+gain+paraphrase"  # view_ttrl's own
TRAIN = {"train_task": "synth_aqa:train"}
QUICK = {"steps": 2, "votes": 8, "epochs": 1, "samples": 2}
QUICK_FLAGS = {"limit": 8, "train_limit": 8}
WORDS = {f"views={VIEWS}": " +views", "labels=gold": ", gold labels", "labels=likelihood": ", likelihood labels"}
Asked = Literal["all", "quick", "finished"]


class Variant(NamedTuple):
    """One row: a method, its settings in the form of --method-args, and further flags."""

    method: str
    args: str = ""
    flags: dict[str, Any] = {}  # noqa: RUF012 (a default of a NamedTuple, never changed)

    @property
    def name(self) -> str:
        """Its name on the page, such as ``majority_vote +views``, ``sft, gold labels``, ``direct, silence``."""
        settings = [WORDS.get(setting, f", {setting}") for setting in self.args.split(",") if setting]
        audio = f", {self.flags['audio']}" if "audio" in self.flags else ""
        return "".join([self.method, *settings, audio])


class Work(NamedTuple):
    """Variants that one process runs one after another with one seed, so that they share votes and the model."""

    part: str
    task: str
    seed: int
    variants: Sequence[Variant]


class Done(NamedTuple):
    """A finished run."""

    part: str
    variant: str
    seed: int
    folder: Path


def add_arguments(parser: argparse.ArgumentParser, output: Path, seeds: str) -> None:
    """The flags of what to run, and where; ``output`` and ``seeds`` are defaults."""
    parser.add_argument("--output", type=Path, default=output)
    parser.add_argument("--seeds", default=seeds)
    parser.add_argument(
        "--runs", choices=get_args(Asked), default="all",
        help="quick: 8 items and 2 steps, to see that it runs; finished: run nothing, write the pages of finished runs",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, default=2)


def run_all(works: Iterable[Work], output: Path, asked: Asked, jobs: int) -> list[Done]:
    """The finished runs of ``works``, begun in their order, ``jobs`` at a time with one thread each.

    What is finished in ``output`` is not run again, and what was interrupted goes on. "quick": 8 items and 2 steps;
    "finished": nothing is run. A run that fails is named, and the others go on: the result is without it. Raises
    ``UserError`` where the runs would not be of one commit.
    """
    if asked == "all":
        from audio_eval.runs.environment import commit

        one_commit(folders_in(output), commit())
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    with ProcessPoolExecutor(jobs) as pool:
        running = [pool.submit(_run, work, output, asked) for work in works]
        done = [run for future in running for run in future.result()]
    if asked != "quick":
        one_commit([run.folder for run in done])
    return done


def failed(works: Iterable[Work], done: Sequence[Done], asked: Asked) -> str | None:
    """One line where runs that were asked for are not there; None where all are."""
    missing = sum(len(work.variants) for work in works) - len(done)
    return f"{missing} runs failed: they are named above." if missing and asked != "finished" else None


def one_commit(folders: Iterable[Path], now: str | None = "") -> str | None:
    """The commit on which all runs began; None without runs. ``now`` is that of runs that are still to come.

    ``UserError`` where commits differ, or where one is not known or had changes that were not committed.
    """
    from audio_eval.runlog import RunLog

    began = {folder: env.commit for folder in folders if (env := RunLog(folder).environment())}
    commits: dict[str | None, str] = {} if now == "" else {now: "the working tree"}
    for folder, commit in began.items():
        commits.setdefault(commit, f"'{folder}'")
    for commit, where in commits.items():
        if commit is None or commit.endswith("-dirty"):
            raise UserError(
                f"{where} is at {commit or 'no commit'}: numbers of changed code cannot be made again. Commit first."
            )
    if len(commits) > 1:
        told = ", ".join(f"{where} is at {str(commit)[:10]}" for commit, where in commits.items())
        raise UserError(f"the runs are not of one commit: {told}. Choose another --output, or remove the older runs.")
    return next(iter(commits), None)


def folders_in(output: Path) -> Iterator[Path]:
    """The run directories in ``output``, finished or not, in a folder per part: no two parts wait for one name."""
    return (path.parent for path in sorted(output.glob("*/*/env.json")))


def _run(work: Work, output: Path, asked: Asked) -> list[Done]:
    from audio_eval.cli.run import quiet_libraries
    from audio_eval.runs.execute import Executor
    from audio_eval.runs.plan import run_folder

    quiet_libraries()
    executor, done = Executor(), []
    for variant in work.variants:
        where = f"{work.part}, seed {work.seed}: {variant.name}"
        try:
            spec = spec_of(variant, work.task, work.seed, asked == "quick")
            folder = run_folder(spec, output / work.part)
            if asked == "finished" and not (folder / "result.json").is_file():
                continue
            result = executor.run(spec, folder).audio_eval
        except Exception as error:  # the other rows do not depend on it, and an hour of them would be lost
            print(f"{where}: FAILED, {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            continue
        print(f"{where}: {result.accuracy:.1f} %, {result.wall_s:.0f} s", flush=True)
        done.append(Done(work.part, variant.name, work.seed, folder))
    return done


def spec_of(variant: Variant, task: str, seed: int, quick: bool = False) -> Any:
    """The ``RunSpec`` of a variant on ``task``."""
    from audio_eval.registry import method_class
    from audio_eval.runs.plan import parse_args, plan

    known = method_class(variant.method).Config.model_fields
    args = {**parse_args(variant.args), **{k: v for k, v in QUICK.items() if quick and k in known}}
    flags = {"model": "tiny-omni", "method": variant.method, "tasks": task, "seed": seed, "save_every": 50}
    flags |= {**variant.flags, **(QUICK_FLAGS if quick else {})}
    (spec,) = plan({**flags, "method_args": ",".join(f"{key}={value}" for key, value in args.items())})
    return spec
