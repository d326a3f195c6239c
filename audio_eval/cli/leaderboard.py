"""Write tables that compare finished runs: markdown, CSV, JSON."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``audio-eval leaderboard``."""
    parser.add_argument("runs", nargs="+", metavar="RUN_DIR", help="run directories, or folders that contain some")
    parser.add_argument(
        "-o", "--output", metavar="DIR", default="leaderboards", help="folder of the tables (default: leaderboards)"
    )
    parser.add_argument(
        "--margin", metavar="POINTS", type=float, default=2.0,
        help="differences from direct within this margin count as equivalent (default: 2 points)",
    )  # fmt: skip


def execute(args: argparse.Namespace) -> int:
    """Read the runs, write the tables, print where."""
    from audio_eval.errors import UserError
    from audio_eval.leaderboard import aggregate, load_runs, write
    from audio_eval.leaderboard.cells import plain

    if not 0 < args.margin < 100:
        raise UserError(f"--margin {args.margin:g}: give points above 0 and below 100.")
    runs, skipped = load_runs(args.runs)
    for message in skipped:
        print(f"    {plain(message)}", file=sys.stderr)
    if not runs:
        raise UserError(f"no finished run in {', '.join(args.runs)}.")
    for path in write(aggregate(runs, args.margin), args.output):
        print(path)
    return 0
