"""Audio ablations: what a model scores without hearing the recordings that it is asked about.

- ``silence``: silence of the length of the item's own recording, so the prompt has the same length.
- ``shuffled``: the recording of another item, never the item's own.
- ``none``: the question as text alone.

An ablation is put on a task when it is loaded, so it holds for everything that a method does with the questions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256

from audio_eval.audio import AudioError, AudioRef
from audio_eval.edits import AudioEdit
from audio_eval.errors import UserError
from audio_eval.questions import Question
from audio_eval.runlog.spec import AudioAblation
from audio_eval.seeding import stream
from audio_eval.task import Task


def through(task: Task, audio: AudioAblation, seed: int) -> Task:
    """The task as the model hears it in an ablation; items without a recording stay as they are.

    ``UserError`` where recordings are to be shuffled and no shuffle gives every item another one's recording.
    """
    donors = _donors(task, seed) if audio == "shuffled" else {}
    recordings = {question.id: question.audios for question in task.questions}

    def heard_by(question: Question) -> Sequence[AudioRef]:
        if question.audio is None:
            return ()
        return instead(question.audios, audio, recordings[donors[question.id]] if donors else ())

    return replace(task, questions=[question.hearing(heard_by(question)) for question in task.questions])


def instead(recordings: Sequence[AudioRef], audio: AudioAblation, others: Sequence[AudioRef]) -> Sequence[AudioRef]:
    """What is heard instead of an item's ``recordings``; ``others`` are those of the item that was drawn for it."""
    if audio == "none":
        return ()
    if audio == "silence":
        return [recording.edited(AudioEdit(gain=0.0)) for recording in recordings]
    return others


def heard(task: Task, audio: AudioAblation, seed: int) -> dict[str, str]:
    """What is heard instead of each item's recording, by question id: "silence", "none", or another item's id.

    ``UserError`` where the task has no recordings.
    """
    asked = [question.id for question in task.questions if question.audio is not None]
    if not asked:
        raise UserError(f"task '{task.name}' has no recordings: there is nothing that --audio {audio} could change.")
    return _donors(task, seed) if audio == "shuffled" else dict.fromkeys(asked, audio)


def digests(questions: Sequence[Question]) -> list[str | None]:
    """The sha256 of each question's recording, or that of several; None where it has none, or one cannot be read."""
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter lock
        return list(pool.map(_digest, questions))


def _digest(question: Question) -> str | None:
    try:
        found = [recording.digest() for recording in question.audios]
    except AudioError:
        return None
    return sha256(" ".join(found).encode()).hexdigest() if len(found) > 1 else next(iter(found), None)


def _donors(task: Task, seed: int) -> dict[str, str]:
    """The item whose recording each item hears, by question id; each recording is heard as often as in the task.

    The items are put in a random order keyed by (seed, question id), with those of one recording together. Each hears
    the item that is further on by the size of the largest such group, so never its own recording. The order of the file
    does not matter; with another ``--limit`` other recordings are heard.
    """
    asked = [question for question in task.questions if question.audio is not None]
    lots = {question.id: stream(seed, "shuffled", question.id).random() for question in asked}
    sharing: dict[str, list[str]] = defaultdict(list)
    for question, digest in zip(asked, digests(asked), strict=True):
        assert question.audio is not None
        sharing[digest or question.audio.name].append(question.id)
    groups = [sorted(ids, key=lots.__getitem__) for ids in sharing.values()]
    order = [id_ for ids in sorted(groups, key=lambda ids: lots[ids[0]]) for id_ in ids]
    most = max(map(len, groups), default=0)
    if 2 * most > len(order):
        raise UserError(
            f"the recordings of task '{task.name}' cannot be shuffled so that every item hears another one: "
            f"{most} of {len(order)} items share one. Take more items (--limit), or silence."
        )
    return {id_: order[(place + most) % len(order)] for place, id_ in enumerate(order)}
