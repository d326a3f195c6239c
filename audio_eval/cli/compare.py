"""Set two runs side by side: what differs, whether it is shown, and every item that changed."""

from __future__ import annotations

import argparse
from pathlib import Path

from audio_eval.errors import UserError
from audio_eval.plain_numbers import decimal, whole
from audio_eval.terminal import say, say_json

PAGE = "compare.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``audio-eval compare``."""
    parser.add_argument("a", metavar="RUN_A", help="directory of a finished run")
    parser.add_argument("b", metavar="RUN_B", help="directory of another one of the same task")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help=f"the page with all items and their sound (default: {PAGE})"
    )
    parser.add_argument(
        "--items", type=whole, default=5, metavar="N", help="print so many items won and lost (default: 5)"
    )
    parser.add_argument(
        "--embed", metavar="MIB", type=decimal, default=4.0,
        help="recordings to embed in the page, in MiB; the others are linked, and need their files (default: 4)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout; a page only with -o")


def execute(args: argparse.Namespace) -> int:
    """Print the difference, write the page, say where."""
    if args.items < 0:
        raise UserError(f"--items {args.items}: give a number of items.")
    if not 0 <= args.embed <= 1024:
        raise UserError(f"--embed {args.embed:g}: give a size in MiB from 0 to 1024.")
    from audio_eval.cli.run import quiet_libraries
    from audio_eval.compare.as_json import as_json
    from audio_eval.compare.difference import difference
    from audio_eval.compare.files import write_page
    from audio_eval.compare.pair import Pair
    from audio_eval.compare.terminal import terminal_text

    quiet_libraries()
    pair = Pair.load(Path(args.a), Path(args.b))
    found = difference(pair)
    if args.json:
        say_json(as_json(pair, found))
    else:
        say(*terminal_text(pair, found, args.items).splitlines())
    if args.output or not args.json:
        path = write_page(pair, found, Path(args.output or PAGE), round(args.embed * 2**20))
        say(f"page: {path}", err=True)
    return 0
