"""A user's mistake is one line on stderr and exit code 1, never a traceback."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from audio_eval.cli.main import main
from tests.cli.conftest import ENV, METHOD, RUN


def mistake(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """The one line that a mistake prints."""
    assert main(arguments) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    found = [line for line in shown.err.splitlines() if line.startswith("audio-eval: error: ")]
    # before the error a run may say which of several it is at
    other = [line for line in shown.err.splitlines() if line not in found and not re.match(r"\[\d+/\d+\] ", line)]
    assert len(found) == 1 and other == [], shown.err
    return found[0].removeprefix("audio-eval: error: ")


FLAG_MISTAKES = {
    "model": (
        ["--model", "tiny-omi", "--tasks", "synth_aqa"],
        r"unknown model 'tiny-omi'\. Did you mean 'tiny-omni'\?",
    ),
    "method": ([*RUN, "--method", "aqa_ttl"], r"unknown method 'aqa_ttl'\. Did you mean 'aqa_ttrl'\?"),
    "setting": ([*RUN, "--method", "aqa_ttrl", "--method-args", "stps=2"], r"Did you mean 'steps'\?"),
    "value": ([*RUN, "--method", "aqa_ttrl", "--method-args", "steps=-2"], r"steps: .*greater than or equal to 0"),
    "flag": (
        [*RUN, "--metod", "direct"],
        r"^unknown flag '--metod'\. Did you mean '--method'\? See audio-eval run --help\.$",
    ),
    "flag of another command": (
        ["resume", "runs", "--dry-run"],
        r"^unknown flag '--dry-run'\. See audio-eval resume --help\.$",
    ),
    "no model": (["--tasks", "synth_aqa"], r"--model is missing: see audio-eval ls"),
    "no tasks": (["--model", "tiny-omni"], r"--tasks is missing: see audio-eval ls"),
    "run file": ([*RUN, "--config", "nowhere.yaml"], r"no run file 'nowhere\.yaml'"),
    "seed": ([*RUN, "--seed", "one"], r"seed: .*integer"),
    "method file": ([*RUN, "--method", "nowhere.py:X"], r"no file 'nowhere\.py' to take method 'X' from"),
    "no runs": (["leaderboard", "nowhere"], r"nowhere"),
    "margin": (["leaderboard", "runs", "--margin", "0"], r"--margin 0: give points above 0 and below 100"),
    "no margin": (
        ["leaderboard", "runs", "--margin", "two"],
        r"--margin: a number is wanted, as 1000, 0\.5 or 1e-6 \(given: two\)",
    ),
    "resume": (["resume", "nowhere"], r"'nowhere' has no spec\.json"),
}


@pytest.mark.parametrize("name", FLAG_MISTAKES)
def test_mistakes_in_flags(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, says = FLAG_MISTAKES[name]
    assert re.search(says, mistake(capsys, arguments))


RUN_MISTAKES = {
    "task": (["--tasks", "synth_aq"], r"unknown task 'synth_aq'\. Did you mean 'synth_aqa'\?"),
    "split": (["--tasks", "synth_aqa:tst"], r"unknown split 'tst' of task 'synth_aqa'\. Did you mean 'test'\?"),
    "prompt": (["--prompt", "r1_aq"], r"unknown prompt 'r1_aq'\. Did you mean 'r1_aqa'\?"),
    "no data dir": (["--tasks", "mmar"], r"hub's BoJack/MMAR cannot be reached.*D/mmar/MMAR-meta\.jsonl"),
    "data dir without the data": (
        ["--tasks", "mmar", "--data-dir", "{tmp}"],
        r"no file .*--data-dir D must hold D/mmar",
    ),
    "folder that is no checkpoint": (["--model", "{tmp}"], r"is a folder without config\.json"),
    "unreachable hub": (
        ["--model", "someone/some-model"],
        r"cannot fetch 'someone/some-model'.*--model path/to/folder",
    ),
    "checkpoint of another kind": (["--model", "{bert}"], r"bert"),
    "no training task": (["--method", "grpo"], r"--train-task synth_aqa:train"),
    "holdout": (["--holdout", "0.01"], r"--holdout 0\.01 leaves one part of 8 items empty"),
}


@pytest.mark.parametrize("name", RUN_MISTAKES)
def test_mistakes_that_a_run_finds(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text('{"model_type": "bert"}')
    changed, says = RUN_MISTAKES[name]
    changed = [part.format(tmp=tmp_path, bert=tmp_path / "bert") for part in changed]
    line = mistake(capsys, [*RUN, *changed, "--output", str(tmp_path / "runs")])
    assert re.search(says, line)


def test_a_method_file_that_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(METHOD)
    assert "Did you mean 'Shout'?" in mistake(capsys, [*RUN, "--method", f"{path}:Shot"])
    assert "is not a subclass of audio_eval.Method" in mistake(capsys, [*RUN, "--method", f"{path}:not_a_method"])
    path.write_text("import no_such_package")
    assert "cannot be imported: ModuleNotFoundError" in mistake(capsys, [*RUN, "--method", f"{path}:Shout"])


def test_a_spec_that_cannot_be_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for text in ("{", '{"version": 2, "model": "x", "surprise": 1}', "[]"):
        (tmp_path / "spec.json").write_text(text)
        assert str(tmp_path) in mistake(capsys, ["resume", str(tmp_path)])


@pytest.mark.slow
def test_a_mistake_as_the_shell_sees_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "audio_eval", *RUN, "--model", "someone/some-model", "--output", str(tmp_path)],
        capture_output=True, text=True, env=ENV, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr
    *before, last = done.stderr.splitlines()
    assert last.startswith("audio-eval: error: cannot fetch 'someone/some-model'")
    assert all(line.startswith("[1/1] ") for line in before)
