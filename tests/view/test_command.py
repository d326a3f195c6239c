"""``audio-eval view`` itself: its address, its end, and the mistakes of users."""

from __future__ import annotations

import io
import logging
import os
import signal
import subprocess
import sys
import webbrowser
from pathlib import Path

import pytest
import requests

from audio_eval.cli.main import main
from audio_eval.errors import UserError
from audio_eval.view.server import listening, open_browser, server
from tests.leaderboard.runs import make_run


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_prints_the_address_and_ends_in_one_line(stop: signal.Signals, tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "direct", "rrw")
    environment = {**os.environ, "TMPDIR": str(tmp_path), "SSH_CONNECTION": ""}
    command = [sys.executable, "-m", "audio_eval", "view", str(tmp_path / "runs"), "--no-open"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert "66.7" in requests.get(address).text
        assert list(tmp_path.glob("audio-eval-view-*"))
        process.send_signal(stop)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert err.splitlines() == ["Only this machine is served. Ctrl-C ends it.", "ended."]
    assert not list(tmp_path.glob("audio-eval-view-*"))


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", str(tmp_path / "nowhere"), "--no-open"]) == 1
    assert capsys.readouterr().err.startswith("audio-eval: error: no folder '")
    with listening(0) as taken, pytest.raises(UserError, match="cannot be used"):
        listening(taken.getsockname()[1])
    with pytest.raises(UserError, match="--port 70000"):
        listening(70_000)


def test_a_browser_of_the_terminal_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("w3m"))
    assert not open_browser("http://127.0.0.1/")

    def none() -> None:
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "get", none)
    assert not open_browser("http://127.0.0.1/")


def test_it_leaves_the_handlers_of_logs_open() -> None:
    closed: list[str] = []

    class Handler(logging.StreamHandler):
        def close(self) -> None:
            closed.append("closed")
            super().close()

    handler = Handler(io.StringIO())
    server(None)  # type: ignore[arg-type]
    assert closed == []
    handler.close()
