"""Write the page of a run: its curves, votes and items, with their recordings to listen to."""

from __future__ import annotations

import argparse
from pathlib import Path

from audio_eval.errors import UserError
from audio_eval.plain_numbers import decimal
from audio_eval.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``audio-eval report``."""
    parser.add_argument("runs", nargs="+", metavar="RUN_DIR", help="run directories, finished or under way")
    parser.add_argument(
        "--against", metavar="RUN_DIR",
        help="run whose responses stand beside; default: the direct run of the same conditions in the same folder",
    )  # fmt: skip
    parser.add_argument(
        "--embed", metavar="MIB", type=decimal, default=8.0,
        help="recordings to embed, in MiB; the others are linked, and need their files (default: 8)",
    )  # fmt: skip


def execute(args: argparse.Namespace) -> int:
    """Write each page and print its path."""
    if not 0 <= args.embed <= 1024:
        raise UserError(f"--embed {args.embed:g}: give a size in MiB from 0 to 1024.")
    against = Path(args.against) if args.against else None
    from audio_eval.cli.run import quiet_libraries
    from audio_eval.report.write import write_report

    quiet_libraries()
    for run in map(Path, args.runs):
        say(str(write_report(run, round(args.embed * 2**20), against)))
    return 0
