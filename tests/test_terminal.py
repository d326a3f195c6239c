"""Whatever a text holds and whatever the stream can encode: lines come out, nothing commands the terminal."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.terminal import ReaderGone, draws, filter_logs, plain, printable, say, say_json, settle_streams

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


def test_what_python_itself_prints_goes_through_the_filter(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "excepthook", None)
    monkeypatch.setattr(warnings, "formatwarning", None)
    settle_streams()
    said = "\x1b[2J\u202e at http://u:hush0hush@host"
    print(warnings.formatwarning(UserWarning(said), UserWarning, "x.py", 1), file=sys.stderr)
    for error in (ValueError(said), KeyError(said)):
        sys.excepthook(type(error), error, None)
    printed = capsys.readouterr().err
    assert printed.count("http://host") == 3 and "hush" not in printed
    assert all(char.isprintable() or char == "\n" for char in printed)


# --- readers that go away, streams that are full ---------------------------------------------------------------------


def unread() -> io.TextIOWrapper:
    """A pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    return open(writing, "w", encoding="utf-8")


def full() -> io.TextIOWrapper:
    return open("/dev/full", "w", encoding="utf-8")


@pytest.mark.parametrize("make", [unread, full])
def test_nothing_ends_because_nobody_reads_stderr(
    make: Callable[[], io.TextIOWrapper], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = make()
    monkeypatch.setattr(sys, "stderr", stream)
    settle_streams()
    settle_streams()  # as often as one likes
    for _ in range(3):
        say("progress " * 2000, err=True)
        print("from a library", file=sys.stderr, flush=True)
    sys.stderr.flush()
    stream.close()


def test_a_reader_of_stdout_that_went_ends_the_command_and_a_full_disk_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for stream, error in ((unread(), ReaderGone), (full(), OSError)):
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(error) as caught:
            say("a table")
        if error is OSError:
            assert "No space left on device: 'standard output'" in str(caught.value)
        say("what is left goes nowhere")
        stream.close()  # which flushes


def test_streams_that_were_closed_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    settle_streams()
    say("nobody hears")
    say("nor this", err=True)
    assert not draws(sys.stdout) and not draws(sys.stderr)


def test_a_handler_of_absl_does_not_close_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stderr", stream)
    settle_streams()
    sys.stderr.close()  # as absl's handler closes the stream that it began with, once another is sys.stderr
    say("still heard", err=True)
    assert stream.buffer.getvalue() == b"still heard\n"  # type: ignore[attr-defined]
