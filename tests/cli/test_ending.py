"""The end of a run: a panel on a terminal that can draw, plain lines anywhere else, and never a traceback."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from audio_eval.cli.ending import show
from audio_eval.terminal import settle_streams
from tests.leaderboard.runs import make_run

USED = {"requests": 10, "prompt_tokens": 12345, "completion_tokens": 200, "audio_tokens": 9000, "cost": 0.125}


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def ended(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch, encoding: str = "utf-8", tty: bool = True, **env: str
) -> tuple[str, str]:
    """stdout and stderr of the end of these runs."""
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", "COLUMNS": "120", **env}.items():
        monkeypatch.setenv(name, value)
    raw = io.BytesIO(), io.BytesIO()
    kind = Terminal if tty else io.TextIOWrapper
    for name, stream in zip(("stdout", "stderr"), raw, strict=True):
        monkeypatch.setattr(sys, name, kind(stream, encoding=encoding))
    settle_streams()
    show(folders, 61.5, as_json=False)
    sys.stdout.flush()
    return raw[0].getvalue().decode(encoding), raw[1].getvalue().decode(encoding)


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    changes: dict[str, Any] = {"model": "[red]tiny[/nothing]\x1b[31m", "usage": USED}
    return [make_run(tmp_path / "a", "rrrrrwwwuu", **changes), make_run(tmp_path / "b", "rr", method="ttrl", **changes)]


def test_a_terminal_gets_one_panel(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    (folders[0] / "report.html").write_text("")
    out, err = ended(folders, monkeypatch)
    assert out.count("╭") == out.count("╰") == 1 and not err
    assert "[red]tiny[/nothing]: direct, ttrl on synth_aqa, seed 0" in out
    assert "1 min 02 s; of the runs themselves 24.7 s, 12 completions" in out
    assert "24,690 read (18,000 of sound), 400 written, in 20 requests" in out
    assert "0.25, by the prices" in out
    assert f"report:  {folders[0] / 'report.html'}" in " ".join(out.split("\n")) or "report.html" in out
    assert "audio-eval leaderboard" in out


@pytest.mark.parametrize(
    ("encoding", "tty", "env"),
    [
        ("utf-8", False, {}),
        ("utf-8", True, {"NO_COLOR": "1"}),
        ("utf-8", True, {"TERM": "dumb"}),
        ("utf-8", True, {"COLUMNS": "40"}),
        ("ascii", True, {}),
        ("cp1252", True, {}),
        ("cp1252", False, {}),
    ],
)
def test_elsewhere_the_table_is_data_and_the_rest_are_plain_lines(
    encoding: str, tty: bool, env: dict[str, str], folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, err = ended(folders, monkeypatch, encoding, tty, **env)
    assert "\x1b" not in out + err and "╭" not in out
    assert out.startswith("synth_aqa, [red]tiny[/nothing]\n\n") and "next:" not in out
    assert "next:    audio-eval leaderboard" in err and "time:    1 min 02 s" in err


def test_hidden_answers_lead_to_the_benchmarks_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_run(tmp_path / "a b", "rr", accuracy=None, note="answers are hidden")
    (folder / "submission.json").write_text("[]")
    _, err = ended([folder], monkeypatch, tty=False)
    assert f"audio-eval report-score '{folder}'" in err


def test_json_is_all_there_is(folders: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    show(folders, 1.0, as_json=True)
    said = capsys.readouterr()
    assert len(json.loads(said.out)["rows"]) == 2 and not said.err
