"""What a run is made of now, and whether that is what its directory was made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from audio_eval.errors import UserError
from audio_eval.runlog import RunLog
from audio_eval.runlog.damage import check_spec
from audio_eval.runlog.identity import Identity, ItemDigests, TaskDigests
from audio_eval.runlog.spec import same_run, settings_of
from audio_eval.runs.ablation import digests
from audio_eval.runs.inputs import Inputs
from audio_eval.runs.source_code import source_digests
from audio_eval.task import Task

_DIGITS = 12
NOTHING_LOST = (
    "Nothing was changed. Put it back as it was, or start anew: --fresh takes a new directory, or name another --output"
)


def identify(inputs: Inputs, model: Mapping[str, str]) -> Identity:
    """The identity of a run; ``model`` has the digests of the model's files by name."""
    tasks = [identify_task("scored", inputs.recorded)]
    if inputs.adapted is not inputs.task:
        tasks.append(identify_task("adapted on", inputs.adapted))
    if inputs.training is not None:
        tasks.append(identify_task("trained on", inputs.training))
    return Identity(
        model=_pairs(model), method=_pairs(source_digests(type(inputs.method))), tasks=tuple(tasks),
        settings=settings_of(inputs.spec),
    )  # fmt: skip


def identify_task(use: str, task: Task) -> TaskDigests:
    """The digests of a task and of its items."""
    docs = {doc["id"]: doc for doc in task.docs}
    items = []
    for question, recording in zip(task.questions, digests(task.questions), strict=True):
        doc = docs[question.id]
        meta = {key: value for key, value in doc["meta"].items() if key not in ("paraphrases", "rationale")}
        items.append(
            ItemDigests(
                id=question.id,
                question=_digest(question.question, question.paraphrases),
                choices=_digest(question.choices, task.letters.get(question.id)),
                prompt=_digest(question.prompt),
                answer=_digest(task.answers[question.id], doc["meta"].get("rationale")),
                groups=_digest(question.groups),
                recording=recording and recording[:_DIGITS],
                other=_digest(meta),
            )
        )
    scorer = ", ".join([task.scorer.label, *([task.official.name] if task.official else [])])
    return TaskDigests(
        use=use, task=task.label, definition=task.definition, prompt=task.prompt_version, scorer=scorer,
        items=tuple(items),
    )  # fmt: skip


def check_same(log: RunLog, spec: Any, now: Identity) -> Identity:
    """The identity that the directory's run began with.

    ``UserError`` that names every difference where it is another one now, and where the directory does not say.
    """
    before = log.identity()
    if not same_run(log.spec(), spec):  # of two processes that both found the name free, the other one was faster
        raise UserError(f"'{log.folder}' holds a run of other settings by now: give the command again.")
    if before is None:
        raise UserError(
            f"'{log.folder}' has no identity.json, as it was made before runs recorded what they are made of: whether "
            f"this is the same run is not known. {NOTHING_LOST}."
        )
    if found := before.differences(now):
        raise UserError(f"'{log.folder}' is not the same run: {'; '.join(found)}. {NOTHING_LOST}.")
    check_spec(log)  # of what no number depends on
    return before


def in_order(inputs: Inputs, began: Identity) -> Inputs:
    """The same inputs with all items in the order in which the run began with them, whatever it is in the files now.

    Batches are cut by that order, and with it the result of a resumed run is that of one that was not interrupted.
    """
    order = {task.use: {item.id: place for place, item in enumerate(task.items)} for task in began.tasks}
    scored, adapted, training = (order.get(use, order["scored"]) for use in ("scored", "adapted on", "trained on"))

    def questions(asked: Sequence[Any], places: Mapping[str, int]) -> list[Any]:
        return sorted(asked, key=lambda question: places[question.id])

    task = inputs.task.ordered(scored)
    return Inputs(
        inputs.spec, inputs.method, task, inputs.recorded.ordered(scored),
        task if inputs.adapted is inputs.task else inputs.adapted.ordered(adapted),
        questions(inputs.adapted_on, adapted), questions(inputs.scored_on, scored),
        inputs.training and inputs.training.ordered(training),
        sorted(inputs.examples, key=lambda example: training[example.question.id]), inputs.overlap,
    )  # fmt: skip


def _digest(*values: Any) -> str:
    return sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:_DIGITS]


def _pairs(found: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(found.items()))
