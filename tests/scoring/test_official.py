"""The official rules, oddities included, and their agreement with the benchmarks' own scorers."""

from __future__ import annotations

import json

import pytest

from audio_eval.scoring import answer_text, score
from tests.shared_data import shared_path

SOUNDS = ("A dog barking", "A cat", "Rain")
SLOTS = ("male", None, "Chocolate.", None)


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        ("A dog barking", "correct"),
        ("barking: a DOG!", "correct"),
        ("a dog barking dog", "correct"),
        ("The answer is: a dog barking", "correct"),
        ("dog barking", "wrong"),
        ("A dog barking, a cat", "wrong"),
        ("", "wrong"),
        ("...", "wrong"),
    ],
)
@pytest.mark.parametrize("rule", ["mmau_official", "mmar_official"])
def test_string_match(rule: str, response: str, outcome: str) -> None:
    assert score(rule, response, SOUNDS, "A dog barking").outcome == outcome


def test_string_match_oddities() -> None:
    order = ("From far to near", "From near to far")
    assert score("mmar_official", order[1], order, order[0]).outcome == "correct", "sets of words have no order"
    assert score("mmau_official", "B. Rain", ("Rain", "Vitamin B"), "Rain").outcome == "wrong", "the letter is a word"
    assert score("mmau_official", "B", SOUNDS, "A cat").outcome == "wrong", "a letter alone names nothing"
    assert score("mmau_official", "<answer>Rain</answer>", SOUNDS, "Rain").outcome == "correct"
    assert score("mmau_official", "answer", ("answer", "Rain"), "Rain").outcome == "wrong"


def test_answer_text_is_the_callers_step() -> None:
    assert answer_text("cat <answer> dog </answer>") == "dog"
    assert answer_text("cat, dog") == "cat, dog"
    assert answer_text("<answer>a</answer><answer></answer>") == ""


@pytest.mark.parametrize(
    ("response", "verdict"),
    [
        ("C", ("correct", 2)),
        ("\nC\n", ("correct", 2)),
        ("(C)", ("correct", 2)),
        ("The answer is C.", ("correct", 2)),
        ("Chocolate.", ("correct", 2)),
        ("All of them", ("wrong", 0)),
        ("Because", ("wrong", None)),
        ("B", ("wrong", None)),
        ("", ("wrong", None)),
        ("None", ("wrong", None)),
        ("c", ("excluded", None)),
        ("**C**", ("excluded", None)),
        ("<answer>C</answer>", ("excluded", None)),
        ("I don't know", ("excluded", None)),
    ],
)
def test_mmsu_letter(response: str, verdict: tuple[str, int | None]) -> None:
    assert score("mmsu_official", response, SLOTS, "Chocolate.")[:2] == verdict


def test_agrees_with_the_published_scorers() -> None:
    counts: dict[str, int] = {}
    with shared_path("data/scoring/vectors.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            item = json.loads(line)
            expected = item.get("verdict") or ("correct" if item["correct"] else "wrong")
            verdict = score(f"{item['benchmark']}_official", item["prediction"], item["choices"], item["answer"])
            assert verdict.outcome == expected, item
            counts[item["benchmark"]] = counts.get(item["benchmark"], 0) + 1
    assert set(counts) == {"mmau", "mmar", "mmsu"}


def test_official_gold_texts_are_right_by_both_rules() -> None:
    items = json.loads(shared_path("data/benchmarks/mmau/mmau-test-mini.json").read_text(encoding="utf-8"))
    for item in items:
        for rule in ("choice", "mmau_official"):
            assert score(rule, item["answer"], item["choices"], item["answer"]).outcome == "correct", item
