"""What a run needs, resolved once: its method, tasks, questions and training examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from audio_eval.errors import NotHere, UserError, explain
from audio_eval.method import Method
from audio_eval.models.backends import Limits, choose, load_policy
from audio_eval.models.policy import Policy, TrainablePolicy, Training
from audio_eval.prompts import PromptTemplate
from audio_eval.questions import Example, Question
from audio_eval.registry import method_class
from audio_eval.runlog import RunSpec
from audio_eval.runlog.records import QuestionRecord
from audio_eval.runlog.spec import NO_TRAIN_TASK, AudioAblation
from audio_eval.runs import ablation
from audio_eval.runs.overlap import shared, tag
from audio_eval.seeding import stream
from audio_eval.task import Task, load_task


@dataclass(frozen=True)
class Inputs:
    """``task`` is the scored task as the model hears it; ``recorded`` the same task with the items' own recordings.

    ``adapted`` is the task that is adapted on, the scored one as a rule. ``examples`` are the labelled items of the
    task ``training``, where the method needs labels. ``overlap`` says which scored items are learned from although
    they are not asked for as the scored task: a tag each.
    """

    spec: RunSpec
    method: Method
    task: Task
    recorded: Task
    adapted: Task
    adapted_on: Sequence[Question]
    scored_on: Sequence[Question]
    training: Task | None
    examples: Sequence[Example]
    overlap: tuple[str, ...] = ()

    def check(self) -> None:
        """``UserError`` for a task that cannot be scored, and for a method that cannot learn from these questions."""
        check_scored(self.task)
        check_learned_from(self.spec, self.method, [e.question for e in self.examples] or self.adapted_on)


@dataclass(frozen=True)
class _Loaded:
    """A policy that stays loaded, with what makes it the same one, and the training that it was loaded for."""

    key: tuple[object, ...]
    training: Training | None
    policy: Policy


class Loader:
    """Loads what specs name; tasks and the policy stay loaded from one spec to the next.

    Without ``audio_needed`` a task is loaded although none of its recordings is there.
    """

    def __init__(self, audio_needed: bool = True) -> None:
        self._audio_needed = audio_needed
        self._tasks: dict[tuple[object, ...], Task] = {}
        self._policy: _Loaded | None = None

    def inputs(self, spec: RunSpec) -> Inputs:
        """Everything but the policy. Raises ``UserError`` for the first thing that is wrong or not here."""
        method = self.method(spec)
        task, recorded = self.task(spec), self._recorded(spec, spec.task)
        training = self.training(spec, method)
        adapted = self._heard(spec, spec.adapt_task, spec.train_limit) if spec.adapt_task else task
        found = Inputs(
            spec, method, task, recorded, adapted, self.adapted_on(spec), self.scored_on(spec), training,
            self.examples(spec, method),
        )  # fmt: skip
        return replace(found, overlap=tuple(self._overlap(found)))

    def method(self, spec: RunSpec) -> Method:
        """The spec's method with its settings and seed."""
        cls = method_class(spec.method)
        try:
            return cls(cls.Config(**spec.method_args), spec.seed)
        except ValidationError as error:  # of a spec.json, as a plan's settings are checked
            raise UserError(f"method '{spec.method}': {explain(error)}") from None

    def task(self, spec: RunSpec) -> Task:
        """The scored task as the model hears it."""
        return self._heard(spec, spec.task)

    def scored_on(self, spec: RunSpec) -> list[Question]:
        """The questions to score."""
        return split(self.task(spec).questions, spec.holdout, spec.seed)[1]

    def adapted_on(self, spec: RunSpec) -> list[Question]:
        """The questions to adapt on."""
        if spec.adapt_task:
            return self._heard(spec, spec.adapt_task, spec.train_limit).questions
        return split(self.task(spec).questions, spec.holdout, spec.seed)[0]

    def training(self, spec: RunSpec, method: Method) -> Task | None:
        """The task whose labels the method learns from; None where it needs none."""
        if not method.needs_labels:
            return None
        if spec.train_task is None:
            raise UserError(NO_TRAIN_TASK.format(spec.method))
        return self._ablated(spec.train_audio, spec.seed, self._labelled(spec, spec.train_task))

    def examples(self, spec: RunSpec, method: Method) -> Sequence[Example]:
        """The labelled examples; of the scored task (``--train-task same``) those that are not held out."""
        task = self.training(spec, method)
        if task is None:
            return ()
        if spec.train_task != "same":
            return task.examples
        adapted_on = {q.id for q in split(task.questions, spec.holdout, spec.seed)[0]}
        return [example for example in task.examples if example.question.id in adapted_on]

    def policy(self, spec: RunSpec) -> Policy:
        """The unadapted policy."""
        key, training = self.policy_key(spec), self._training(spec)
        kept = self._policy
        if kept is None or kept.key != key or (training is not None and training != kept.training):
            limits = Limits(
                spec.batch_size, spec.max_tokens, spec.device, spec.long_audio, spec.deterministic, training
            )  # fmt: skip
            self._policy = kept = None  # two models need not fit into memory at once
            loaded = load_policy(spec.model, limits, spec.backend, spec.model_args, spec.adapter)
            self._policy = kept = _Loaded(key, training, loaded)
        if isinstance(kept.policy, TrainablePolicy):
            kept.policy.reset()
        return kept.policy

    def _training(self, spec: RunSpec) -> Training | None:
        """The method's training, where the backend heeds it; only what of it decides how a model is loaded."""
        backend, config = choose(spec.model, spec.backend, spec.model_args).backend, self.method(spec).config
        if not isinstance(config, Training) or not getattr(backend, "heeds_training", False):
            return None
        return Training.model_validate({"tune": config.tune, "lora_r": config.lora_r})

    def model_digests(self, spec: RunSpec) -> dict[str, str]:
        """The sha256 of the model's files by name, or its revision where the backend does not know them.

        ``NotHere`` where the files are not on this machine.
        """
        chosen = choose(spec.model, spec.backend, spec.model_args, spec.adapter)
        return chosen.digests() or {"revision": self.policy(spec).info.revision}

    def policy_key(self, spec: RunSpec) -> tuple[object, ...]:
        """What makes it the same policy: the flags, and what is in the files.

        ``UserError`` where these are no model, or no adapter; nothing is loaded.
        """
        chosen = choose(spec.model, spec.backend, spec.model_args, spec.adapter)
        try:
            files = repr(chosen.digests())
        except NotHere:
            files = ""
        return (
            chosen.entry, spec.backend, repr(spec.model_args), spec.batch_size, spec.max_tokens, spec.device,
            spec.long_audio, spec.deterministic, files,
        )  # fmt: skip

    def _labelled(self, spec: RunSpec, name: str) -> Task:
        """The training task with its own recordings."""
        if name == "same":
            return self._recorded(spec, spec.task)
        return self._recorded(spec, name, spec.train_limit, spec.train_data_dir)

    def _overlap(self, inputs: Inputs) -> Iterator[str]:
        """A tag for the scored items that are in the training task, and for those in the task that is adapted on."""
        spec = inputs.spec
        uses: list[tuple[str, Task, Sequence[Question]]] = []
        if inputs.training and spec.train_task and spec.train_task != "same":
            examples = [example.question for example in inputs.examples]
            uses.append(("trained on", self._labelled(spec, spec.train_task), examples))
        if spec.adapt_task and inputs.method.transductive:
            adapted = self._recorded(spec, spec.adapt_task, spec.train_limit)
            uses.append(("adapted on", adapted, inputs.adapted_on))
        for verb, learned, learned_from in uses:
            if both := shared(inputs.recorded, inputs.scored_on, learned, learned_from):
                yield tag(verb, both)

    def _heard(self, spec: RunSpec, name: str, limit: int | None = None) -> Task:
        return self._ablated(spec.audio, spec.seed, self._recorded(spec, name, limit))

    def _ablated(self, audio: AudioAblation | None, seed: int, task: Task) -> Task:
        """The task in an audio ablation, if any; kept, as its questions keep the digests of their recordings."""
        if audio is None:
            return task
        key = (id(task), audio, seed if audio == "shuffled" else None)
        if key not in self._tasks:
            self._tasks[key] = ablation.through(task, audio, seed)
        return self._tasks[key]

    def _recorded(self, spec: RunSpec, name: str, limit: int | None = None, data_dir: str | None = None) -> Task:
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


def question_records(task: Task, audio: AudioAblation | None = None, seed: int = 0) -> list[QuestionRecord]:
    """The lines of questions.jsonl, with what is ``heard`` instead of each recording in an audio ablation.

    ``task`` has the items' own recordings, so that their fingerprint is the same in all ablations.
    """
    heard = ablation.heard(task, audio, seed) if audio else {}
    return [
        QuestionRecord(
            id=question.id,
            audio=question.audio.path if question.audio else None,
            more_audio=tuple(recording.path for recording in question.more_audio),
            audio_sha256=digest,
            question=question.question,
            choices=question.choices,
            prompt=question.prompt,
            groups=dict(question.groups),
            heard=heard.get(question.id),
        )
        for question, digest in zip(task.questions, ablation.digests(task.questions), strict=True)
    ]


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
        raise UserError(f"method '{spec.method}' needs multiple-choice questions; these have no options.")


def _check_audio(task: Task) -> None:
    paths = [Path(recording.path) for q in task.questions for recording in q.audios if recording.path]
    if paths and not any(path.is_file() for path in paths):
        raise NotHere(
            f"none of the {len(paths)} recordings of task '{task.name}' is there ({paths[0]}): "
            f"--data-dir must hold {task.metadata.get('reads', 'them')}."
        )
