"""Which two runs may be compared, on which items, and what is said with it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from audio_eval.compare.facts import facts
from audio_eval.compare.pair import Pair
from audio_eval.errors import UserError
from tests.compare.runs import write_run


def pair(folder: Path, states: str = "rrww", **changes: Any) -> Pair:
    return Pair.load(write_run(folder / "a", "rwrw"), write_run(folder / "b", states, **changes))


def test_two_methods_on_the_same_items(tmp_path: Path) -> None:
    found = pair(tmp_path, method="sft", tags=["pseudo labels"], settings={"lr": 0.1})
    assert (found.a.label, found.b.label) == ("direct", "sft")
    assert found.ids == ("q0", "q1", "q2", "q3")
    assert found.warnings == ("One seed a run: the figures are about further items, not about further seeds.",)
    differing = {fact.name: fact.texts for fact in facts(found) if fact.differs}
    assert differing == {
        "method": ("direct", "sft"), "settings": ("—", "lr=0.1"), "tags": ("—", "pseudo labels"),
    }  # fmt: skip


def test_two_seeds_of_a_method_are_called_by_them(tmp_path: Path) -> None:
    found = pair(tmp_path, seed=3)
    assert (found.a.label, found.b.label) == ("direct, seed 0", "direct, seed 3")


def test_two_models(tmp_path: Path) -> None:
    assert pair(tmp_path, model="big").b.label == "big direct"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"questions": {1: {"question": "Which?"}}}, "1 of 4 common items are not the same in both (question in 1)"),
        ({"questions": {1: {"choices": ("bell", "gong")}}}, "(options in 1)"),
        ({"questions": {1: {"audio_sha256": "other"}}}, "(recording in 1)"),
        ({"golds": {1: "drum"}}, "(answer in 1)"),
        ({"golds": {1: "drum"}, "questions": {1: {"question": "Which?"}}}, "(question in 1, answer in 1)"),
    ],
)
def test_an_item_of_the_same_id_that_is_another_is_left_out(tmp_path: Path, changes: Any, told: str) -> None:
    found = pair(tmp_path, **changes)
    assert found.ids == ("q0", "q2", "q3") and told in found.warnings[0]


def test_another_order_of_the_options_is_the_same_item(tmp_path: Path) -> None:
    assert len(pair(tmp_path, questions={1: {"choices": ("drum", "bell")}}).ids) == 4


def test_what_one_side_does_not_say_is_no_difference(tmp_path: Path) -> None:
    assert len(pair(tmp_path, golds={1: ""}, questions={2: {"audio_sha256": None}}).ids) == 4


def test_items_of_one_run_alone_are_left_out(tmp_path: Path) -> None:
    found = pair(tmp_path, "rrw", ids=["q3", "q1", "q9"])
    assert found.ids == ("q1", "q3")
    assert found.warnings == (
        "2 items of A that the other does not have: left out.", "1 item of B that the other does not have: left out.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"prompt": "plain"}, "The prompt is not the same: tagged in A, plain in B. The difference is of that too."),
        ({"data_revision": None}, "The version of the data is not the same: abc123 in A, not recorded in B."),
        ({"audio_revision": "v2"}, "The version of the recordings is not the same: not recorded in A, v2 in B."),
        ({"long_audio": "chunk"}, "The treatment of long audio is not the same: cut in A, chunk in B."),
        ({"notes": {"unreadable": {"q1": "no file"}}}, "1 item of B with errors: counted as wrong."),
        ({"trained_on": "same"}, "B is trained on the labels of scored items."),
    ],
)
def test_what_a_reader_must_know(tmp_path: Path, changes: Any, told: str) -> None:
    assert pair(tmp_path, **changes).warnings[0].startswith(told)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"task": "mmar"}, "give two runs of one task"),
        ({"scorer": "choice-v0"}, "is scored by choice-v1, '.*b' by choice-v0: score the responses of one anew"),
        ({"judge": {"judge": "j", "prompt": "p"}}, "is graded by nobody, '.*b' by judge j, p"),
        ({"accuracy": None}, "are hidden"),
        ({"ids": ["x", "y", "z", "w"]}, "no item in common. 4 items of A that"),
        ({"golds": dict.fromkeys(range(4), "drum")}, "no item in common. 4 of 4 common items are not the same"),
        ({"accuracy": 90.0}, "result.json says 90.00 %"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path: Path, changes: Any, told: str) -> None:
    with pytest.raises(UserError, match=told) as error:
        pair(tmp_path, **changes)
    assert "\n" not in str(error.value)


def test_directories_that_are_no_run(tmp_path: Path) -> None:
    a = write_run(tmp_path / "runs" / "a", "rw")
    write_run(tmp_path / "runs" / "b", "ww")
    unfinished = shutil.copytree(a, tmp_path / "c")
    (unfinished / "result.json").unlink()
    unasked = shutil.copytree(a, tmp_path / "d")
    (unasked / "questions.jsonl").unlink()
    (unasked / ".questions.jsonl.crc").unlink()
    for other, told in (
        (a, "are one run"), (tmp_path / "runs", "holds 2 runs"), (tmp_path / "none", "no folder"),
        (unfinished, "not finished"), (unasked, "does not say what was asked in 2 items, as 'q0'"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=told):
            Pair.load(a, other)
