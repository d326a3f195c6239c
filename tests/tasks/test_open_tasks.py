"""Daily-Omni's sound tracks, the open-ended tasks and the two text sets, on small layouts of the official form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audio_eval.errors import UserError
from tests.tasks.official import ALPACA, DAILY, MMAU, ULTRA, ULTRA_FILES, load, write


def test_daily_omni(tmp_path: Path) -> None:
    rows = [DAILY, dict(DAILY, video_id="other"), dict(DAILY, Question="Then?", Answer="D")]
    write(tmp_path, "daily_omni/qa.json", rows)
    first, other, second = load("daily_omni_audio", tmp_path).test_docs()
    assert [doc["id"] for doc in (first, other, second)] == ["-v_1_1", "other_1", "-v_1_2"]
    assert first["choices"] == ["A. Smith", "rain → wind", "", "B"], "one letter is taken off, and only its own"
    assert (first["answer"], second["answer"]) == ("rain → wind", "B")
    assert first["audio"]["path"] == str(tmp_path / "daily_omni/Videos/-v_1/-v_1_audio.wav")
    assert first["groups"] == {"Type": "Inference", "video_category": "Music", "video_duration": "30s"}


def test_daily_omni_rows_that_are_broken(tmp_path: Path) -> None:
    rows = [
        dict(DAILY, Answer="E"),
        dict(DAILY, Answer="C"),
        dict(DAILY, Choice=["rain", "wind"], Answer="A"),
        dict(DAILY, video_id="../../x"),
        dict(DAILY, Type=None),
    ]
    write(tmp_path, "daily_omni/qa.json", rows)
    with pytest.raises(UserError) as caught:
        load("daily_omni_audio", tmp_path)
    for part in (
        "item 1: 'Answer' is 'E', the letter of no option",
        "item 2: 'Answer' is 'C', the letter of no option",
        "item 3: 'Choice' has options without their letters",
        "item 4: 'audio': audio path",
        "item 5: 'Type' is missing",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("name", "file", "row", "answer", "options"),
    [
        ("mmau_open", "mmau/mmau-test-mini.json", MMAU, "cat", ["dog", "cat"]),
        ("daily_omni_open", "daily_omni/qa.json", DAILY, "rain → wind", ["A. Smith", "rain → wind", "", "B"]),
    ],
)
def test_open_items(name: str, file: str, row: dict[str, Any], answer: str, options: list[str], tmp_path: Path) -> None:
    write(tmp_path, file, [row])
    task = load(name, tmp_path)
    (doc,) = task.test_docs()
    assert (doc["choices"], doc["answer"], doc["meta"]["options"]) == ([], answer, options)
    assert doc["question"] == row.get("question", row.get("Question"))
    assert task.doc_to_text(doc).startswith(f"{doc['question']}\nExplain your reasoning step by step")
    assert answer not in task.doc_to_text(doc)
    assert task.doc_to_target(doc) == answer
    assert task.doc_to_audio(doc) == [doc["audio"]]
    closed = load(name.replace("_open", {"mmau_open": "_test_mini"}.get(name, "_audio")), tmp_path)
    assert next(iter(closed.test_docs()))["id"] == doc["id"]


def test_open_metrics(tmp_path: Path) -> None:
    pytest.importorskip("sacrebleu")
    pytest.importorskip("rouge_score")
    write(tmp_path, "mmau/mmau-test-mini.json", [dict(MMAU, choices=["a dog barks", "a cat"], answer="a dog barks")])
    task = load("mmau_open", tmp_path)
    (doc,) = task.test_docs()
    assert task.process_results(doc, ["A dog barks"])["contains_em"] == 1.0
    assert task.process_results(doc, ["a dog barks"]) == pytest.approx({"contains_em": 1, "bleu": 1, "rouge_l": 1})
    assert task.process_results(doc, ["silence"]) == pytest.approx({"contains_em": 0, "bleu": 0, "rouge_l": 0})
    partly = task.process_results(doc, ["<think>a dog barks</think> It is a dog, I think"])
    assert partly["contains_em"] == 0 and 0 < partly["rouge_l"] < 1


def test_ultrafeedback(tmp_path: Path) -> None:
    for name in ULTRA_FILES:
        write(tmp_path, f"ultrafeedback/{name}.jsonl", [dict(ULTRA, source=name)])
    write(tmp_path, "ultrafeedback/flan.jsonl", [ULTRA, "", dict(ULTRA, instruction="One\u2028line")])
    task = load("ultrafeedback", tmp_path)
    docs = list(task.test_docs())
    ids = ["evol_instruct-1", "false_qa-1", "flan-1", "flan-3", "sharegpt-1", "truthful_qa-1", "ultrachat-1"]
    assert [doc["id"] for doc in docs] == ids
    assert docs[3]["question"] == "One\u2028line"
    assert {(doc["answer"], doc["audio"]["path"], len(doc["choices"])) for doc in docs} == {("", "", 0)}
    assert docs[2]["groups"] == {"source": "flan"}
    assert "completions" not in json.dumps(docs), "what other models said stays out"
    assert task.process_results(docs[0], ["two words"]) == {"words": 2}
    (tmp_path / "ultrafeedback/sharegpt.jsonl").write_text("{\n" + json.dumps(dict(ULTRA, instruction="")))
    with pytest.raises(UserError, match=r"sharegpt.jsonl line 1: is not.*sharegpt.jsonl line 2: 'instruction'"):
        load("ultrafeedback", tmp_path)
    (tmp_path / "ultrafeedback/flan.jsonl").unlink()
    with pytest.raises(UserError, match=r"no file .*flan.jsonl"):
        load("ultrafeedback", tmp_path)


def test_alpaca_eval(tmp_path: Path) -> None:
    write(tmp_path, "alpaca_eval/alpaca_eval_gpt4_baseline.json", [ALPACA, dict(ALPACA, dataset="oasst")])
    task = load("alpaca_eval", tmp_path)
    first, second = task.test_docs()
    assert (first["id"], second["id"]) == ("koala-0000", "oasst-0001")
    assert (first["answer"], first["choices"]) == ("", [])
    assert first["meta"] == {"baseline": "hi", "generator": "gpt4_1106_preview"}
    assert task.doc_to_text(first) == "Say {{ hi }}."
    task.build_all_requests()
    assert len(task.instances[0].args) == 2, "text only: no audio in the request"
