"""Whatever a text holds and whatever the stream can encode: lines come out, nothing commands the terminal."""

from __future__ import annotations

import io
import json
import logging
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.terminal import filter_logs, plain, printable, say, say_json, settle_streams

ROOT = Path(__file__).parents[1]
HOSTILE = "\x1b]0;owned\x07\x1b[2J\rname\u202e\u2028next\nline\ud800\x00"


@given(st.text(st.characters(), max_size=40))
def test_nothing_unprintable_passes(text: str) -> None:
    assert all(char.isprintable() for char in printable(text))
    assert printable(printable(text)) == printable(text)
    assert all(char.isprintable() or char.isspace() for char in plain(text)) or not plain(text).isascii()
    assert "\n" not in plain(text) and "\x1b" not in plain(text)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_no_stream_raises(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    settle_streams()
    say("Δ direct — ±2.0 …", HOSTILE, "日本")
    said = raw.getvalue().decode(encoding)
    first, second, third = said.splitlines()
    assert len(first) == len("Δ direct — ±2.0 …")
    assert second == "\\x1b]0;owned\\x07\\x1b[2J\\rname\\u202e\\u2028next\\nline\\ud800\\x00"
    assert third == ("日本" if encoding == "utf-8" else "??")
    if encoding == "ascii":
        assert first == "D direct - ~2.0 ."


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_json_loses_nothing(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    settle_streams()
    say_json({"Δ": HOSTILE})
    said = raw.getvalue().decode(encoding)
    assert json.loads(said) == {"Δ": HOSTILE}
    assert all(char.isprintable() for char in said.rstrip("\n"))


def test_logs_of_libraries_go_through_the_filter(capsys: pytest.CaptureFixture[str]) -> None:
    handler, log = logging.StreamHandler(sys.stderr), logging.getLogger("a library")
    log.addHandler(handler)
    filter_logs()
    filter_logs()
    log.warning("unknown task '%s'\nhttp://u:pw@host", "\x1b[31mred\u202e")
    assert capsys.readouterr().err == "unknown task '\\x1b[31mred\\u202e'\nhttp://host\n"
