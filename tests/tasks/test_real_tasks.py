"""mmau, mmar and mmsu through lm-eval's TaskManager, on small layouts of the official form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audio_eval.data.records import slots
from audio_eval.errors import UserError
from audio_eval.scoring import score
from audio_eval.tasks.mmau.data import fill_in
from tests.shared_data import shared_path
from tests.tasks.official import MMAR, MMAU, MMSU, load, write


def test_mmau(tmp_path: Path) -> None:
    reordered = dict(reversed(MMAU.items())) | {"id": "m2", "category": ["Reasoning"]}
    write(tmp_path, "mmau/mmau-test-mini.json", [MMAU, reordered])
    task = load("mmau_test_mini", tmp_path)
    first, second = task.test_docs()
    assert first["audio"] == {"path": str(tmp_path / "mmau/test-mini-audios/m1.wav"), "sha256": ""}
    assert first["groups"] == {"task": "sound", "difficulty": "easy", "sub-category": "Counting"}
    assert second["meta"]["category"] == "Reasoning"
    assert task.config.metadata["official"] == "mmau_official"
    assert list(first["groups"]) == task.config.metadata["groups"]
    assert task.doc_to_text(first) == (
        "Which {sound}? Please choose the answer from the following options: ['dog', 'cat']. "
        "Output the final answer in <answer> </answer>."
    )
    assert task.doc_to_audio(first) == [first["audio"]]
    assert task.doc_to_target(first) == "cat"
    assert task.process_results(first, ["<answer>cat</answer>"]) == {"acc": 1, "unparsable": 0}
    assert task.process_results(first, ["dog"]) == {"acc": 0, "unparsable": 0}
    assert task.process_results(first, ["what?"]) == {"acc": 0, "unparsable": 1}


def test_mmau_requests_carry_references_and_no_stop_string(tmp_path: Path) -> None:
    write(tmp_path, "mmau/mmau-test-mini.json", [MMAU])
    task = load("mmau_test_mini", tmp_path)
    task.build_all_requests()
    (request,) = task.instances
    context, generation, multimodal = request.args
    assert context.startswith("Which {sound}?")
    assert generation == {"until": [], "max_gen_toks": 64, "do_sample": False}
    assert multimodal["audio"][0]["path"].endswith("m1.wav")


def test_mmau_test_has_hidden_answers(tmp_path: Path) -> None:
    rows = [dict(MMAU, answer=""), {key: value for key, value in MMAU.items() if key != "answer"} | {"id": "m2"}]
    write(tmp_path, "mmau/mmau-test.json", rows)
    task = load("mmau_test", tmp_path)
    assert [doc["answer"] for doc in task.test_docs()] == ["", ""]
    assert task.process_results(task.test_docs()[0], ["cat"]) == {"unparsable": 0}
    filled = fill_in(tmp_path / "mmau/mmau-test.json", {"m1": "dog? <answer>cat</answer>"})
    assert [row["model_output"] for row in filled] == [row["model_prediction"] for row in filled] == ["cat", ""]
    assert {key: filled[0][key] for key in MMAU} == rows[0]
    with pytest.raises(UserError, match="no item zz"):
        fill_in(tmp_path / "mmau/mmau-test.json", {"zz": "cat"})


def test_mmar(tmp_path: Path) -> None:
    write(tmp_path, "mmar/MMAR-meta.jsonl", [MMAR, "", dict(MMAR, id="r2", question="line\u2028separator")])
    task = load("mmar", tmp_path)
    first, second = task.test_docs()
    assert task.doc_to_target(first) == "['a', 'b']", "an answer that looks like a list stays text"
    assert "gold" not in json.dumps(first), "the gold reasoning stays out"
    assert second["question"] == "line\u2028separator"
    assert set(first["groups"]) == {"modality", "category", "sub-category"}


def test_mmsu_keeps_the_official_slots(tmp_path: Path) -> None:
    write(tmp_path, "mmsu/MMSU.jsonl", [MMSU])
    (doc,) = load("mmsu", tmp_path).test_docs()
    assert doc["choices"] == ["male", "None"]
    assert slots(doc) == [None, "male", None, "None"]
    assert doc["audio"]["path"] == str(tmp_path / "mmsu/audio/g.wav")
    assert score("mmsu_official", "B", slots(doc), doc["answer"]).outcome == "correct"
    assert score("choice", "A", doc["choices"], doc["answer"]).outcome == "correct"


def test_broken_rows_are_reported_together(tmp_path: Path) -> None:
    rows = [
        MMAR,
        "{broken",
        dict(MMAR, id="r3", choices="a, b", question=" "),
        dict(MMAR, id="r4", audio_path="../../secret.wav"),
        dict(MMAR, id="r5", answer=None),
        MMAR,
        dict(MMAR, id="r7", choices=["one"], modality=3),
    ]
    write(tmp_path, "mmar/MMAR-meta.jsonl", rows)
    with pytest.raises(UserError) as caught:
        load("mmar", tmp_path)
    message = str(caught.value)
    expected = ("MMAR-meta.jsonl", "line 2: is not a JSON object", "line 3: 'question'", "line 3: 'choices'")
    expected += ("line 4: 'audio_path'", "line 5: 'answer'", "line 6: has the id of line 1")
    expected += ("line 7: 'choices'", "line 7: 'modality'")
    for part in expected:
        assert part in message
    assert "\n" not in message


def test_mmsu_slots_at_any_place(tmp_path: Path) -> None:
    empty = dict.fromkeys(("choice_a", "choice_b", "choice_c", "choice_d"))
    rows = [
        dict(MMSU, id=f"{one}{other}", **{**empty, f"choice_{one}": "male", f"choice_{other}": "None"})
        for one, other in ("ab", "ac", "ad", "bc", "bd", "cd", "da")
    ]
    write(tmp_path, "mmsu/MMSU.jsonl", rows)
    docs = list(load("mmsu", tmp_path).test_docs())
    assert [slots(doc) for doc in docs[:3]] == [
        ["male", "None", None, None],
        ["male", None, "None", None],
        ["male", None, None, "None"],
    ]
    assert docs[-1]["choices"] == ["None", "male"]
    for doc in docs:
        letter = "abcd"[slots(doc).index("male")].upper()
        assert score("mmsu_official", letter, slots(doc), doc["answer"]).outcome == "correct"
        assert set(doc["choices"]) == {"male", "None"}


def test_mmau_with_five_and_eight_options(tmp_path: Path) -> None:
    rows = [dict(MMAU, id=str(n), choices=[f"option {i}" for i in range(n)], answer=f"option {n - 1}") for n in (5, 8)]
    write(tmp_path, "mmau/mmau-test-mini.json", rows)
    task = load("mmau_test_mini", tmp_path)
    for doc, n in zip(task.test_docs(), (5, 8), strict=True):
        assert len(doc["choices"]) == n
        assert task.process_results(doc, [f"<answer>option {n - 1}</answer>"])["acc"] == 1


def test_the_original_mmau_is_another_task(tmp_path: Path) -> None:
    write(tmp_path, "mmau/mmau-test-mini.json", [MMAU])
    write(tmp_path, "mmau_original/mmau-test-mini.json", [dict(MMAU, question="Which animal?")])
    now, before = (load(name, tmp_path) for name in ("mmau_test_mini", "mmau_test_mini_original"))
    assert [next(iter(t.test_docs()))["question"] for t in (now, before)] == ["Which {sound}?", "Which animal?"]
    assert now.config.metadata["version"] != before.config.metadata["version"]
    assert "not comparable" in before.config.metadata["description"]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mmau_test_mini", "D/mmau/mmau-test-mini.json"),
        ("mmau_test_mini_original", "D/mmau_original/mmau-test-mini.json"),
        ("mmau_test", "D/mmau/mmau-test.json"),
        ("mmar", "D/mmar/MMAR-meta.jsonl"),
        ("mmsu", "D/mmsu/MMSU.jsonl"),
        ("daily_omni_audio", "D/daily_omni/qa.json"),
        ("alpaca_eval", "D/alpaca_eval/alpaca_eval_gpt4_baseline.json"),
        ("ultrafeedback", "D/ultrafeedback/{evol_instruct.jsonl,"),
    ],
)
def test_missing_data_says_what_is_expected(name: str, file: str, tmp_path: Path, no_hub: None) -> None:
    with pytest.raises(UserError) as caught:
        load(name, None)
    assert "cannot be reached (ConnectionError: no network)" in str(caught.value)
    assert f"--data-dir D with the official files ({file}" in str(caught.value)
    assert "or a copy (D/" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"no file .*--data-dir D must hold D/") as caught:
        load(name, tmp_path)
    assert file in str(caught.value)


def test_files_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "mmau/mmau-test-mini.json"
    for text, message in (("{", "not JSON"), ("{}", "not a JSON list"), ("[]", "no items"), ("[1]", "item 1")):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            load("mmau_test_mini", tmp_path)
    write(tmp_path, "mmau/mmau-test-mini.json", [dict(MMAU, answer="")])
    with pytest.raises(UserError, match="'answer' is '', not a text"):
        load("mmau_test_mini", tmp_path)


@pytest.mark.parametrize(("name", "count"), [("mmau_test_mini", 69), ("mmar", 41), ("mmsu", 42)])
def test_stand_ins(name: str, count: int) -> None:
    docs = list(load(name, shared_path("data/standin")).test_docs())
    assert len(docs) == count
    assert all(Path(doc["audio"]["path"]).is_file() for doc in docs)
    assert all(score("choice", doc["answer"], doc["choices"], doc["answer"]).outcome == "correct" for doc in docs)
