"""Show runs in the browser: tables, reports, two runs side by side, with sound, up to date while a run is under way."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from urllib.parse import urlsplit

from audio_eval.errors import UserError
from audio_eval.plain_numbers import whole
from audio_eval.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``audio-eval view``."""
    parser.add_argument(
        "runs", nargs="*", default=["runs"], metavar="RUN_DIR",
        help="run directories, or folders that contain some, now or later (default: runs)",
    )  # fmt: skip
    parser.add_argument("--port", type=whole, default=0, metavar="N", help="the port (default: one that is free)")
    parser.add_argument("--no-open", action="store_true", help="only print the address; open no browser")


def execute(args: argparse.Namespace) -> int:
    """Serve the pages until Ctrl-C."""
    paths = [Path(run) for run in args.runs]
    for run, path in zip(args.runs, paths, strict=True):
        if not run or not path.is_dir():  # Path("") is the current folder
            raise UserError(f"no folder '{run}': give run directories, or a folder that holds some.")
    from audio_eval.view.server import open_browser, serve

    def ready(address: str) -> None:
        say(address)
        opened = not args.no_open and open_browser(address)
        port = urlsplit(address).port
        if not opened and os.environ.get("SSH_CONNECTION"):
            say(f"from your own machine: ssh -L {port}:127.0.0.1:{port} and the name of this one", err=True)
        say("Only this machine is served. Ctrl-C ends it.", err=True)

    serve(paths, args.port, ready)
    say("ended.", err=True)
    return 0
