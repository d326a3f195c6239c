"""What `audio-eval compare` prints: for people, for machines, and with names that are more than text elsewhere."""

from __future__ import annotations

import io
import json
import sys
import unicodedata
from pathlib import Path

import pytest

from audio_eval.cli.main import main
from audio_eval.compare.as_json import as_json
from audio_eval.compare.difference import difference
from audio_eval.compare.pair import Pair
from audio_eval.compare.terminal import WIDTH, terminal_text
from tests.compare.runs import hostile_pair, write_run
from tests.hostile import NAMES


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    a = write_run(tmp_path / "a", "ruuwwwrrrr")
    return [str(a), str(write_run(tmp_path / "b", "ruwrrrrwrr", method="aqa_ttrl", said={1: "no idea"}))]


def test_people_read_tables(runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *runs, "-o", str(tmp_path / "x" / "page.html")]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    words = [line.split() for line in lines]
    assert lines[0] == "synth_aqa, 10 items of both runs" and f"B  aqa_ttrl  ({runs[1]})" in lines
    assert ["method", "direct", "aqa_ttrl"] in words
    row = next(found for found in words if found[:2] == ["accuracy", "%"])
    assert row[2] == "50.0" and "70.0" in row and row[-3:] == ["3", "1", "0.625"]
    assert next(found for found in words if found[:1] == ["sound"])[1:4] == ["5", "40.0", "60.0"]
    assert ["q7", "bell", "<answer>bell</answer>", "<answer>drum</answer>"] in words
    assert max(map(len, lines)) <= WIDTH
    assert said.err == f"page: {tmp_path / 'x' / 'page.html'}\n" and (tmp_path / "x" / "page.html").is_file()


def test_few_items_are_printed(runs: list[str]) -> None:
    pair = Pair.load(*map(Path, runs))
    one, none = (terminal_text(pair, difference(pair), items) for items in (1, 0))
    assert "\nq3 " in one and "\n2 more." in one and "\nq4 " not in one
    assert "won by B" not in none


def test_machines_read_json(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *runs, "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert not said.err and (found["task"], found["n"]) == ("synth_aqa", 10)
    assert found["difference"]["won"] == 3 and found["from_reading"]["difference"] == 0
    assert found["difference"]["difference"] == pytest.approx(20.0)
    assert found["became"]["wrong"]["right"] == 3 and found["differs"]["method"] == ["direct", "aqa_ttrl"]
    assert found["items"][1]["a"] == {"state": "unreadable", "response": "The bell."}
    assert found["items"][1]["b"] == {"state": "unreadable", "response": "no idea"}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (["--items", "-1"], "--items -1"),
        (["--embed", "nan"], "argument --embed: a number is wanted"),
        (["-o", "/dev/null/x/page.html"], "give another --output"),
    ],
)
def test_mistakes_are_one_line(
    runs: list[str], changed: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *runs, *changed]) == 1
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


def test_hostile_names_are_text(tmp_path: Path) -> None:
    pair = hostile_pair(tmp_path)
    found = difference(pair)
    text = terminal_text(pair, found, 100)
    assert not {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    told = json.loads(json.dumps(as_json(pair, found)))
    assert [item["b"]["response"] for item in told["items"]] == [name for name in NAMES for _ in range(3)]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_stream_without_unicode(runs: list[str], encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    assert main(["compare", *runs, "--items", "3", "-o", f"{runs[0]}/../page.html"]) == 0
    sys.stdout.flush()
    assert "accuracy %" in raw.getvalue().decode(encoding)
