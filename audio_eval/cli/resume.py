"""Go on with runs that were interrupted or killed."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from audio_eval.cli.ending import show
from audio_eval.cli.run import add_tracker_flag, quiet_libraries, report
from audio_eval.errors import UserError
from audio_eval.runlog import RunLog, RunSpec
from audio_eval.runs.plan import listed
from audio_eval.runs.trust import check_trusted
from audio_eval.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``audio-eval resume``."""
    parser.add_argument("runs", nargs="+", metavar="RUN_DIR", help="run directories, as runs/<name>")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout instead of the table")
    parser.add_argument(
        "--trust", action="store_true", help="also run code, and reach servers, that only the run directory names"
    )
    add_tracker_flag(parser)


def execute(args: argparse.Namespace) -> int:
    """Finish each run; one that is finished is only shown."""
    folders = [Path(run) for run in args.runs]
    specs = [_spec(folder) for folder in folders]
    for spec, folder in zip(specs, folders, strict=True):  # before any of them is run
        for what in check_trusted(RunLog(folder), spec, args.trust):
            say(f"    trusted: '{folder}' {what}", err=True)
    from audio_eval.cli.bars import terminal_progress
    from audio_eval.runs.execute import Executor
    from audio_eval.trackers import find_trackers

    trackers = find_trackers(listed(args.tracker))
    quiet_libraries()
    executor, began = Executor(terminal_progress(), trackers), time.monotonic()
    for spec, folder in zip(specs, folders, strict=True):
        report(executor.run(spec, folder).audio_eval)
    show(folders, time.monotonic() - began, as_json=args.json)
    return 0


def _spec(folder: Path) -> RunSpec:
    spec = RunLog(folder).spec()
    if not isinstance(spec, RunSpec):
        raise UserError(f"'{folder}' holds responses that were scored: score them again with audio-eval score.")
    if RunLog(folder).imported():
        raise UserError(f"'{folder}' was imported from an archive: there is nothing to go on with.")
    return spec
