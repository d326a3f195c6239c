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
    assert score("mmau_official", "B. Rain", ("Rain", "Vitamin B"), "Rain").outcome == "wrong", "a word"
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


SIGHTS = ("A red car", "Birds, then thunder", "Nothing", "Dogs")


@pytest.mark.parametrize(
    ("response", "local", "api"),
    [
        ("B", 1, 1), ("b", 1, 1), (" \n(B)", None, None), ("B. Birds, then thunder", 1, 1), ("B\n", 1, 1),
        ("a man", 0, 0), ("Because", 1, 1), ("Birds, then thunder", 1, 1), ("Nothing", None, None), ("Dogs", 3, 3),
        ("The answer is B", None, None), ("**B**", None, None), ("", None, None), ("E", None, None),
        ("system\nYou are Qwen\nuser\nQ\nassistant\nB", 1, None), ("assistant", None, 0), ("assistant: B", None, 0),
        ("A. The assistant barks", 1, 0), ("A. The Assistant barks", 0, 0), ("assistant B assistant C", 1, 0),
    ],
)  # fmt: skip
def test_daily_omni(response: str, local: int | None, api: int | None) -> None:
    for rule, index in (("daily_omni_local", local), ("daily_omni_api", api)):
        for answer in SIGHTS:
            verdict = score(rule, response, SIGHTS, answer)
            right = index is not None and SIGHTS[index] == answer
            assert verdict[:2] == ("correct" if right else "wrong", index), (rule, answer)


def test_daily_omni_beyond_four_choices() -> None:
    five = (*SIGHTS, "Even more")
    assert score("daily_omni_local", " e ", five, "Even more").outcome == "correct", "the raw text is compared"
    assert score("daily_omni_local", "E. Even more", five, "Even more").outcome == "wrong"
    assert score("daily_omni_api", "E. Even more", five, "Even more").outcome == "correct"


def test_daily_omni_without_a_gold_letter() -> None:
    for rule in ("daily_omni_local", "daily_omni_api"):
        assert score(rule, "", SIGHTS, "no choice").outcome == "wrong"
        assert score(rule, "A", SIGHTS, "no choice").outcome == "wrong"


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
