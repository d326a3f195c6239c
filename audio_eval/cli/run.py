"""Run methods on tasks and compare them; bare flags mean run."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from audio_eval.cli.flags import add_lm_eval_flags, add_run_fields, given
from audio_eval.errors import TooManyErrors, as_user_error
from audio_eval.registry import failed
from audio_eval.runlog import ResponsesSpec, ResultRow, RunLog, RunSpec
from audio_eval.runs.plan import listed, other_settings, plan, run_folder
from audio_eval.terminal import filter_logs, say

if TYPE_CHECKING:
    from audio_eval.runs.execute import Executor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``audio-eval run``."""
    parser.usage = "audio-eval [run] --model NAME --tasks TASK[,...] [--method METHOD[,...]] [further flags]"
    parser.add_argument("--config", "-C", metavar="FILE", help="run file (YAML); flags win over what it says")
    parser.add_argument("--dry-run", action="store_true", help="print what the runs will take, and run nothing")
    add_output_flags(parser)
    add_tracker_flag(parser)
    add_run_fields(parser)
    add_lm_eval_flags(parser)


def add_output_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of where results go."""
    parser.add_argument("--output", "-o", metavar="DIR", default="runs", help="folder of the runs (default: runs)")
    parser.add_argument("--fresh", action="store_true", help="start in a new directory, whatever was run before")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout instead of the table")


def add_tracker_flag(parser: argparse.ArgumentParser) -> None:
    """The flag of who else is told the steps of a run; it decides no number, so it is no part of the spec."""
    parser.add_argument(
        "--tracker", metavar="NAME[,...]", default="",
        help="also show steps and figures in tensorboard, wandb, trackio; a resumed run goes on with those it had",
    )  # fmt: skip


def execute(args: argparse.Namespace) -> int:
    """Check first what can be checked, then do one run per task, method and seed."""
    specs = plan(given(args), args.config)
    from audio_eval.cli.bars import terminal_progress
    from audio_eval.report.write import Reports
    from audio_eval.runs.execute import Executor
    from audio_eval.trackers import find_trackers

    trackers = find_trackers(listed(args.tracker))
    quiet_libraries()
    if args.dry_run:
        from audio_eval.cli.dry_run import dry_run

        return dry_run(specs, as_json=args.json, output=Path(args.output))
    from audio_eval.cli.ending import show

    reports, folders, began = Reports(terminal_progress()), list[Path](), time.monotonic()
    executor = Executor(reports, trackers, specs)
    for i, spec in enumerate(specs):
        folder = run_folder(spec, Path(args.output), args.fresh)
        log, other = RunLog(folder), other_settings(spec, folder)
        state = "done before" if log.finished else "resuming" if log.begun else f"new{', as ' * bool(other)}{other}"
        title = f"[{i + 1}/{len(specs)}] {spec.model} {spec.method} {spec.task} seed {spec.seed}"
        say(f"{title}: {folder} ({state})", err=True)
        with reports.of(folder):
            finish(executor, spec, folder)
        folders.append(folder)
    show(folders, time.monotonic() - began, as_json=args.json)
    return 0


def finish(executor: Executor, spec: RunSpec, folder: Path) -> None:
    """Run to the end and report. Where it ends before, the error says how to go on."""
    log, resume = RunLog(folder), f"audio-eval resume {shlex.quote(str(folder))}"
    try:
        with redirect_stdout(sys.stderr):  # what a method prints is no part of the table
            result = executor.run(spec, folder)
        report(result.audio_eval, spec)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"go on with: {resume}" if log.begun else "nothing was started.") from None
    except BaseException as error:  # sys.exit() of a method would end an unfinished run with 0
        mistake = as_user_error(error) or failed(error, spec.method)
        if mistake is None or (mistake is error and not isinstance(error, TooManyErrors)):
            raise
        kept = f" Nothing is lost: go on with {resume}" if log.begun else ""
        raise type(mistake)(f"{mistake}{kept}") from None


def report(row: ResultRow, spec: RunSpec | ResponsesSpec) -> None:
    """Print one line for a finished run on stderr, and what was wrong with its items."""
    figure = row.note if row.accuracy is None else f"{row.accuracy:.1f} %"
    time = "" if row.wall_s is None else f", {row.wall_s:.0f} s"
    lines = [f"{figure}, n {row.n}, unparsable {row.unparsable:.1f} %{time}"]
    for id_, why in row.notes.get("unreadable", {}).items():
        lines.append(f"unreadable, counted as wrong: {id_}: {' '.join(why.split())}")
    if strays := row.notes.get("stray_golds"):
        shown = ", ".join(strays[:3]) + (", ..." if len(strays) > 3 else "")
        lines.append(f"gold answer is no option, so no response can be right: {len(strays)} items ({shown})")
    if cut := row.notes.get("truncated"):
        lines.append(f"longer than the model's window and cut (--long-audio): {len(cut)} items, {cut[0]} first")
    for flag in ("judge", "similarity"):
        if getattr(spec, flag) and not getattr(row, flag):
            lines.append(f"--{flag} graded nothing here: it is for open answers")
    say(*(f"    {line}" for line in lines), err=True)


def quiet_libraries() -> None:
    """Keep the libraries' own progress bars and advice off the user's terminal."""
    import logging
    import warnings

    import datasets
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)
    filter_logs()
