"""Every flag of every command with values that nobody should give: one line and code 1, or a flag that does no harm."""

from __future__ import annotations

import argparse
import importlib
from functools import lru_cache
from pathlib import Path

import pytest

from audio_eval.cli.main import main
from audio_eval.cli.parser import COMMANDS, parser
from audio_eval.task_index import listing
from tests.bad_input.limits import within

VALUES = ("", ",", "--", "nan", "1e400", "9" * 5_000, "\u202e\x1b[2J", "x/" * 1_500, "\0")
# What each command is given besides: nothing of it is there, so that the command ends once its flags are read.
OTHERWISE = {
    "run": ["--model", "nosuch", "--tasks", "nosuch"], "score": ["nosuch", "--responses", "nosuch"],
    "validate": ["nosuch"], "compare": ["nosuch", "nosuch"], "report": ["nosuch"], "view": ["nosuch"],
    "resume": ["nosuch"], "export": ["nosuch", "-o", "x.zip"], "import": ["nosuch"],
    "report-score": ["nosuch", "--accuracy", "5"], "leaderboard": ["nosuch"], "ls": ["nosuch"],
}  # fmt: skip


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"doctor"}))
def test_every_flag_with_every_bad_value(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # a value may be taken for the name of a file
    for module in ("audio_eval.task_index", "audio_eval.runs.plan", "audio_eval.cli.ls"):  # read once, to be quick
        if hasattr(importlib.import_module(module), "listing"):
            monkeypatch.setattr(f"{module}.listing", lru_cache(listing))
    monkeypatch.setattr("audio_eval.cli.parser.parser", lru_cache(parser))
    choices = parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    actions = [one for one in choices[command]._actions if not isinstance(one, argparse._HelpAction)]  # type: ignore[index]
    for action in actions:
        for value in VALUES:
            flagged = [f"{action.option_strings[0]}={value}"] if action.option_strings else [value]
            given = [command, *OTHERWISE[command], *flagged] if action.option_strings else [command, *flagged]
            with within():
                code = main(given)
            shown = capsys.readouterr()
            lines = [line for line in shown.err.splitlines() if line.startswith("audio-eval: error: ")]
            assert "Traceback" not in shown.err, given
            assert (code, len(lines)) == (1, 1) or (command == "ls" and code == 0), (given, code, shown.err[-500:])
