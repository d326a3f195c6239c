"""The command line of ``audio-eval``: its commands and what their mistakes look like."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from audio_eval import __version__
from audio_eval.cli import (
    compare,
    doctor,
    export,
    import_run,
    leaderboard,
    ls,
    report,
    report_score,
    resume,
    run,
    score,
    validate,
    view,
)
from audio_eval.errors import UserError, unknown
from audio_eval.terminal import say

FLAGS: dict[str, list[str]] = {}  # of each command, for "Did you mean"
COMMANDS = {
    "run": run, "score": score, "validate": validate, "ls": ls, "leaderboard": leaderboard, "compare": compare,
    "report": report, "view": view, "resume": resume, "export": export, "import": import_run,
    "report-score": report_score, "doctor": doctor,
}  # fmt: skip
EPILOG = """examples:
  what there is
    audio-eval ls
    audio-eval ls aqa_ttrl
  compare three methods with the embedded model and benchmark (a minute on a laptop)
    audio-eval --model tiny-omni --method direct,majority_vote,aqa_ttrl --tasks synth_aqa
  a real model on real benchmarks: first what it will take, then the run
    audio-eval --model qwen2.5-omni-3b --method direct,aqa_ttrl --tasks mmau,mmar --data-dir data --dry-run
    audio-eval --model qwen2.5-omni-3b --method direct,aqa_ttrl --tasks mmau,mmar --data-dir data
  a page of one run, with every item to listen to
    audio-eval report runs/tiny-omni-aqa_ttrl-synth_aqa-seed0
  tables of all runs; the same in the browser with every run's page, while they go on
    audio-eval leaderboard runs -o tables
    audio-eval view runs

audio-eval COMMAND --help lists the flags of a command. Flags may be spelled with dashes or underscores.
"""


class Help(argparse.RawDescriptionHelpFormatter):
    """Help with the texts in line."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32)

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        """Several values, as their metavar has it."""
        several = action.nargs == "+" and action.option_strings
        return str(action.metavar) if several else super()._format_args(action, default_metavar)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like every other mistake of the user's."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse; for an unknown flag name the one of the command that is most like it."""
        parsed, rest = self.parse_known_args(args, namespace)
        if rest and rest[0].startswith("--"):
            see = f"{self.prog} {parsed.command} --help"
            raise unknown("flag", rest[0].split("=")[0], FLAGS[parsed.command], see=see)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return parsed

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """As argparse, which takes ``--flag=--`` for a flag with no value at all."""
        if action.option_strings and arg_strings == ["--"]:
            raise argparse.ArgumentError(action, "'--' is no value")
        return super()._get_values(action, arg_strings)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        raise UserError(f"{message}. See {self.prog} --help.")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Help and version, which ``audio-eval --help | head`` may stop reading."""
        say(*message.rstrip("\n").split("\n"))


def parser() -> Parser:
    """The whole command line."""
    top = Parser(
        prog="audio-eval",
        description="Evaluate audio-language models, adapt them at test time, and compare methods on the same items.",
        epilog=EPILOG,
        formatter_class=Help,
    )
    top.add_argument("--version", action="version", version=f"audio-eval {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands", required=True)
    for name, module in COMMANDS.items():
        summary = (module.__doc__ or name).splitlines()[0]  # PYTHONOPTIMIZE=2 takes texts out
        sub = commands.add_parser(name, help=summary, description=summary, formatter_class=Help)
        module.add_arguments(sub)
        FLAGS[name] = [flag for action in sub._actions for flag in action.option_strings if flag.startswith("--")]
        sub.set_defaults(execute=module.execute)
    return top
