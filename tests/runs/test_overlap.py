"""What is learned from and scored too is found by what the items hold, and said in every table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audio_eval.audio import AudioRef
from audio_eval.cli.main import main
from audio_eval.questions import Question
from audio_eval.runs.overlap import shared
from audio_eval.store import read_json
from audio_eval.task import Task, load_task
from tests.runs.layout import ITEMS, write_mmar


@pytest.fixture(scope="module")
def task() -> Task:
    return load_task("synth_aqa:validation", limit=4)


def among(task: Task, learned: Task) -> list[str]:
    return shared(task, task.questions, learned, learned.questions)


def changed(task: Task, name: str, **parts: Any) -> Task:
    """The task under another name, with other questions."""
    questions = [replace(q, **{key: make(q) for key, make in parts.items()}) for q in task.questions]
    return replace(task, name=name, questions=questions)


def silent(question: Question) -> AudioRef:
    return AudioRef(data=f"another recording for {question.id}".encode())


def test_the_same_recording_under_another_id_in_another_benchmark(task: Task) -> None:
    other = changed(task, "theirs", id=lambda q: f"x{q.id}", question=lambda q: "What else?")
    assert among(task, other) == [q.id for q in task.questions]


def test_ids_count_within_one_benchmark_alone(task: Task) -> None:
    assert among(task, changed(task, "theirs", audio=silent)) == []
    assert among(task, changed(task, task.name, audio=silent)) == [q.id for q in task.questions]


def test_items_of_text_are_known_by_their_text(task: Task) -> None:
    text = changed(task, "text", audio=lambda q: None, question=lambda q: f"{q.id}: {q.question}")
    other = changed(text, "theirs", id=lambda q: f"x{q.id}", choices=lambda q: q.choices[::-1])
    assert among(text, other) == [q.id for q in task.questions]
    assert among(text, changed(other, "theirs", question=lambda q: "Why?")) == []
    assert among(task, changed(other, "theirs", question=lambda q: q.question.partition(": ")[2])) == []


def test_only_what_is_scored_and_learned_from_counts(task: Task) -> None:
    found = shared(task, task.questions[:3], task, task.questions[1:])
    assert found == [q.id for q in task.questions[1:3]]


def test_splits_of_the_embedded_benchmark_share_nothing(task: Task) -> None:
    assert among(task, load_task("synth_aqa:train", limit=8)) == []


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """The scored copy of a benchmark; and one to train on, with three of its recordings under other ids."""
    scored, other = (write_mmar(tmp_path / name, broken=False) for name in ("scored", "other"))
    file = other / "mmar" / "MMAR-meta.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for i, row in enumerate(rows):
        row["id"] = f"t{i}"
        if i >= 3:
            recording = other / "mmar" / "audio" / f"r{i}.wav"
            recording.write_bytes(recording.read_bytes()[:-4])  # two samples shorter: another recording
    file.write_text("\n".join(map(json.dumps, rows)))
    return scored, other


def test_a_table_says_so_beside_the_training_task(
    places: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scored, other = places
    command = [
        "--model", "tiny-omni", "--tasks", "mmar", "--data-dir", str(scored), "--method", "grpo,direct",
        "--train-task", "mmar:test", "--train-data-dir", str(other), "--seed", "0,1",
        "--method-args", "steps=1,batch_size=4,group_size=2,tune=lora", "--output", str(tmp_path / "runs"),
    ]  # fmt: skip
    assert main(command) == 0
    shown = capsys.readouterr()
    assert shown.err.count("mmar: trained on 3 scored items; every table will say so") == 1
    tags = {row["method"]: row["tags"] for row in results(tmp_path / "runs")}
    assert tags == {"grpo": ["trained on 3 scored items"], "direct": []}
    assert main(["leaderboard", str(tmp_path / "runs"), "-o", str(tmp_path / "lb")]) == 0
    page = (tmp_path / "lb" / "mmar.md").read_text()
    assert "trained on 3 scored items" in page and "trained on the test labels" in page, "one does not hide the other"


def test_what_is_adapted_on_without_labels_is_said_too(
    places: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The task that is adapted on has no --data-dir of its own: here it is the scored one by name."""
    command = [
        "--model", "tiny-omni", "--tasks", "mmar", "--data-dir", str(places[0]), "--method", "aqa_ttrl",
        "--adapt-task", "mmar:test", "--method-args", "votes=2,steps=1,batch_size=4,tune=lora",
        "--output", str(tmp_path / "runs"),
    ]  # fmt: skip
    assert main(command) == 0
    assert f"adapted on {ITEMS} scored items" in capsys.readouterr().err
    (row,) = results(tmp_path / "runs")
    assert f"adapted on {ITEMS} scored items" in row["tags"]


def results(runs: Path) -> list[dict[str, Any]]:
    return [read_json(path)["audio_eval"] for path in sorted(runs.glob("*/result.json"))]


@pytest.mark.parametrize(
    ("apart", "tags"), [([], [f"adapter trained on {ITEMS} scored items"]), (["--holdout", "0.6"], [])]
)
def test_an_adapter_brings_along_what_it_has_learned_from(
    places: tuple[Path, Path], tmp_path: Path, apart: list[str], tags: list[str]
) -> None:
    """With the same --holdout it is scored on the items that it has not seen."""
    common = ["--model", "tiny-omni", "--tasks", "mmar", "--data-dir", str(places[0]), *apart]
    trained = ["--method", "aqa_ttrl", "--method-args", "votes=2,steps=1,batch_size=4,tune=lora"]
    assert main([*common, *trained, "--output", str(tmp_path / "trained")]) == 0
    (run,) = (path.parent for path in (tmp_path / "trained").glob("*/result.json"))
    assert main([*common, "--adapter", str(run), "--output", str(tmp_path / "runs")]) == 0
    (row,) = results(tmp_path / "runs")
    assert row["tags"] == tags
