"""choice_likelihood with the embedded model: what a run keeps of it, what it counts, what it refuses."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from audio_eval.audio import AudioRef
from audio_eval.errors import UserError
from audio_eval.runlog import RunLog
from audio_eval.runs import inputs
from audio_eval.runs.execute import Executor
from audio_eval.task import Task, load_task
from tests.runs.conftest import lines, make_spec


def test_the_record_has_the_likelihood_of_each_option(executor: Executor, tmp_path: Path) -> None:
    result = executor.run(make_spec("choice_likelihood", ""), tmp_path / "run").audio_eval
    samples = list(RunLog(tmp_path / "run").samples())
    assert (result.unparsable, result.tags, result.n) == (0.0, [], 16)
    assert result.samples == sum(len(sample.question.choices) for sample in samples), "each scored option counts"
    for sample in samples:
        assert sample.response is not None
        likelihoods = sample.response.likelihoods
        assert set(likelihoods) == set(sample.question.choices)
        assert sum(math.exp(x) for x in likelihoods.values()) == pytest.approx(1, abs=1e-4)
        assert sample.response.response == f"<answer>{max(likelihoods, key=likelihoods.__getitem__)}</answer>"


def test_the_batch_size_changes_no_answer(executor: Executor, tmp_path: Path) -> None:
    found = []
    for size in (3, 16):
        executor.run(make_spec("choice_likelihood", "views=choices,n_views=2", batch_size=size), tmp_path / str(size))
        found.append({r["id"]: r for r in lines(tmp_path / str(size), "responses.jsonl")})
    for id_, one in found[0].items():
        assert one["response"] == found[1][id_]["response"]
        assert one["likelihoods"] == pytest.approx(found[1][id_]["likelihoods"], abs=1e-4)


def test_pride_keeps_its_prior_and_is_tagged(executor: Executor, tmp_path: Path) -> None:
    result = executor.run(make_spec("choice_likelihood", "prior=pride,prior_share=0.5"), tmp_path / "run").audio_eval
    assert result.tags == ["transductive"] and result.settings == {"prior": "pride", "prior_share": 0.5}
    priors = result.notes["position_prior"]
    assert priors and all(
        len(prior) == int(n) and sum(prior) == pytest.approx(1, abs=1e-3) for n, prior in priors.items()
    )
    assert {r["id"] for r in lines(tmp_path / "run", "adapt/orders0.jsonl")} < {r["id"] for r in lines(
        tmp_path / "run", "responses.jsonl")}  # fmt: skip


def test_labels_are_the_likeliest_options(executor: Executor, tmp_path: Path) -> None:
    """The same options as choice_likelihood answers with; the row says which labels it learned from."""
    executor.run(make_spec("choice_likelihood", ""), tmp_path / "answers")
    result = executor.run(make_spec("sft", "labels=likelihood,epochs=1"), tmp_path / "sft").audio_eval
    assert result.tags == ["transductive", "likelihood labels"]
    answers = {r["id"]: r["response"] for r in lines(tmp_path / "answers", "responses.jsonl")}
    labels = lines(tmp_path / "sft", "adapt/labels.jsonl")
    assert {r["id"]: f"<answer>{r['label']}</answer>" for r in labels} == answers
    assert all(1 / len(r["tally"]) <= r["confidence"] <= 1 for r in labels)
    assert result.oracle is not None and result.notes.get("adapt_samples") is None


def test_a_recording_that_cannot_be_read_is_data(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*args: object, **kwargs: object) -> Task:
        task = load_task(*args, **kwargs)  # type: ignore[arg-type]
        broken = task.questions[0]
        object.__setattr__(broken, "audio", AudioRef(data=b"no audio"))
        return task

    monkeypatch.setattr(inputs, "load_task", damaged)
    other = Executor()
    other.loader.policy = executor.loader.policy  # type: ignore[method-assign]
    for args in ("", "prior=pride,prior_share=1.0"):
        result = other.run(
            make_spec("choice_likelihood", args, max_errors="1"), tmp_path / (args or "plain")
        ).audio_eval
        first, *rest = lines(tmp_path / (args or "plain"), "responses.jsonl")
        assert first["response"] == "" and "likelihoods" not in first and first["unreadable"]
        assert all(r["likelihoods"] and "unreadable" not in r for r in rest)
        assert result.n == 16 and list(result.notes["unreadable"]) == [first["id"]]


def test_open_questions_are_refused(executor: Executor, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs multiple-choice questions; these have no options") as error:
        executor.run(make_spec("choice_likelihood", "", tasks="synth_aqa_open:validation"), tmp_path / "run")
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()
