"""YAML of other people: no object is made, nothing hangs, and an ordinary file reads as it always did."""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_eval.errors import UserError
from audio_eval.runs.plan import read_config
from audio_eval.yaml_text import BadYaml, parse_yaml

ROOT = Path(__file__).parent.parent
LETTERS = "abcdefghij"
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{now}: &{now} [{', '.join([f'*{before}'] * 10)}]\n" for before, now in pairwise(LETTERS)
)
MERGES = "a: &a {k: 1}\n" + "".join(
    f"{now}: &{now} {{<<: [{', '.join([f'*{before}'] * 10)}]}}\n" for before, now in pairwise(LETTERS)
)
BAD = {
    "laughs": (LAUGHS, "line 5: its aliases amount to more than 100000 values"),
    "merges": (MERGES, "its aliases amount to"),
    "itself": ("a: &a [*a]", "line 1: a value holds itself"),
    "deep": ("- " * 600 + "x", "deeper than 64 levels"),
    "deeper": ("[" * 80 + "]" * 80, "deeper than 64 levels"),
    "brackets": ("a: " + "[" * 990 + "]" * 990, "deeper than 64 levels"),
    "brackets, no end": ("{a: " * 5_000, "deeper than 64 levels"),
    "long": ("x" * 300_000, "300000 characters"),
    "digits": ("x: " + "9" * 5000, "line 1: it holds an integer of 5000 digits"),
    "digits of base 16": ("x: -0x" + "f" * 9000, "an integer of 9003 digits"),
    "digits of base 60": ("x: 1" + ":1" * 9000, "an integer of 18001 digits"),
    "date": ("d: 2026-13-45", "month must be"),
    "object": ("!!python/object/apply:os.system ['id']", "could not determine a constructor"),
    "null": ("a: \0", "special characters"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(case: str) -> None:
    text, says = BAD[case]
    with pytest.raises(BadYaml, match=says):
        parse_yaml(text)


def test_brackets_take_no_time() -> None:
    """PyYAML by itself took a second for a thousand of them (found by tests.fuzz)."""
    began = time.process_time()
    for text in ("[" * 990, "a: " + "[" * 100_000, "{a: [" * 900):
        with pytest.raises(BadYaml, match="deeper than 64"):
            parse_yaml(text)
    assert time.process_time() - began < 0.5


def test_many_values_stop_the_reading_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audio_eval.yaml_text.MAX_VALUES", 100)
    with pytest.raises(BadYaml, match="it has more than 100 values"):
        parse_yaml("[" + "a," * 120 + "no end")


@pytest.mark.parametrize("case", BAD)
def test_in_a_run_file_it_is_one_line(case: str, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(BAD[case][0])
    with pytest.raises(UserError, match=r"^run file '.*run\.yaml' is no YAML: .*"):
        read_config(tmp_path / "run.yaml")


def test_every_file_of_ours_reads_as_before() -> None:
    for path in (ROOT / "configs").glob("*.yaml"):
        assert parse_yaml(path.read_text()) == yaml.safe_load(path.read_text())
    assert parse_yaml("") is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


@settings(max_examples=30)
@given(VALUES)
def test_what_was_written_is_read(value: object) -> None:
    text = yaml.safe_dump(value)
    assert parse_yaml(text) == yaml.safe_load(text)


@given(st.text(max_size=60))
def test_any_text_is_a_value_or_bad(text: str) -> None:
    with suppress(BadYaml):
        parse_yaml(text)
