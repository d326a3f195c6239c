"""Execute a RunSpec: adapt, predict, score; every stage goes on where a killed run left it."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audio_eval.errors import NotHere, UserError
from audio_eval.method import Method
from audio_eval.models.catalog import load_policy
from audio_eval.models.policy import Policy, Sampling, TrainablePolicy, Usage
from audio_eval.progress import Progress
from audio_eval.prompts import PromptTemplate
from audio_eval.questions import Example, Question
from audio_eval.registry import method_class
from audio_eval.rl.session import Session
from audio_eval.runs import ablation
from audio_eval.runs.environment import environment
from audio_eval.runs.result import write_result
from audio_eval.runs.spec import NO_TRAIN_TASK, AudioAblation, RunSpec
from audio_eval.scoring.graders import Graders
from audio_eval.seeding import stream
from audio_eval.store import JsonLines, read_json, write_json
from audio_eval.task import Task, load_task


class Executor:
    """Runs specs one after another; tasks and models stay loaded from one to the next."""

    def __init__(self, progress: Progress | None = None, audio_needed: bool = True) -> None:
        """Without ``audio_needed`` a task is loaded though none of its recordings is there."""
        self.progress, self._audio_needed = progress or Progress(), audio_needed
        self._tasks: dict[tuple[Any, ...], Task] = {}
        self._policy: tuple[tuple[Any, ...], Policy] | None = None

    def run(self, spec: RunSpec, folder: Path) -> dict[str, Any]:
        """Run, or finish, ``spec`` in ``folder``; returns the contents of ``result.json``."""
        if (folder / "result.json").is_file():
            return read_json(folder / "result.json")
        graders = Graders.of(spec.judge, spec.judge_model, spec.similarity)
        method = method_class(spec.method)(method_class(spec.method).Config(**spec.method_args))
        task, training = self._task(spec, spec.task), self._training(spec, method)
        examples = self._examples(spec, method)
        recorded = self._loaded(spec, spec.task)
        instead = ablation.heard(recorded, spec.audio, spec.seed) if spec.audio else {}
        check_scored(task)
        check_learned_from(spec, method, [e.question for e in examples] or self._parts(spec, task)[0])
        folder.mkdir(parents=True, exist_ok=True)  # not before: a mistake in the flags leaves nothing behind
        write_json(folder / "spec.json", spec.model_dump())
        write_json(folder / "env.json", environment())
        JsonLines(folder / "questions.jsonl").keep(_records(recorded, instead))
        policy = self._load(spec)
        if method.trains and not isinstance(policy, TrainablePolicy):
            raise UserError(
                f"method '{spec.method}' trains, and '{policy.name}' can only generate: take the hf backend."
            )
        began = time.monotonic()
        try:
            self._adapt_and_answer(spec, folder, method, task, examples, policy)
        finally:
            seconds = time.monotonic() - began
            JsonLines(folder / "sessions.jsonl").append([{"seconds": round(seconds, 3)}])
        adapted = self._task(spec, spec.adapt_task, spec.train_limit) if spec.adapt_task else task
        return write_result(spec, folder, method, task, adapted, training, policy, _score(folder, task, graders))

    def _adapt_and_answer(
        self, spec: RunSpec, folder: Path, method: Method, task: Task, examples: Sequence[Example], policy: Policy
    ) -> None:
        adapted_on, scored_on = self._parts(spec, task)
        session = Session(
            folder,
            spec.seed,
            spec.batch_size,
            examples=examples,
            progress=self.progress,
            observer=_Curve(folder, spec, task, scored_on) if spec.curve_every else None,
            save_every=spec.save_every,
        )
        method.adapt(policy, adapted_on, session)
        adapting = policy.usage.samples
        file = JsonLines(folder / "responses.jsonl")
        done = len(file.resume(spec.batch_size, len(scored_on)))
        with self.progress.bar("answer", len(scored_on), done) as bar:
            for start in range(done, len(scored_on), spec.batch_size):
                chunk = scored_on[start : start + spec.batch_size]
                before = copy.copy(policy.usage)
                responses = method.predict(policy, chunk)
                if len(responses) != len(chunk):
                    raise UserError(
                        f"method '{spec.method}' gave {len(responses)} responses to {len(chunk)} questions."
                    )
                each = (policy.usage.samples - before.samples) / len(chunk)
                file.append(
                    {"id": q.id, "response": r, "samples": each, **_trouble(policy.usage, q.id)}
                    for q, r in zip(chunk, responses, strict=True)
                )
                bar.advance(len(chunk), policy.usage.audio_seconds - before.audio_seconds)
        answered = file.read()  # those of before an interruption too
        truncated = policy.usage.truncated | {r["id"] for r in answered if r.get("truncated")}
        unreadable = policy.usage.failed | {r["id"]: r["unreadable"] for r in answered if "unreadable" in r}
        write_json(folder / "notes.json", {
            **session.notes, "adapt_samples": adapting, "truncated": sorted(truncated),
            "unreadable": dict(sorted(unreadable.items())),
        })  # fmt: skip

    def _task(self, spec: RunSpec, name: str, limit: int | None = None) -> Task:
        return self._through(spec.audio, spec, self._loaded(spec, name, limit))

    def _through(self, arm: AudioAblation | None, spec: RunSpec, task: Task) -> Task:
        """The task in a control arm, if any; kept, as its questions keep the digests of their recordings."""
        if arm is None:
            return task
        key = (id(task), arm, spec.seed if arm == "shuffled" else None)
        if key not in self._tasks:
            self._tasks[key] = ablation.through(task, arm, spec.seed)
        return self._tasks[key]

    def _loaded(self, spec: RunSpec, name: str, limit: int | None = None, data_dir: str | None = None) -> Task:
        prompt = PromptTemplate(str(spec.prompt), spec.prompt_source) if spec.prompt_source else spec.prompt
        key = (
            name, prompt, data_dir or spec.data_dir, limit or spec.limit, spec.include_path, spec.source,
            spec.permute_choices,
        )  # fmt: skip
        if key not in self._tasks:
            self._tasks[key] = load_task(*key)
            if self._audio_needed:
                _check_audio(self._tasks[key])
        return self._tasks[key]

    def _parts(self, spec: RunSpec, task: Task) -> tuple[list[Question], list[Question]]:
        """Questions to adapt on, and questions to score."""
        adapted_on, scored_on = split(task.questions, spec.holdout, spec.seed)
        if spec.adapt_task:
            adapted_on = self._task(spec, spec.adapt_task, spec.train_limit).questions
        return adapted_on, scored_on

    def _training(self, spec: RunSpec, method: Method) -> Task | None:
        """The task whose labels the method learns from."""
        if not method.needs_labels:
            return None
        if spec.train_task is None:
            raise UserError(NO_TRAIN_TASK.format(spec.method))
        if spec.train_task == "same":
            task = self._loaded(spec, spec.task)
        else:
            task = self._loaded(spec, spec.train_task, spec.train_limit, spec.train_data_dir)
        return self._through(spec.train_audio, spec, task)

    def _examples(self, spec: RunSpec, method: Method) -> Sequence[Example]:
        task = self._training(spec, method)
        if task is None:
            return ()
        if spec.train_task != "same":
            return task.examples
        adapted_on = {q.id for q in split(task.questions, spec.holdout, spec.seed)[0]}
        return [example for example in task.examples if example.question.id in adapted_on]

    def _load(self, spec: RunSpec) -> Policy:
        key = (spec.model, spec.batch_size, spec.max_tokens, spec.device)
        if self._policy is None or self._policy[0] != key:
            self._policy = (key, load_policy(spec.model, spec.seed, spec.batch_size, spec.max_tokens, spec.device))
        policy = self._policy[1]
        if isinstance(policy, TrainablePolicy):
            policy.reset()
        policy.seed, policy.usage = spec.seed, type(policy.usage)()
        return policy


class _Curve:
    """Scores the policy along the way. Only the harness sees it: an oracle's view that nothing is chosen by."""

    def __init__(self, folder: Path, spec: RunSpec, task: Task, questions: Sequence[Question]) -> None:
        self.file, self.spec, self.task, self.questions = JsonLines(folder / "curve.jsonl"), spec, task, questions

    def __call__(self, step: int, policy: Policy) -> None:
        if step % self.spec.curve_every or any(point["step"] == step for point in self.file.read()):
            return
        usage = copy.deepcopy(policy.usage)
        groups = policy.generate(self.questions, Sampling())
        policy.usage = usage
        scores = self.task.score({g.question.id: g.best() for g in groups}, {q.id for q in self.questions}).scores
        figures = self.task.figures(scores)
        self.file.append([{"step": step, "accuracy": figures.accuracy, "unparsable": figures.unparsable}])


def split(questions: Sequence[Question], holdout: float, seed: int) -> tuple[list[Question], list[Question]]:
    """Questions to adapt on and questions to score: the same ones, or with ``holdout`` two disjoint parts."""
    if not holdout:
        return list(questions), list(questions)
    held = {q.id for q in questions if stream(seed, "holdout", q.id).random() < holdout}
    parts = [q for q in questions if q.id not in held], [q for q in questions if q.id in held]
    if not all(parts):
        raise UserError(f"--holdout {holdout} leaves one part of {len(questions)} items empty.")
    return parts


def check_scored(task: Task) -> None:
    """``UserError`` for a task whose items have no answers to score by."""
    if not task.scorer.scores:
        raise UserError(f"task '{task.name}' is one to adapt on: --adapt-task {task.name}, another in --tasks.")


def check_learned_from(spec: RunSpec, method: Method, questions: Sequence[Question]) -> None:
    """``UserError`` for a method that cannot learn from these questions."""
    if method.needs_choices and not any(question.choices for question in questions):
        raise UserError(f"method '{spec.method}' adapts on multiple-choice questions; these have no options.")


def _score(folder: Path, task: Task, graders: Graders) -> dict[str, Any]:
    """Write ``scores.jsonl``; returns what the graders say of themselves."""
    responses = {r["id"]: r["response"] for r in JsonLines(folder / "responses.jsonl").read()}
    scored = task.score(responses, responses, graders)
    JsonLines(folder / "scores.jsonl").keep([score.model_dump(exclude_defaults=True) for score in scored.scores])
    return scored.graded


def _records(task: Task, instead: Mapping[str, str]) -> list[dict[str, Any]]:
    """``questions.jsonl``: what was asked, of which recording, and what was heard ``instead`` of it in a control arm.

    ``task`` is the one without an arm, so that the fingerprint of the recordings is the same in all arms.
    """
    return [
        {
            "id": question.id,
            "audio": question.audio.path if question.audio else None,
            "audio_sha256": digest,
            "question": question.question,
            "choices": question.choices,
            "prompt": question.prompt,
            "groups": question.groups,
            **({"heard": instead[question.id]} if question.id in instead else {}),
        }
        for question, digest in zip(task.questions, ablation.digests(task.questions), strict=True)
    ]


def _trouble(usage: Usage, id_: str) -> dict[str, Any]:
    """What was wrong with the question's audio, for its response; empty for most."""
    unreadable = {"unreadable": usage.failed[id_]} if id_ in usage.failed else {}
    return unreadable | ({"truncated": True} if id_ in usage.truncated else {})


def _check_audio(task: Task) -> None:
    paths = [Path(q.audio.path) for q in task.questions if q.audio and q.audio.path]
    if paths and not any(path.is_file() for path in paths):
        raise NotHere(
            f"none of the {len(paths)} recordings of task '{task.name}' is there ({paths[0]}): "
            f"--data-dir must hold {task.metadata.get('reads', 'them')}."
        )
