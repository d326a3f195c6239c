"""mmau, mmar and mmsu through lm-eval's TaskManager, on small layouts of the official form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import audio_eval.tasks
from audio_eval.errors import UserError
from audio_eval.scoring import score
from audio_eval.tasks.common import official_choices
from audio_eval.tasks.mmau.data import fill_in
from tests.shared_data import shared_path

MMAU = {
    "id": "m1", "audio_id": "./test-mini-audios/m1.wav", "question": "Which {sound}?", "choices": ["dog", "cat"],
    "answer": "cat", "dataset": "x", "task": "sound", "split": "test-mini", "category": "Reasoning",
    "sub-category": "Counting", "difficulty": "easy",
}  # fmt: skip
MMAR = {
    "id": "r1", "audio_path": "./audio/r1.wav", "question": "Which?", "choices": ["['a', 'b']", "['b', 'a']", ""],
    "answer": "['a', 'b']", "modality": "mix-sound-speech", "category": "Signal Layer", "sub-category": "Imagination",
    "language": None, "source": "youtube", "url": "", "timestamp": "0,1", "thinking": "gold", "cue": [], "rubric": [],
}  # fmt: skip
MMSU = {
    "id": "gender_1", "task_name": "gender", "audio_path": "/audio/g.wav", "question": "Who?", "choice_a": None,
    "choice_b": "male", "choice_c": None, "choice_d": "None", "answer_gt": "male", "category": "Perception",
    "sub-category": "Linguistics", "sub-sub-category": "s", "linguistics_sub_discipline": None,
}  # fmt: skip


def write(data_dir: Path, relative: str, rows: list[Any]) -> None:
    path = data_dir / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) if path.suffix == ".jsonl" else json.dumps(rows), encoding="utf-8")


def load(name: str, data_dir: Path | None) -> Any:
    from lm_eval.tasks import TaskManager

    folder = str(Path(audio_eval.tasks.__file__).parent)
    metadata = {"data_dir": str(data_dir) if data_dir else None}
    return TaskManager(include_path=folder, include_defaults=False, metadata=metadata).load([name])["tasks"][name]


def test_mmau(tmp_path: Path) -> None:
    reordered = dict(reversed(MMAU.items())) | {"id": "m2", "category": ["Reasoning"]}
    write(tmp_path, "mmau/mmau-test-mini.json", [MMAU, reordered])
    task = load("mmau_test_mini", tmp_path)
    first, second = task.test_docs()
    assert first["audio"] == {"path": str(tmp_path / "mmau/test-mini-audios/m1.wav"), "sha256": ""}
    assert json.loads(first["groups"]) == {"task": "sound", "difficulty": "easy", "sub-category": "Counting"}
    assert json.loads(second["meta"])["category"] == "Reasoning"
    assert task.config.metadata["official"] == "mmau_official"
    assert list(json.loads(first["groups"])) == task.config.metadata["groups"]
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
    assert set(json.loads(first["groups"])) == {"modality", "category", "sub-category"}


def test_mmsu_keeps_the_official_slots(tmp_path: Path) -> None:
    write(tmp_path, "mmsu/MMSU.jsonl", [MMSU])
    (doc,) = load("mmsu", tmp_path).test_docs()
    assert doc["choices"] == ["male", "None"]
    assert official_choices(doc) == [None, "male", None, "None"]
    assert doc["audio"]["path"] == str(tmp_path / "mmsu/audio/g.wav")
    assert score("mmsu_official", "B", official_choices(doc), doc["answer"]).outcome == "correct"
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


@pytest.mark.parametrize("name", ["mmau_test_mini", "mmau_test", "mmar", "mmsu"])
def test_missing_data_says_what_is_expected(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--data-dir D.*D/mm.*/"):
        load(name, None)
    with pytest.raises(UserError, match=r"no file .*--data-dir D must hold D/mm"):
        load(name, tmp_path)


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
