"""avqa: labelled items in R1-AQA's format, to train on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_eval.cli.main import main
from audio_eval.errors import UserError
from audio_eval.methods.grpo import Grpo
from audio_eval.runs.execute import Executor
from audio_eval.runs.inputs import Loader
from audio_eval.task import Task, load_task
from tests.runs.conftest import lines, make_spec
from tests.tasks.official import AVQA, write

SEGMENTS = {"PLANNING": "Listen.", "SUMMARY": "An engine."}


def read(data_dir: Path, *rows: object, file: str = "train.jsonl", name: str = "avqa") -> Task:
    write(data_dir, f"avqa/{file}", list(rows))
    return load_task(name, data_dir=str(data_dir))


def write_tones(data_dir: Path, n: int = 4) -> Path:
    """Items with one-second tones, in the words of the embedded model's training."""
    (data_dir / "avqa/wav").mkdir(parents=True)
    for i in range(n):
        tone = 0.3 * np.sin(2 * np.pi * (200 + 150 * i) * np.arange(16_000) / 16_000)
        soundfile.write(data_dir / f"avqa/wav/{i}.wav", tone, 16_000)
    asked = {"question_text": "How does the pitch move?", "multi_choice": ["rising", "falling", "staying level"]}
    write(
        data_dir, "avqa/train.jsonl", [dict(AVQA, **asked, id=i, answer=2, audio_path=f"wav/{i}.wav") for i in range(n)]
    )
    return data_dir


def test_an_item(tmp_path: Path) -> None:
    task = read(tmp_path, AVQA)
    (example,) = task.examples
    question = example.question
    assert (question.id, question.question, example.answer) == (
        "183", "What happened in the audio?", "Yacht consignment",
    )  # fmt: skip
    assert question.choices == tuple(AVQA["multi_choice"])
    assert question.audio is not None and question.audio.path == str(tmp_path / "avqa/wav/a.wav")
    assert question.prompt.endswith("'Consignment car']. Output the final answer in <answer> </answer>.")
    assert (task.split, task.label, example.rationale) == ("train", "avqa:train", {})
    assert set(task.provenance.files) == {"avqa/train.jsonl"}


def test_there_is_no_split_but_train(tmp_path: Path) -> None:
    assert read(tmp_path, AVQA, name="avqa:train").questions == read(tmp_path, AVQA).questions
    with pytest.raises(UserError, match=r"unknown split 'test' of task 'avqa'.* Available: train"):
        load_task("avqa:test", data_dir=str(tmp_path))


def test_the_file_may_have_another_name_if_it_is_the_only_one(tmp_path: Path) -> None:
    assert len(read(tmp_path, AVQA, file="AVQA_r1.jsonl").questions) == 1
    with pytest.raises(UserError, match=r"several files \(AVQA_r1.jsonl, other.jsonl\): name the one to train on"):
        read(tmp_path, AVQA, file="other.jsonl")
    assert len(read(tmp_path, AVQA, dict(AVQA, id=2)).questions) == 2, "train.jsonl is the one"
    with pytest.raises(UserError, match=r"no file .*train.jsonl; --data-dir D must hold D/avqa/train.jsonl"):
        load_task("avqa", data_dir=str(tmp_path / "nowhere"))


def test_absolute_paths_below_the_folder_are_taken_and_no_others(tmp_path: Path) -> None:
    inside = str(tmp_path / "avqa/wav/a.wav")
    (question,) = read(tmp_path, dict(AVQA, audio_path=inside)).questions
    assert question.audio is not None and question.audio.path == inside
    for outside in ("/etc/passwd", str(tmp_path / "other/a.wav"), "../a.wav", f"{tmp_path}/avqa-2/a.wav"):
        with pytest.raises(UserError, match=r"line 1: 'audio_path': .* leads out of"):
            read(tmp_path, dict(AVQA, audio_path=outside))


def test_a_rationale_is_passed_on_and_stays_out_of_the_question(tmp_path: Path) -> None:
    (example,) = read(tmp_path, dict(AVQA, rationale=SEGMENTS)).examples
    assert example.rationale == SEGMENTS
    assert "An engine." not in repr(example.question)


def test_broken_rows_are_reported_together(tmp_path: Path) -> None:
    rows = [
        AVQA,
        "{broken",
        AVQA,
        *[dict(AVQA, id=i, answer=answer) for i, answer in enumerate((4, -1, "1", None, True), 1)],
        dict(AVQA, id="x", multi_choice="a, b", question_text=""),
        dict(AVQA, id=None, rationale=["first this"]),
        dict(AVQA, id=9, rationale={"PLANNING": 3}, audio_path=None),
    ]
    with pytest.raises(UserError) as caught:
        read(tmp_path, *rows)
    message = str(caught.value)
    assert "13 problems" in message and "\n" not in message
    expected = [
        "line 2: is not a JSON object",
        "line 3: has the id of line 1",
        "line 4: 'answer' is 4, the index of no",
    ]
    expected += [f"line {line}: 'answer' is" for line in range(4, 9)]
    expected += ["line 9: 'question_text'", "line 9: 'multi_choice'", "line 10: 'id'", "line 10: 'rationale'"]
    expected += ["line 11: 'rationale'", "line 11: 'audio_path'"]
    for part in expected:
        assert part in message, part
    assert "line 9: 'answer'" not in message, "no index is right where there are no options"


def test_validate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_tones(tmp_path)
    assert main(["validate", "avqa", "--data-dir", str(data)]) == 0
    (data / "avqa/wav/1.wav").unlink()
    assert main(["validate", "avqa", "--data-dir", str(data), "--json"]) == 2
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["tasks"]["avqa"]
    assert found["items"] == 4


@pytest.mark.slow
def test_grpo_trains_on_it_from_a_folder_of_its_own(tmp_path: Path) -> None:
    """The scored task is read from another place, and nothing of it is looked for in the training folder."""
    data = write_tones(tmp_path / "data", 6)
    args = "steps=1,group_size=4,batch_size=4"
    spec = make_spec("grpo", args, train_task="avqa", train_data_dir=str(data), train_limit=4)
    row = Executor().run(spec, tmp_path / "run").audio_eval.model_dump()
    assert row["trained_on"] == "avqa:train", "under the name of its only split"
    assert row["samples"] == 4 * 4 + 16 and row["n"] == 16
    assert [record["step"] for record in lines(tmp_path / "run", "metrics.jsonl")] == [1]
    assert not row["notes"].get("unreadable")


def test_scoring_on_the_items_of_the_training_is_said(tmp_path: Path) -> None:
    data = str(write_tones(tmp_path))
    spec = make_spec("grpo", "steps=1", tasks="avqa", train_task="avqa:train", data_dir=data, limit=None)
    loader = Loader()
    training = loader.training(spec, Grpo())
    assert training is not None and training.label == load_task("avqa", data_dir=data).label == "avqa:train"
