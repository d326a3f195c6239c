"""The start and the stop of the command in a process of its own: no memory for the imports, signals at any moment."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audio_eval.cache import keep_clip
from audio_eval.cli.main import SAME_STOP, interrupter, main
from audio_eval.errors import UserError
from tests.cli.conftest import ENV, RUN

LATE = """
import os, signal, sys
from audio_eval.cli.main import main

class Late:
    def __del__(self, kill=os.kill, me=os.getpid(), stop=signal.SIGTERM):
        kill(me, stop)

late = Late()
sys.argv = ["audio-eval", "--version"]
main()
"""
COMMAND = [sys.executable, "-c", "import sys; from audio_eval.cli.main import main; sys.exit(main())"]


def started(*arguments: str, **settings: object) -> subprocess.Popen:
    return subprocess.Popen(
        [*COMMAND, *arguments], env=ENV, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, **settings
    )  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("mib", [40, 60, 125])
def test_no_memory_to_import_is_one_line(mib: int) -> None:
    """Around 100 MiB OpenBLAS ends the process itself, in a line of its own."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (mib << 20, mib << 20))  # noqa: E731
    process = started("ls", preexec_fn=limit)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 1 and "Traceback" not in said and "memory" in said, said


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_in_the_imports(stop: signal.Signals) -> None:
    for wait in (0.15, 0.25, 0.35):
        process = started("ls")
        time.sleep(wait)
        process.send_signal(stop)
        said = process.communicate(timeout=60)[1]
        if process.returncode >= 0:  # else Python itself had not begun with us
            assert process.returncode in (0, 130) and "Traceback" not in said.split("site-packages")[0], said


def test_a_hangup_that_is_ignored_stays_so(tmp_path: Path) -> None:
    """As by nohup."""
    process = started("ls", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    time.sleep(0.3)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_signal_while_python_tears_itself_down_comes_too_late() -> None:
    subprocess.run([sys.executable, "-c", LATE], env=ENV, stdout=subprocess.DEVNULL, timeout=60, check=True)


@pytest.mark.parametrize("variable", ["LOGLEVEL", "TQDM_MININTERVAL"])
def test_a_variable_that_breaks_a_library_is_one_line(variable: str) -> None:
    run = subprocess.run(
        [*COMMAND, "validate", "synth_aqa", "--limit", "1"], env={**ENV, variable: "garbage"}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 1 and "cannot be imported (ValueError: " in run.stderr and "Traceback" not in run.stderr


def test_two_signals_at_once_are_one_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[object] = []
    monkeypatch.setattr("audio_eval.cli.main.leave", lambda: left.append(1))
    stop, _ = interrupter()
    with pytest.raises(KeyboardInterrupt):
        stop(2)
    stop(2)
    assert not left
    now = time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: now + 2 * SAME_STOP)
    stop(2)
    assert left


RAISES = """
import asyncio
from audio_eval import Method

class Own(BaseException):
    pass

class Ends(Method):
    name = "ends"

    def predict(self, policy, questions):
        raise ERROR
"""


@pytest.mark.parametrize(
    ("error", "code"),
    [("GeneratorExit()", 1), ("asyncio.CancelledError('x')", 1), ("Own('a\\nb')", 1), ("KeyboardInterrupt", 130)],
)
def test_a_method_that_raises_what_ends_programs(
    error: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ends.py").write_text(RAISES.replace("ERROR", error))
    assert main([*RUN, "--method", f"{tmp_path}/ends.py:Ends", "--output", str(tmp_path / "runs")]) == code
    said = capsys.readouterr().err
    assert "Traceback" not in said and "go on with" in said and (code == 130 or "line 12" in said)


def test_a_long_argument_is_not_repeated_whole(capsys: pytest.CaptureFixture[str]) -> None:
    for given in (
        ["--limit", "x" * 100_000],
        ["ls", "y " * 50_000],
        ["--tasks", "z" * 100_000, "--model", "tiny-omni"],
    ):
        assert main(given) == 1
        said = capsys.readouterr().err
        assert len(said) < 2_000 and "characters ...]" in said and said.count("\n") == 1


def test_a_cache_that_cannot_be_written_says_which_setting_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AUDIO_EVAL_CACHE", str(tmp_path / "file/cache"))
    with pytest.raises(UserError, match="AUDIO_EVAL_CACHE=DIR takes another folder"):
        keep_clip(b"x")
    assert main([*RUN, "--output", str(tmp_path / "runs")]) == 1
    assert "AUDIO_EVAL_CACHE=DIR takes another folder" in capsys.readouterr().err


def test_python_without_docstrings() -> None:
    ended = subprocess.run([sys.executable, "-OO", *COMMAND[1:], "--help"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_grader_that_has_nothing_to_grade_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "--judge", "http://127.0.0.1:9/v1", "--judge-model", "x", "--output", str(tmp_path)]) == 0
    assert "--judge graded nothing here" in capsys.readouterr().err


LOST = """
import os, signal, sys, time
from audio_eval.cli.main import interrupter

class Ends:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)

stop, sys.unraisablehook = interrupter()
signal.signal(signal.SIGINT, stop)
try:
    Ends()
    time.sleep(20)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_an_interruption_that_python_drops_comes_once_more() -> None:
    """As in the callbacks of libsndfile, which write the recordings of pages."""
    ended = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, timeout=15, check=False)
    assert (ended.returncode, ended.stderr) == (130, "")


def test_signals_before_the_command_line_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("audio_eval.cli.command.settle_threads", lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert main(["ls"]) == 130
    assert "Traceback" not in capsys.readouterr().err
