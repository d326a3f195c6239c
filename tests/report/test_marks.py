"""Where a response names its answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.report.marks import answer_at
from audio_eval.scoring import parse_choice
from tests.hostile import TEXTS
from tests.shared_data import shared_path

DOGS = ("a cat", "dog", "a man's voice", "hip-hop")


@pytest.mark.parametrize(
    ("response", "marked"),
    [
        ("<answer>dog</answer>", "dog"),
        ("I hear a cat first, then: <answer> DOG </answer> done", "DOG"),
        ("<answer>a</answer>", "a"),
        ("<answer>B</answer>", "B"),
        ("<answer>(B) dog</answer>", "dog"),
        ("A dog barks, so the answer is (B).", "(B)"),
        ("dog", "dog"),
        ("It is not a cat. It is a dog.", "dog"),
        ("<think>a cat? a dog?</think>It is a cat.", "a cat"),
        ('{"reason": "dog", "answer": "hip hop"}', "hip hop"),
        ("so \\boxed{\\text{dog}}", "dog"),
        ("Answer: B\nbecause it barks like a dog", "B"),
        ("The answer is\n B", "B"),
        ("a\n man's  voice", "a\n man's  voice"),
    ],
)
def test_what_was_read_is_marked(response: str, marked: str) -> None:
    place = answer_at(response, DOGS, parse_choice(response, DOGS))
    assert place is not None
    assert response[slice(*place)] == marked


@pytest.mark.parametrize(
    ("response", "marked"), [("<answer>a bird</answer>", "a bird"), ("no idea", None), ("<answer></answer>", None)]
)
def test_without_an_option_what_was_given_as_the_answer(response: str, marked: str | None) -> None:
    place = answer_at(response, DOGS, parse_choice(response, DOGS))
    assert (place and response[slice(*place)]) == marked


def test_an_option_that_is_not_there_any_more() -> None:
    assert answer_at("<answer>dog</answer>", (), 1) == (8, 11)


@given(
    TEXTS | st.text(), st.lists(st.sampled_from(["a", "B", "dog", "no", "5", "", "the dog"]), min_size=1, max_size=4)
)
def test_a_place_names_the_same_option(response: str, choices: list[str]) -> None:
    text = f"{response} {choices[0]}"
    choice = parse_choice(text, choices)
    place = answer_at(text, choices, choice)
    assert place is None or choice is None or parse_choice(text[slice(*place)], choices) == choice


def test_difficult_answers_have_a_place() -> None:
    lines = shared_path("data/cases/answers.jsonl").read_text(encoding="utf-8").splitlines()
    read = [case for line in lines if (case := json.loads(line))["expected"] is not None]
    placed = [c for c in read if answer_at(c["response"], c["choices"], parse_choice(c["response"], c["choices"]))]
    assert len(placed) >= 0.95 * len(read)
