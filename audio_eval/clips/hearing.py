"""What the model of a run heard of an item: the recordings, and what its arm, its views or its window made of them.

Each is made by the code that the run used: ``runs.ablation.instead`` for ``--audio``, ``rl.likelihood.asked_views`` for
views, ``AudioRef.part`` for the window. Recordings are those whose digest the run recorded, and no other file. The log
may be a stranger's: files are opened where runs of this machine had theirs, and a task or a model's settings are loaded
only for a spec that began here (``runs.own``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from audio_eval.audio import AudioError, AudioRef
from audio_eval.edits import AudioEdit
from audio_eval.errors import UserError
from audio_eval.models.backends import choose
from audio_eval.questions import Question
from audio_eval.rl.likelihood import asked_views
from audio_eval.rl.views import Viewing, parse_kinds
from audio_eval.runlog import RunLog, RunSpec, Sample
from audio_eval.runlog.records import QuestionRecord
from audio_eval.runs.ablation import instead
from audio_eval.runs.own import is_own, may_be_heard
from audio_eval.task import load_task

CHANGED = "its recording is not the one that the run had, or is not here"
NOT_OWN = "no run of this machine has used its folder, which AUDIO_EVAL_AUDIO_DIRS may allow"
AUDIBLE = ("shift", "gain", "noise", "resample")  # the kinds of views that change a recording


class Heard(NamedTuple):
    """A recording with what to call it. Without ``audio`` nothing was heard, or is here: ``note`` says what."""

    label: str
    audio: AudioRef | None
    note: str | None = None


class Hearing:
    """The recordings of the items of one run."""

    def __init__(self, log: RunLog) -> None:
        self._log = log
        spec = log.spec()
        self._task = spec.task
        self._spec = spec if isinstance(spec, RunSpec) else None
        self._own = is_own(spec)

    def of(self, sample: Sample) -> list[Heard]:
        """The item's own recordings, then what was heard instead or besides; empty for an item that is text alone.

        Recordings are not opened here, except that several of an item are compared with their digest.
        """
        record = sample.question
        if record.audio is None:
            return []
        own = self._recorded(record)
        if not own:
            return [Heard("original", None, CHANGED if may_be_heard(record.audio) else NOT_OWN)]
        return [*_named("original", own), *self._otherwise(sample, own)]

    def _otherwise(self, sample: Sample, own: Sequence[AudioRef]) -> Iterator[Heard]:
        spec, record = self._spec, sample.question
        if spec is None:
            return
        heard = own
        if spec.audio and record.heard:
            donor = self._records.get(record.heard) if spec.audio == "shuffled" else None
            heard = instead(own, spec.audio, self._recorded(donor) if donor else ())
            if not heard:
                nothing = "the model was given the text alone" if spec.audio == "none" else CHANGED
                yield Heard(f"heard: {spec.audio}", None, nothing)
                return
            note = f"the recording of item {donor.id}" if donor else None
            yield from _named(f"heard: {spec.audio}", heard, note)
        if self._own:  # the settings of the method are its own, too
            yield from self._viewed(spec, record, heard)
        if sample.response and sample.response.truncated:
            yield from self._cut(heard)

    def _viewed(self, spec: RunSpec, record: QuestionRecord, heard: Sequence[AudioRef]) -> Iterator[Heard]:
        """The first view of the vote that changed the recording."""
        settings = {key: spec.method_args[key] for key in Viewing.model_fields if key in spec.method_args}
        viewing = Viewing.model_validate(settings)
        if not set(AUDIBLE) & set(parse_kinds(viewing.views)) or spec.audio == "silence":
            return
        question = self._questions.get(record.id)  # with its paraphrases, on which the random stream depends
        if question is None:
            return
        for place, [view] in enumerate(asked_views([question.hearing(heard)], viewing, spec.seed), start=1):
            edit = view.question.audio and view.question.audio.edit
            if edit:
                which = f"view {place} of the vote's {viewing.n_views}: {told(edit)}"
                yield from _named("heard: a view", view.question.audios, which)
                return

    def _cut(self, heard: Sequence[AudioRef]) -> Iterator[Heard]:
        """What of recordings beyond the model's window was heard."""
        if self._window is None:
            yield Heard("heard: the beginning", None, "the model's window cut it; how long that is, is not known here")
            return
        begun = [replace(audio, part=(0.0, self._window)) for audio in heard]
        yield from _named("heard: the beginning", begun, f"the model's window of {self._window:g} s cut it")

    def _recorded(self, record: QuestionRecord) -> tuple[AudioRef, ...]:
        """The recordings as the run had them; none where they are not here.

        Nothing is taken without a digest: the log may come from elsewhere, and its paths may be those of other files.
        """
        digest = record.audio_sha256
        if digest is None:
            return ()
        paths = [path for path in (record.audio, *record.more_audio) if path is not None]
        if not all(may_be_heard(path) and os.path.isfile(path) for path in paths):
            question = self._questions.get(record.id)  # as its task was loaded here, which checked the places
            paths = [audio.path for audio in question.audios if audio.path] if question else []
        if len(paths) == 1:
            return (AudioRef(path=paths[0], sha256=digest),)  # compared when it is decoded
        try:
            recordings = [AudioRef(path=path) for path in paths]
            known = [replace(audio, sha256=audio.digest()) for audio in recordings]
        except AudioError:
            return ()
        together = sha256(" ".join(audio.sha256 or "" for audio in known).encode()).hexdigest()
        return tuple(known) if together == digest else ()

    @cached_property
    def _records(self) -> dict[str, QuestionRecord]:
        return {record.id: record for record in self._log.questions.read()}

    @cached_property
    def _questions(self) -> dict[str, Question]:
        """The task's questions by id; none where the task is not here."""
        spec = self._spec
        if not self._own:
            return {}
        try:
            if spec is None:
                task = load_task(self._task)
            else:
                task = load_task(
                    spec.task, None, spec.data_dir, spec.limit, spec.include_path, spec.source, spec.permute_choices
                )
        except UserError:
            return {}
        return {question.id: question for question in task.questions}

    @cached_property
    def _window(self) -> float | None:
        """Seconds that the model hears of a recording; None where its checkpoint is not here or not one of ours."""
        if self._spec is None or not self._own:
            return None
        from audio_eval.models.hf.families import FAMILIES
        from audio_eval.models.hf.files import model_type

        try:
            folder = Path(choose(self._spec.model, self._spec.backend, self._spec.model_args).locate()).expanduser()
            kind = model_type(folder)
        except UserError:
            return None
        return next((family.max_seconds for family in FAMILIES if kind in family.model_types), None)


def told(edit: AudioEdit) -> str:
    """An edit in words."""
    found = []
    if edit.rate is not None:
        found.append(f"nothing above {edit.rate / 2000:g} kHz")
    if edit.shift_s:
        found.append(f"{abs(edit.shift_s) * 1000:.0f} ms {'later' if edit.shift_s > 0 else 'earlier'}")
    if edit.gain != 1.0:
        found.append(f"{edit.gain:.2f} times as loud")
    if edit.snr_db is not None:
        found.append(f"noise {edit.snr_db:.0f} dB below it")
    return ", ".join(found) or "as it is"


def _named(label: str, audios: Sequence[AudioRef], note: str | None = None) -> list[Heard]:
    names = [label] if len(audios) == 1 else [f"{label}, {place}" for place in range(1, len(audios) + 1)]
    return [Heard(name, audio, note) for name, audio in zip(names, audios, strict=True)]
