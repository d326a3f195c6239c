"""Enter what a benchmark's server said of a run whose answers are hidden."""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

from audio_eval.errors import UserError, explain, unknown
from audio_eval.plain_numbers import decimal
from audio_eval.terminal import say

MMAU_SERVER = "MMAU's evaluation space (sonalkum/MMAU-Eval)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``audio-eval report-score``."""
    parser.add_argument("run", metavar="RUN_DIR", help="directory of the run whose submission.json was sent")
    parser.add_argument("--accuracy", type=decimal, required=True, metavar="PERCENT", help="over all items")
    parser.add_argument(
        "--groups", metavar="NAME=PERCENT[,...]", default="", help="as sound=76.8,music=67.3,speech=68.9"
    )
    parser.add_argument("--source", metavar="TEXT", default=MMAU_SERVER, help=f"who said so (default: {MMAU_SERVER})")
    parser.add_argument("--date", metavar="YYYY-MM-DD", help="when (default: today)")


def execute(args: argparse.Namespace) -> int:
    """Write reported.json into the run, and print the four-column average where the runs beside it complete it."""
    from pydantic import ValidationError

    from audio_eval.leaderboard import aggregate, load_runs
    from audio_eval.leaderboard.published import ROUNDING, SIZES, Published
    from audio_eval.leaderboard.reported import four_columns
    from audio_eval.runlog import RunLog
    from audio_eval.runlog.records import Reported

    log = RunLog(args.run)
    row = log.result().audio_eval
    if row.accuracy is not None:
        raise UserError(
            f"'{args.run}' was measured here ({row.accuracy:.1f} %): a reported score is for hidden answers."
        )
    try:
        reported = Reported(
            accuracy=args.accuracy, groups=_groups(args.groups), source=" ".join(args.source.split()),
            date=args.date or datetime.date.today(),
        )  # fmt: skip
        told = Published(
            task=row.task, model=row.model, accuracy=reported.accuracy, groups=reported.groups, source=reported.source
        )
    except ValidationError as error:
        raise UserError(explain(error)) from None
    if odd := sorted(reported.groups.keys() - SIZES.get(row.task, reported.groups).keys()):
        raise unknown("group", odd[0], SIZES[row.task], f" of task '{row.task}'")
    if (average := told.average) is not None and abs(average - reported.accuracy) > ROUNDING:
        raise UserError(f"--groups give {average:.2f} over all items, and --accuracy is {reported.accuracy:.2f}.")
    try:
        before = log.reported()
    except UserError:  # damaged: what is entered now takes its place
        before = None
    log.write_reported(reported)
    if before:
        say(f"    it takes the place of {before.accuracy:.2f} ({before.source}, {before.date})", err=True)
    say(f"{Path(args.run) / 'reported.json'}: {reported.accuracy:.2f} % reported, {reported.source}, {reported.date}")
    runs, _ = load_runs([log.folder.absolute().parent])
    if table := four_columns(aggregate(runs)):
        say("", *table.splitlines())
    return 0


def _groups(text: str) -> dict[str, float]:
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        try:
            found[name.strip()] = decimal(value)
        except argparse.ArgumentTypeError:
            raise UserError(f"--groups takes NAME=PERCENT,...: '{part}' is none.") from None
    return found
