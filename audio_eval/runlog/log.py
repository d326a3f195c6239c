"""RunLog: the files of one run directory, and the items of a run with everything that is known of each.

What is said in words of settings, machine and outcome is written without secrets (``redact``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from audio_eval.checksums import without_checksum
from audio_eval.errors import UserError
from audio_eval.redact import redacted
from audio_eval.regular import leads_out
from audio_eval.runlog.identity import Identity
from audio_eval.runlog.lines import Lines, reason
from audio_eval.runlog.records import (
    CurvePoint,
    Environment,
    Imported,
    LabelRecord,
    Notes,
    QuestionRecord,
    RelabelRecord,
    Reported,
    ResponseRecord,
    RolloutRecord,
    Sitting,
    StepRecord,
)
from audio_eval.runlog.result import VERSION, Result
from audio_eval.runlog.samples import Samples
from audio_eval.runlog.spec import ResponsesSpec, RunSpec
from audio_eval.scoring.scores import Score
from audio_eval.store import JsonLines, read_json, write_json

M = TypeVar("M", bound=BaseModel)


class RunLog:
    """The files of ``folder``. Reading a log of another version is a ``UserError`` that says the version."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = folder = Path(folder)
        self.questions = Lines(folder / "questions.jsonl", QuestionRecord, summed=True)
        self.responses = Lines(folder / "responses.jsonl", ResponseRecord, summed=True)
        self.scores = Lines(folder / "scores.jsonl", Score, summed=True)
        self.steps = Lines(folder / "metrics.jsonl", StepRecord)
        self.curve = Lines(folder / "curve.jsonl", CurvePoint, summed=True)
        self.sittings = Lines(folder / "sessions.jsonl", Sitting, summed=True)
        self.oracle = Lines(folder / "oracle.jsonl", StepRecord, summed=True)
        self.labels = Lines(folder / "adapt" / "labels.jsonl", LabelRecord, summed=True)
        self.relabels = Lines(folder / "adapt" / "relabels.jsonl", RelabelRecord)
        self.rollouts = Lines(folder / "adapt" / "rollouts.jsonl", RolloutRecord)

    @property
    def begun(self) -> bool:
        """Whether there is a run in the folder, finished or not."""
        return (self.folder / "spec.json").is_file()

    @property
    def remains(self) -> bool:
        """Whether the folder has what a run makes, and lost what it was run with."""
        return not self.begun and any((self.folder / name).exists() for name in ("responses.jsonl", "adapt"))

    @property
    def finished(self) -> bool:
        """Whether the run has ended: its result is written last."""
        return (self.folder / "result.json").is_file()

    def reopen(self) -> None:
        """Take its result from a run that is to be finished again: killed on the way, it is one that has not ended."""
        (self.folder / "result.json").unlink(missing_ok=True)

    def step_files(self) -> dict[str, Path]:
        """What the steps of an adaptation log, by name: checkpoints have its checksums."""
        return {
            "metrics": self.steps.path, "rollouts": self.rollouts.path, "relabels": self.relabels.path,
            "curve": self.curve.path,
        }  # fmt: skip

    def summed(self) -> list[JsonLines]:
        """The files of lines that have checksums beside them: those of samples too, there or lost."""
        typed: list[Lines[Any]] = [
            self.questions, self.responses, self.scores, self.curve, self.sittings, self.labels, self.oracle
        ]  # fmt: skip
        adapt, named = self.folder / "adapt", [file.file for file in typed]
        samples = {*adapt.glob("*.jsonl"), *(path.with_name(path.name[1:-4]) for path in adapt.glob(".*.jsonl.crc"))}
        others = samples - {*(file.path for file in named), self.relabels.path, self.rollouts.path}
        return [*named, *(JsonLines(path, summed=True) for path in sorted(others))]

    def mend(self) -> list[str]:
        """Cut damaged files of lines back to what was before the damage, so that a resumed run does the rest again;
        returns what was wrong, a sentence each. For the owner of the folder.
        """
        typed: list[Lines[Any]] = [
            self.responses, self.scores, self.steps, self.curve, self.sittings, self.labels, self.relabels,
            self.rollouts,
        ]  # fmt: skip
        return [said for file in typed if (said := file.mend())]

    def spec(self) -> RunSpec | ResponsesSpec:
        """What was run, or whose responses were scored; whether by somebody's edit ``damage.check_spec`` says."""
        record = self._read("spec.json", verified=False)
        if "responses" in record:
            return self._typed("spec.json", ResponsesSpec, record)
        return self._typed("spec.json", RunSpec, record)

    def write_spec(self, spec: RunSpec | ResponsesSpec) -> None:
        """Write spec.json."""
        told = spec.model_dump()
        # the wording of a prompt decides what is asked, and is no setting in which a secret may stand
        kept = {key: told[key] for key in ("prompt_source",) if key in told}
        write_json(self.folder / "spec.json", {"version": VERSION, **redacted(told), **kept}, summed=True)

    def identity(self) -> Identity | None:
        """What the run was made of when it began; None where it was made before this was recorded."""
        return self._optional("identity.json", Identity)

    def write_identity(self, identity: Identity) -> None:
        """Write identity.json."""
        write_json(self.folder / "identity.json", identity.model_dump(mode="json"), summed=True)

    def environment(self) -> Environment | None:
        """Where the run began; None before it has."""
        return self._optional("env.json", Environment)

    def write_environment(self, environment: Environment) -> None:
        """Write env.json."""
        write_json(self.folder / "env.json", redacted(environment.model_dump()), summed=True)

    def notes(self) -> Notes:
        """Facts about the run's items and adaptation."""
        path = self.folder / "notes.json"
        return self._typed("notes.json", Notes, without_checksum(read_json(path), path))

    def write_notes(self, notes: Notes) -> None:
        """Write notes.json."""
        write_json(self.folder / "notes.json", redacted(notes.model_dump(exclude_defaults=True)), summed=True)

    def reported(self) -> Reported | None:
        """What the benchmark's server said of the run; None where nobody has entered it."""
        return self._optional("reported.json", Reported)

    def write_reported(self, reported: Reported) -> None:
        """Write reported.json."""
        write_json(self.folder / "reported.json", redacted(reported.model_dump(mode="json")), summed=True)

    def imported(self) -> Imported | None:
        """How the run came here as an archive; None for one that was made here."""
        return self._optional("imported.json", Imported)

    def write_imported(self, imported: Imported) -> None:
        """Write imported.json."""
        write_json(self.folder / "imported.json", imported.model_dump(mode="json"), summed=True)

    def result(self) -> Result:
        """The figures of a finished run."""
        record = self._read("result.json")
        return self._typed("result.json", Result, {"version": VERSION, **record})

    def write_result(self, result: Result) -> None:
        """Write result.json, which marks the run as finished; what has no checksums yet is given them before."""
        for file in self.summed():
            file.seal()
        write_json(self.folder / "result.json", redacted(result.model_dump(by_alias=True)), summed=True)

    @contextmanager
    def sitting(
        self, earlier_seconds: Callable[[], float] = lambda: 0.0, audio_seconds: Callable[[], float] = lambda: 0.0
    ) -> Iterator[None]:
        """Log the seconds of the block, also when it is interrupted, those of draws that an earlier run made, and those
        of the audio that the model was given.
        """
        began = time.monotonic()
        try:
            yield
        finally:
            seconds, earlier = round(time.monotonic() - began, 3), round(earlier_seconds(), 3)
            heard = round(audio_seconds(), 2)
            self.sittings.append([Sitting(seconds=seconds, earlier_seconds=earlier, audio_seconds=heard)])

    def samples(self) -> Samples:
        """Each item of the run with all that is known of it."""
        return Samples(self.questions, self.responses, self.scores, self.labels)

    def confidences(self) -> dict[str, float]:
        """How sure the vote on each item was, 0 to 1: that of the label that the method adapted to, else the answer's.

        Of labels that are renewed the last counts. Empty where nothing was voted on.
        """
        labels: Sequence[LabelRecord] = self.labels.read() or self.relabels.read()
        if not labels:
            return {record.id: record.confidence for record in self.responses if record.confidence is not None}
        agreed = isinstance(spec := self.spec(), RunSpec) and spec.method_args.get("confidence") == "agreement"
        return {record.id: record.agreement if agreed else record.confidence for record in labels}

    def refuse_links(self) -> None:
        """``UserError`` for a link by which a stranger's log has files from elsewhere read into pages and archives, or
        written to. Every reader begins with it.
        """
        if self.folder.is_dir() and (link := leads_out(self.folder)):
            raise UserError(f"'{link}' is a link that leads out of the run directory, or no file: put it there itself.")

    def _read(self, name: str, verified: bool = True) -> dict[str, Any]:
        """A JSON file's object without its version, which must be this one, and without its checksum."""
        self.refuse_links()
        path = self.folder / name
        try:
            record = read_json(path)
        except FileNotFoundError:
            raise UserError(f"'{self.folder}' has no {name}: it is no run directory, or not finished.") from None
        version = record.get("version", 1) if isinstance(record, dict) else None
        if version != VERSION:
            raise UserError(
                f"'{self.folder}' is a run log of version {version!s:.80}; this audio-eval reads version {VERSION}: "
                "run it again, or read it with the audio-eval that wrote it (see its env.json)."
            )
        record = without_checksum(record, path, verified)
        return {key: value for key, value in record.items() if key != "version"}

    def _optional(self, name: str, model: type[M]) -> M | None:
        if not (self.folder / name).is_file():
            return None
        path = self.folder / name
        return self._typed(name, model, without_checksum(read_json(path), path))

    def _typed(self, name: str, model: type[M], record: dict[str, Any]) -> M:
        try:
            return model.model_validate(record)
        except ValidationError as error:
            raise UserError(f"'{self.folder / name}' is damaged: {reason(error)}.") from None
