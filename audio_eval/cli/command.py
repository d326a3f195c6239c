"""One command from its arguments to its exit code; mistakes of the user and an interruption are one line."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence

from audio_eval.cli import parser
from audio_eval.cli.flags import dashed
from audio_eval.errors import UserError, as_user_error, of_stranger
from audio_eval.terminal import ReaderGone, say, say_error, settle_streams
from audio_eval.threads import settle_threads


def command(given: Sequence[str]) -> int:
    """Run the command line: 0 when done, 1 for what the user can mend, 2 where too many items failed or a check found
    something, 130 where it was interrupted.
    """
    parsed = Namespace()
    try:
        settle_threads()
        settle_streams()
        parsed = _parsed(dashed(given))
        return int(parsed.execute(parsed) or 0)
    except ReaderGone:  # `audio-eval ls | head`
        return 0
    except KeyboardInterrupt as stop:
        say("", f"audio-eval: interrupted{'; ' if stop.args else '.'}{''.join(map(str, stop.args))}", err=True)
        return 130
    except BaseException as error:
        if isinstance(error, SystemExit) and not hasattr(parsed, "execute"):  # argparse's, of --help
            raise
        mistake = as_user_error(error) or of_stranger(error)
        if mistake is None:
            raise
        say_error("audio-eval", str(mistake))
        return mistake.code


def _parsed(arguments: list[str]) -> Namespace:
    """The command and its flags; bare flags mean run."""
    if arguments and arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version"):
        arguments.insert(0, "run")
    check_place()
    if any("\0" in argument for argument in arguments):  # of a program that calls this: no shell passes one
        raise UserError("the command line holds a NUL character.")
    return parser.parser().parse_args(arguments)


def check_place() -> None:
    """``UserError`` where the current folder was deleted: much that is below would stumble over that."""
    try:
        os.getcwd()
    except OSError:
        raise UserError("the current folder is gone: cd to one that exists.") from None
