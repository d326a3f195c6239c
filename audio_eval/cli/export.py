"""Write a run as one archive for others, or its result as lm-eval writes them."""

from __future__ import annotations

import argparse
from pathlib import Path

from audio_eval.errors import UserError
from audio_eval.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``audio-eval export``."""
    parser.add_argument("run", metavar="RUN_DIR", help="directory of a finished run")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        required=True,
        help="x.zip: the archive; x.json: the result alone, for lm-eval's tools",
    )
    parser.add_argument(
        "--no-responses", action="store_true", help="leave the responses out; then nobody can recompute the scores"
    )


def execute(args: argparse.Namespace) -> int:
    """Write the file; what is left out of an archive is said on stderr."""
    from audio_eval.runlog import RunLog
    from audio_eval.sharing.export import export
    from audio_eval.sharing.lm_eval_result import lm_eval_result
    from audio_eval.store import write_json

    path = Path(args.output)
    if path.suffix == ".json":
        write_json(path, lm_eval_result(RunLog(args.run)))
    elif path.suffix == ".zip":
        for what in export(Path(args.run), path, responses=not args.no_responses):
            say(f"    left out: {what}", err=True)
    else:
        raise UserError(f"--output '{path}': give a name that ends in .zip (the archive) or .json (lm-eval's layout).")
    say(str(path))
    return 0
