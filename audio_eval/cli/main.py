"""Entry point of ``audio-eval``: pick the command, turn user mistakes into one line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from audio_eval import __version__
from audio_eval.cli import leaderboard, ls, resume, run, score, validate
from audio_eval.errors import UserError, unknown
from audio_eval.threads import settle_threads

FLAGS: set[str] = set()  # of every command, for "Did you mean"
COMMANDS = {"run": run, "score": score, "validate": validate, "ls": ls, "leaderboard": leaderboard, "resume": resume}
EPILOG = """examples:
  audio-eval --model tiny-omni --method direct,majority_vote,aqa_ttrl --tasks synth_aqa
  audio-eval --model qwen2.5-omni-3b --method direct,aqa_ttrl --tasks mmau_test_mini,mmar --data-dir data
  audio-eval ls
  audio-eval leaderboard runs -o leaderboards
"""


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, like every other mistake of the user's."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage; an unknown flag is told its near match."""
        flag = message.removeprefix("unrecognized arguments: ").split()[0]
        if message.startswith("unrecognized") and flag.startswith("--"):
            raise unknown("flag", flag.split("=")[0], FLAGS)
        raise UserError(f"{message}. See {self.prog} --help.")


def parser() -> Parser:
    """The whole command line."""
    top = Parser(
        prog="audio-eval",
        description="Evaluate audio-language models under adaptation methods, and compare them on the same items.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"audio-eval {__version__}")
    commands = top.add_subparsers(dest="command", metavar="command", required=True)
    for name, module in COMMANDS.items():
        summary = (module.__doc__ or "").splitlines()[0]
        sub = commands.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        module.add_arguments(sub)
        FLAGS.update(flag for action in sub._actions for flag in action.option_strings if flag.startswith("--"))
        sub.set_defaults(execute=module.execute)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 1 the user can mend it, 130 interrupted."""
    settle_threads()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version"):
        arguments.insert(0, "run")  # bare flags mean run
    try:
        parsed = parser().parse_args(arguments)
        return int(parsed.execute(parsed) or 0)
    except UserError as error:
        print(f"audio-eval: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output has gone: `audio-eval ls | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("\naudio-eval: interrupted.", file=sys.stderr)
        return 130
