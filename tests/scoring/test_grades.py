"""Grades by a judge, read from its replies."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.scoring import grade as grading
from audio_eval.scoring.grade import CUT, NAME, Grade, grade, parse, summary
from audio_eval.scoring.judge import Judge
from tests.openai_server import Answer, OpenAIServer, completion, failure, prompt


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("7", 7),
        ("10", 10),
        ("0", 0),
        (" 7.\n", 7),
        ("**7**", 7),
        ("7/10", 7),
        ("Score: 7", 7),
        ("Score: 10 / 10", 10),
        ("The score is 3.", 3),
        ("Grade: 4", 4),
        ("\\boxed{8}", 8),
        ("<think>5 facts, 2 are missing</think>\n\n6", 6),
        ("11", None),
        ("-3", None),
        ("7.5", None),
        ("100", None),
        ("7/5", None),
        ("2 facts are missing", None),
        ("7 or 8", None),
        ("<think>7", None),
        ("I cannot grade this.", None),
        ("", None),
    ],
)
def test_only_a_reply_that_is_a_number_is_a_grade(reply: str, score: int | None) -> None:
    assert parse(reply) == score


@given(st.text() | st.from_regex(r"(Score: ?)?-?\d{1,3}([./]\d+)?"))
def test_a_grade_is_between_0_and_10_whatever_the_reply(reply: str) -> None:
    assert parse(reply) in (None, *range(11))


def test_grading_end_to_end(tmp_path: Path) -> None:
    script = {"A dog": "9", "A cat": "Score: 2", "No {idea}": "as good as any", "Boom": None}

    def answer(request: dict, _: int) -> Answer:
        text = script[prompt(request).partition("<candidate>\n")[2].partition("\n</candidate>")[0]]
        return failure(500, "boom") if text is None else completion(text)

    items = [
        ("What barks?", "a dog", "<think>a cat?</think><answer>A dog</answer>"),
        ("What barks?", "a dog", "A cat"),
        ("What barks?", "a dog", "No {idea}"),
        ("What barks?", "a dog", " "),
        ("What barks?", "a dog", "Boom"),
    ]
    with OpenAIServer(answer) as server:
        judge = Judge(server.url, "m", cache=tmp_path, retries=0)
        grades = grade(judge, items)
    assert len(server.requests) == 4, "an empty response is not asked about"
    assert grades[:4] == [
        Grade(9, "9", "graded"),
        Grade(2, "Score: 2", "graded"),
        Grade(None, "as good as any", "unparsable"),
        Grade(0, None, "empty response, the judge was not asked"),
    ]
    assert grades[4].score is None and grades[4].reply is None and grades[4].why.startswith("failed: ")
    found = summary(grades, judge.name)
    assert found.pop("mean") == pytest.approx(100 * (0.9 + 0.2 + 0.0) / 3)
    counts = {"n": 5, "graded": 3, "unparsable": 1, "failed": 1}
    assert found == {**counts, "judge": "m@127.0.0.1", "prompt": NAME}
    assert summary([], "j")["mean"] is None


def test_long_fields_are_cut_and_marked() -> None:
    with OpenAIServer(lambda *_: completion("5")) as server:
        grade(Judge(server.url, "m", cache=None), [("q" * 5000, "g" * CUT, "r" * 90_000)])
    text = prompt(server.requests[0])
    assert "q" * CUT + " [cut]\n" in text and "g" * CUT + "\n" in text and "r" * CUT + " [cut]\n" in text
    assert len(text) < 3 * CUT + 1000


def test_the_prompt_s_name_changes_with_its_text() -> None:
    assert re.fullmatch(r"grade0-10@[0-9a-f]{8}", NAME)
    assert NAME == "grade0-10@e06071b5", (
        "a new wording is a new metric: say so in the change log, then change this line"
    )
    assert {"{question}", "{answer}", "{response}"} == set(re.findall(r"\{\w+\}", grading.TEMPLATE))
