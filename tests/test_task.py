"""Loading tasks: prompts and letters, other orders of the options, groups, provenance."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from audio_eval.data import Provenance
from audio_eval.errors import UserError
from audio_eval.scoring import score
from audio_eval.task import AS_FILED, load_task
from tests.runs.layout import ITEMS, write_mmar

MMSU = {
    "id": "gender_1", "task_name": "gender", "audio_path": "/audio/g.wav", "question": "Who?", "choice_a": None,
    "choice_b": "male", "choice_c": None, "choice_d": "female", "answer_gt": "female", "category": "Perception",
    "sub-category": "Linguistics", "sub-sub-category": "s", "linguistics_sub_discipline": None,
}  # fmt: skip


@pytest.fixture
def data_dir(tmp_path: Path) -> str:
    write_mmar(tmp_path)
    (tmp_path / "mmsu").mkdir()
    rows = [MMSU, *(dict(MMSU, id=f"gender_{i}", choice_a="a child") for i in range(2, 12))]
    (tmp_path / "mmsu" / "MMSU.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(tmp_path)


def test_what_a_letter_counts_is_what_was_shown(data_dir: str) -> None:
    """The official prompt letters four slots, ``letter`` the options that there are, r1_aqa none."""
    official = load_task("mmsu", "mmsu_official", data_dir)
    assert official.questions[0].choices == ("", "male", "", "female")
    assert score("choice", "D", official.questions[0].choices, "female").outcome == "correct"
    assert score("mmsu_official", "D", official.letters["gender_1"], "female").outcome == "correct"
    assert score("choice", "A", official.questions[0].choices, "female").outcome == "wrong"

    letter = load_task("mmsu", "letter", data_dir)
    assert "A. male\nB. female" in letter.questions[0].prompt
    assert score("choice", "B", letter.questions[0].choices, "female").outcome == "correct"
    assert score("mmsu_official", "B", letter.letters["gender_1"], "female").outcome == "correct"

    plain = load_task("mmsu", None, data_dir)
    assert "['male', 'female']" in plain.questions[0].prompt
    assert plain.letters["gender_1"] == (None, "male", None, "female"), "the official file's slots"
    assert load_task("mmsu", AS_FILED, data_dir).questions[0].choices == ("", "male", "", "female")


@pytest.mark.parametrize("prompt", ["r1_aqa", "mmsu_official"])
def test_permuted_options(prompt: str, data_dir: str) -> None:
    plain, one, again, other = (load_task("mmsu", prompt, data_dir, permute=p) for p in (None, 1, 1, 2))
    orders = [[q.choices for q in task.questions] for task in (plain, one, again, other)]
    assert orders[1] == orders[2] and orders[1] != orders[0] and orders[1] != orders[3]
    for task in (one, other):
        for question in task.questions:
            assert sorted(question.choices) == sorted(
                plain.questions[0].choices if question.id == "gender_1" else orders[0][1]
            )
            assert [c for c in task.letters[question.id] if c] == [c for c in question.choices if c]
        assert task.answers == plain.answers and task.revision == plain.revision
        assert task.prompt_version == f"{plain.prompt_version}, options permuted by seed {task.permute}"
    assert load_task("mmsu", prompt, data_dir, limit=3, permute=1).questions == one.questions[:3], "keyed by item"


def test_provenance(data_dir: str) -> None:
    task = load_task("mmar", None, data_dir)
    digest = sha256((Path(data_dir) / "mmar/MMAR-meta.jsonl").read_bytes()).hexdigest()
    assert task.provenance == Provenance("official", files={"mmar/MMAR-meta.jsonl": digest})
    assert task.label == "mmar" and len(task.questions) == ITEMS and task.prompt.name == "r1_aqa"
    path = Path(data_dir) / "mmar/MMAR-meta.jsonl"
    path.write_text(path.read_text().replace("Which instrument is playing?", "Which instrument?"))
    assert load_task("mmar", None, data_dir).revision != task.revision


def test_names(data_dir: str) -> None:
    with pytest.raises(UserError, match="'audio_qa' is a group: name one of its tasks, mmau_test_mini, mmar, mmsu"):
        load_task("audio_qa", None, data_dir)
    with pytest.raises(UserError, match=r"unknown task 'mmr'\. Did you mean 'mmar'"):
        load_task("mmr", None, data_dir)
    with pytest.raises(UserError, match="unknown source 'hub'"):
        load_task("mmar", None, data_dir, source="hub")
    with pytest.raises(UserError, match="no folder 'nowhere'"):
        load_task("mmar", None, data_dir, include_path="nowhere")
