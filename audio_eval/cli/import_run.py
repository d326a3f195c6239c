"""Check an archive of somebody else's run, and take it in."""

from __future__ import annotations

import argparse
from pathlib import Path

from audio_eval.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``audio-eval import``."""
    from audio_eval.cli.flags import DATA, add_fields

    parser.add_argument("archive", metavar="FILE.zip", help="what audio-eval export wrote")
    parser.add_argument("--into", metavar="DIR", default="runs", help="folder of the runs (default: runs)")
    add_fields(parser, *DATA)


def execute(args: argparse.Namespace) -> int:
    """Refuse the archive in one line, or print the new run directory; how far it was checked is said on stderr."""
    from audio_eval.cli.run import quiet_libraries
    from audio_eval.sharing.importing import import_run

    quiet_libraries()
    where = {"data_dir": args.data_dir, "source": args.source, "include_path": args.include_path}
    folder, imported = import_run(Path(args.archive), Path(args.into), where)
    if imported.verified:
        say(f"    {imported.tag}: every score was computed anew from its response, and is the same", err=True)
    else:
        say(f"    {imported.tag}: {imported.reason}", err=True)
    say(str(folder))
    return 0
