"""The JSON of an item."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from audio_eval.report.sample import HEAD, TAIL, legible, sample_record
from audio_eval.runlog import Sample
from audio_eval.runlog.records import LabelRecord, QuestionRecord, ResponseRecord
from audio_eval.scoring.scores import Score
from tests.hostile import NAMES, TEXTS

OPTIONS = ("cat", "dog", "bird")


def sample(response: str = "<answer>dog</answer>", label: LabelRecord | None = None, gold: str | None = "dog",
           choices: tuple[str, ...] = OPTIONS, **said: Any) -> Sample:  # fmt: skip
    question = QuestionRecord(id="q1", audio="a.wav", audio_sha256="0", question="Which animal?", choices=choices,
                              prompt="Which animal? A cat B dog C bird", groups={"task": "sound"})  # fmt: skip
    score = None
    if gold is not None:
        right, choice = gold in response, next((i for i, option in enumerate(choices) if option in response), None)
        outcome = "excluded" if not gold else "correct" if right else "wrong"
        score = Score(id="q1", answer=gold, outcome=outcome, answered=choice is not None, why="option text",  # type: ignore[arg-type]
                      choice=choice, unread=None if choice is not None else "not an option")  # fmt: skip
    return Sample(question, gold, ResponseRecord(id="q1", response=response, **said), score, label)


@pytest.mark.parametrize(
    ("before", "after", "fate"),
    [("cat", "dog", "fixed"), ("dog", "cat", "broken"), ("dog", "dog", "kept right"), ("cat", "?", "kept wrong")],
)
def test_fates(before: str, after: str, fate: str) -> None:
    record = sample_record([("direct", sample(before)), ("sft", sample(after))])
    assert record["fate"] == fate
    assert [arm["name"] for arm in record["arms"]] == ["direct", "sft"]
    assert record["arms"][1]["readable"] is (after != "?")


def test_one_arm_has_no_fate() -> None:
    record = sample_record([("direct", sample())])
    assert record["fate"] is None
    assert (record["gold"], record["gold_at"]) == ("dog", 1)
    assert record["arms"][0]["marks"] == [[8, 11]]


def test_hidden_and_not_scored_yet() -> None:
    hidden, unscored = sample_record([("a", sample(gold=""))]), sample_record([("a", sample(gold=None))])
    for record in (hidden, unscored):
        assert (record["gold"], record["gold_at"], record["arms"][0]["right"]) == (None, None, None)
    assert hidden["arms"][0]["readable"] is True and unscored["arms"][0]["readable"] is None
    assert unscored["arms"][0]["choice"] == 1, "which option it names is known before it is scored"


def test_votes_are_counted_by_option() -> None:
    record = sample_record([("mv", sample(groups=((("dog", 3), ("B", 2), ("what?", 1)),)))])
    assert record["arms"][0]["votes"] == {"counts": [0, 5, 0], "unreadable": 1, "unplaced": 0}


def test_a_letter_in_a_view_is_no_vote_for_an_option() -> None:
    record = sample_record([("mv", sample(groups=((("dog", 1),), (("B", 2), ("B. dog", 1)))))])
    assert record["arms"][0]["votes"] == {"counts": [0, 1, 0], "unreadable": 0, "unplaced": 3}


def test_votes_on_the_label() -> None:
    label = LabelRecord(id="q1", choice=2, label="bird", confidence=0.5, tally={"bird": 2, "cat": 1}, unparsable=1,
                        entropy=0.9, agreement=1.0)  # fmt: skip
    arm = sample_record([("aqa_ttrl", sample(label=label))])["arms"][0]
    assert arm["label"] == {
        "choice": 2, "confidence": 0.5, "counts": [1, 0, 2], "unreadable": 1, "unplaced": 0, "share": False,
    }  # fmt: skip


def test_a_long_response_keeps_its_end_and_its_mark() -> None:
    arm = sample_record([("a", sample("x" * 50_000 + "<answer>dog</answer>"))])["arms"][0]
    assert len(arm["response"]) < HEAD + TAIL + 60
    start, end = arm["marks"][0]
    assert arm["response"][start:end] == "dog"
    early = sample_record([("a", sample("<answer>dog</answer>" + " " * 50_000))])["arms"][0]
    assert early["response"][slice(*early["marks"][0])] == "dog"


@pytest.mark.parametrize("name", NAMES)
def test_hostile_texts_are_json(name: str) -> None:
    one = sample(f"{name}<answer>dog</answer>", choices=(name, "dog"), groups=(((name, 2),),))
    arm = json.loads(json.dumps(sample_record([(name, one)]), allow_nan=False))["arms"][0]
    assert not any(char in arm["response"] for char in "\x1b\x07\u202e\u2066\u2028\ud800")


@given(TEXTS)
def test_legible_keeps_places(text: str) -> None:
    assert len(legible(text)) == len(text)
    legible(text).encode()
