"""No answer of the scored task reaches a method; labels are those of a training task."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from audio_eval.errors import UserError
from audio_eval.methods.direct import Direct
from audio_eval.methods.grpo import Grpo
from audio_eval.runs import execute
from audio_eval.runs.execute import Executor
from audio_eval.task import Task, load_task
from tests.runs.conftest import NAME, adapter, lines, make_spec


def test_the_session_holds_examples_only_for_a_method_that_needs_labels(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}
    monkeypatch.setattr(Direct, "adapt", lambda self, policy, questions, run: seen.update(direct=run.examples))
    monkeypatch.setattr(Grpo, "adapt", lambda self, policy, questions, run: seen.update(grpo=run.examples))
    for method, args in (("direct", ""), ("grpo", "steps=1")):
        executor.run(make_spec(method, args, train_task="synth_aqa:train", train_limit=3), tmp_path / method)
    assert list(seen["direct"]) == []
    assert [example.question.id for example in seen["grpo"]] == [f"synth-train-{i:05d}" for i in range(3)]


def poisoned(*args: Any, **kwargs: Any) -> Task:
    """The task with garbage for answers, in every place that holds one."""
    task = load_task(*args, **kwargs)
    wrong = {q.id: next(c for c in q.choices if c != task.answers[q.id]) for q in task.questions}
    docs = [{**doc, "answer": wrong[doc["id"]], "meta": '{"poison": true}'} for doc in task.docs]
    return dataclasses.replace(task, answers=wrong, docs=docs)


@pytest.mark.parametrize(("method", "args"), [("aqa_ttrl", "votes=4,steps=2"), ("sft", "votes=4,epochs=1")])
def test_poisoned_answers_change_no_bit_of_the_adapted_model(
    method: str, args: str, executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = executor.run(make_spec(method, args), tmp_path / "clean")
    other = Executor()
    other._policy = executor._policy
    monkeypatch.setattr(execute, "load_task", poisoned)
    poison = other.run(make_spec(method, args), tmp_path / "poisoned")
    right = {r["id"] for r in lines(tmp_path / "clean", "scores.jsonl") if r["outcome"] == "correct"}
    right_of_wrong = {r["id"] for r in lines(tmp_path / "poisoned", "scores.jsonl") if r["outcome"] == "correct"}
    assert right and not right & right_of_wrong, "the poison has reached the scorer"
    assert clean["audio_eval"]["data_revision"] != poison["audio_eval"]["data_revision"]
    assert adapter(tmp_path / "clean") == adapter(tmp_path / "poisoned")
    for name in ("adapt/votes.jsonl", "adapt/labels.jsonl", "metrics.jsonl", "responses.jsonl", "questions.jsonl"):
        assert (tmp_path / "clean" / name).read_bytes() == (tmp_path / "poisoned" / name).read_bytes(), name


def test_poison_is_seen_by_a_method_that_does_take_the_answers(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The poison test can fail: with --train-task same the weights do change."""
    spec = make_spec("sft", "labels=gold,epochs=1", train_task="same")
    row = executor.run(spec, tmp_path / "clean")["audio_eval"]
    other = Executor()
    other._policy = executor._policy
    monkeypatch.setattr(execute, "load_task", poisoned)
    other.run(spec, tmp_path / "poisoned")
    assert adapter(tmp_path / "clean") != adapter(tmp_path / "poisoned")
    assert row["trained_on"] == NAME and row["tags"] == ["gold labels"]


@pytest.mark.parametrize(("method", "args"), [("grpo", "steps=1"), ("sft", "labels=gold")])
def test_labels_are_those_of_a_training_task(method: str, args: str, executor: Executor, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"learns from labels: .*--train-task synth_aqa:train"):
        executor.run(make_spec(method, args), tmp_path / "none")
    spec = make_spec(method, args + (",epochs=1" if method == "sft" else ",batch_size=4"),
                     train_task="synth_aqa:train", train_limit=8)  # fmt: skip
    row = executor.run(spec, tmp_path / "train")["audio_eval"]
    assert row["trained_on"] == "synth_aqa:train" and "transductive" not in row["tags"]
    assert not (tmp_path / "train" / "adapt" / "votes.jsonl").exists()
    assert row["samples"] == 16 + (4 * 8 if method == "grpo" else 0)


def test_the_leaderboard_says_trained_on_the_test_labels(executor: Executor, tmp_path: Path) -> None:
    from audio_eval.leaderboard import aggregate, load_runs, terminal_table

    executor.run(make_spec("direct", ""), tmp_path / "direct")
    spec = make_spec("grpo", "steps=1,batch_size=4", train_task="same")
    executor.run(spec, tmp_path / "grpo")
    runs, skipped = load_runs([tmp_path])
    assert not skipped and "trained on the test labels" in terminal_table(aggregate(runs))
