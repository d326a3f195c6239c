"""Write tables and a page that compare finished runs; keep results, and pages of them, with the source."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from audio_eval.plain_numbers import decimal
from audio_eval.terminal import say

if TYPE_CHECKING:
    from audio_eval.leaderboard import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``audio-eval leaderboard``."""
    parser.add_argument("runs", nargs="*", metavar="RUN_DIR", help="run directories, or folders that contain some")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "-o", "--output", metavar="DIR", default="leaderboard", help="folder of the tables (default: leaderboard)"
    )
    where.add_argument(
        "--add-to", metavar="DIR",
        help="a folder that keeps results: add those of the runs, if any are given, and write its pages anew",
    )  # fmt: skip
    where.add_argument(
        "--check", metavar="DIR", help="exit 1 unless the pages of such a folder follow from its results"
    )
    parser.add_argument(
        "--margin", metavar="POINTS", type=decimal,  # the default's module imports numpy, which flags do not wait for
        help="differences from direct within this margin count as equivalent (default: 2 points)",
    )  # fmt: skip


def execute(args: argparse.Namespace) -> int:
    """Read the runs, write the tables, print where."""
    from audio_eval.errors import UserError
    from audio_eval.leaderboard import aggregate, write
    from audio_eval.scoring.statistics import MARGIN

    margin = MARGIN if args.margin is None else args.margin
    if not 0 < margin < 100:
        raise UserError(f"--margin {margin:g}: give points above 0 and below 100.")
    if (args.add_to or args.check) and margin != MARGIN:
        raise UserError("--margin is for -o: the pages of kept results follow from these alone, with the margin of 2.")
    if args.check and args.runs:
        raise UserError("--check reads its folder alone: give no run directories.")
    if args.check:
        return _check(args.check)
    runs, left_out = _runs(args.runs)
    if args.add_to:
        return _add(args.add_to, runs)
    if not runs:
        raise UserError("give run directories, or folders that contain some.")
    if (Path(args.output) / "results").is_dir():
        raise UserError(f"'{args.output}' is a folder that keeps results: --add-to {args.output}, or another --output.")
    for path in write(aggregate(runs, margin), args.output, left_out=left_out):
        say(str(path))
    return 0


def _runs(paths: list[str]) -> tuple[list[Run], list[str]]:
    """The runs, and why others are left out, which is said."""
    from audio_eval.errors import UserError
    from audio_eval.leaderboard import load_runs

    runs, skipped = load_runs(paths)
    for message in skipped:
        say(f"    {message}", err=True)
    if paths and not runs:
        raise UserError(f"no finished run in {', '.join(paths)}.")
    return runs, skipped


def _add(folder: str, runs: list[Run]) -> int:
    from audio_eval.leaderboard import Committed, aggregate, write

    kept = Committed(folder)
    added = kept.add(runs)
    if runs:
        say(f"    {added.new} runs added, {added.replaced} replaced, {added.unchanged} were there", err=True)
    for path in write(aggregate(kept.runs()), folder, kept.published()):
        say(str(path))
    return 0


def _check(folder: str) -> int:
    from audio_eval.errors import UserError
    from audio_eval.leaderboard import Committed

    if not Path(folder).is_dir():
        raise UserError(f"no folder '{folder}'.")
    if (stale := Committed(folder).stale()) is None:
        return 0
    mend = f"audio-eval leaderboard --add-to {folder}"
    say(f"'{Path(folder) / stale}' does not follow from the results beside it: {mend}", err=True)
    return 1
