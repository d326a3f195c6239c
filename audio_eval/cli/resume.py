"""Go on with runs that were interrupted or killed."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from pydantic import ValidationError

from audio_eval.cli.ending import show
from audio_eval.cli.flags import add_fields
from audio_eval.cli.run import add_tracker_flag, finish, quiet_libraries
from audio_eval.errors import UserError, explain
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
    add_fields(parser, "max_errors")


def execute(args: argparse.Namespace) -> int:
    """Finish each run; one that is finished is only shown."""
    folders = [Path(run) for run in args.runs]
    specs = [_spec(folder, args.max_errors) for folder in folders]
    for spec, folder in zip(specs, folders, strict=True):  # before any of them is run
        for what in check_trusted(RunLog(folder), spec, args.trust):
            say(f"    trusted: '{folder}' {what}", err=True)
    from audio_eval.cli.bars import terminal_progress
    from audio_eval.report.write import Reports
    from audio_eval.runs.execute import Executor
    from audio_eval.trackers import find_trackers

    trackers = find_trackers(listed(args.tracker))
    quiet_libraries()
    reports, began = Reports(terminal_progress()), time.monotonic()
    executor = Executor(reports, trackers, specs)
    for spec, folder in zip(specs, folders, strict=True):
        with reports.of(folder):
            finish(executor, spec, folder)
    show(folders, time.monotonic() - began, as_json=args.json)
    return 0


def _spec(folder: Path, max_errors: str | None) -> RunSpec:
    """The run's spec, with what the user says of errors now."""
    spec = RunLog(folder).spec()
    if not isinstance(spec, RunSpec):
        raise UserError(f"'{folder}' holds responses that were scored: score them again with audio-eval score.")
    if RunLog(folder).imported():
        raise UserError(f"'{folder}' was imported from an archive: there is nothing to go on with.")
    try:
        return RunSpec(**{**dict(spec), **({"max_errors": max_errors} if max_errors else {})})
    except ValidationError as error:
        raise UserError(explain(error)) from None
