"""The error budget: how many items may fail, and that a folder that is gone is no bad item."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from audio_eval.audio import AudioRef
from audio_eval.errors import TooManyErrors
from audio_eval.group import Group
from audio_eval.questions import Question
from audio_eval.rl.error_budget import ErrorBudget
from audio_eval.rl.meter import Meter
from audio_eval.runlog import RunSpec
from audio_eval.runlog.spec import errors_allowed
from tests.rl.fake_policy import make_group, make_question


@pytest.mark.parametrize(
    ("text", "items", "allowed"),
    [
        ("1%", 48, 0), ("1%", 100, 1), ("1%", 1000, 10), ("0.01", 1000, 10), ("5", 48, 5), ("0", 48, 0),
        ("100%", 48, 48), ("0%", 48, 0), ("0.5", 3, 1), ("1", 48, 1), ("2.5 %", 1000, 25), ("29%", 100, 29),
    ],
)  # fmt: skip
def test_a_number_or_a_share(text: str, items: int, allowed: int) -> None:
    assert errors_allowed(text, items) == allowed


@pytest.mark.parametrize("text", ["", "x", "1.5", "-1", "101%", "nan", "inf", "%", "1%%"])
def test_what_is_neither(text: str) -> None:
    with pytest.raises(ValueError, match="a number of items, or a share"):
        errors_allowed(text, 48)
    with pytest.raises(ValueError, match="max_errors"):
        RunSpec(model="m", method="direct", method_args={}, task="t", max_errors=text)


@pytest.mark.parametrize(("given", "kept"), [(5, "5"), (0.05, "0.05"), ("5 %", "5 %"), (None, None)])
def test_a_run_file_may_say_it_as_a_number(given: object, kept: str | None) -> None:
    assert RunSpec(model="m", method="direct", method_args={}, task="t", max_errors=given).max_errors == kept


def failed(question: Question, why: str = "not audio") -> Group:
    return Group(question, (), (), error=why)


def test_the_run_stops_at_the_first_failure_too_many() -> None:
    meter = Meter(budget=ErrorBudget(100, 2))
    groups = [failed(make_question(str(i))) for i in range(4)]
    meter.made([*groups[:2], make_group(make_question("x"), {"cat": 1})])
    meter.made(groups[:2])  # the same ones again, as in the next step
    with pytest.raises(
        TooManyErrors, match=r"3 of 100 items failed, and 2 may \(--max-errors\): 0: not audio"
    ) as caught:
        meter.made(groups[2:3])
    assert "\n" not in str(caught.value)


def test_any_number_where_none_is_said() -> None:
    Meter().made([failed(make_question(str(i))) for i in range(99)])


def test_a_recording_that_is_gone_is_no_bad_item(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(b"no audio, but there")
    question = replace(make_question("a"), audio=AudioRef(path=str(file)))
    budget = ErrorBudget(100, 100, {"a"})
    budget.check({}, [failed(question)])  # it can be read, and is no audio: a bad item
    file.unlink()
    with pytest.raises(TooManyErrors, match=r"item 'a' could be read when this began, and cannot be now: .*a\.wav"):
        budget.check({}, [failed(question)])
    ErrorBudget(100, 100, {"b"}).check({}, [failed(question)])  # it never could
    budget.check({}, [make_group(question, {"cat": 1})])  # what is kept in memory needs no file
