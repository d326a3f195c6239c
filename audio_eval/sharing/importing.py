"""An archive of somebody else's run -> a run directory here, once all of it is checked: ``audio-eval import``.

No code of the archive is run and nothing in it is unpickled. It brings no page either: ``report.html`` of a stranger
would run its scripts in the reader's browser, and can be made anew from the records.
"""

from __future__ import annotations

import datetime
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open

from audio_eval.cache import file_digest
from audio_eval.errors import UserError
from audio_eval.leaderboard import load_runs
from audio_eval.models.hf.files import ADAPTER_CONFIG
from audio_eval.runlog import RunLog
from audio_eval.runlog.records import IMPORTED_TAGS, Imported, QuestionRecord
from audio_eval.runlog.result import VERSION
from audio_eval.runs.own import remember_folders
from audio_eval.runs.result import adapter_digest
from audio_eval.sharing import archive
from audio_eval.sharing.verify import NotRecomputed, Recomputed, recompute
from audio_eval.store import left_by_a_kill, make_folder, place_folder, read_json


class Arrived(NamedTuple):
    """The new run directory, and how far it was checked."""

    folder: Path
    imported: Imported


def import_run(path: Path, into: Path, where: Mapping[str, str | None]) -> Arrived:
    """Check the archive and make a run directory of it below ``into``; ``where`` says where this machine's data are.

    ``UserError`` in one line for an archive that is not whole, not of this version, or not true to its responses;
    nothing is left behind then.
    """
    make_folder(into)
    for unfinished in left_by_a_kill(into, ".import-*"):
        shutil.rmtree(unfinished)
    temporary = Path(tempfile.mkdtemp(prefix=".import-", suffix=f".{os.getpid()}.tmp", dir=into))
    try:
        with archive.opened(path) as (opened, manifest):  # the end of a large file tells whether it is one
            digest = file_digest(path)
            if manifest.run_log != VERSION:
                raise UserError(
                    f"'{path}' holds a run log of version {manifest.run_log}; this audio-eval reads version {VERSION}: "
                    "import it with the audio-eval that made it."
                )
            kept = {name: entry for name, entry in manifest.files.items() if name != archive.REPORT}
            archive.extract(path, opened, manifest.model_copy(update={"files": kept}), temporary)
        log = RunLog(temporary)
        try:
            name = _check_records(log)
            imported = _verified(log, digest, where)
        except UserError as error:
            said = str(error).replace(f"{temporary}/", "").replace(str(temporary), "its run").rstrip(".")
            raise UserError(f"'{path}' is refused: {said}.") from None
        except (ValueError, RecursionError, KeyError, TypeError, OverflowError) as error:
            raise UserError(f"'{path}' is refused: a record of it is damaged ({type(error).__name__}).") from None
        folder = into / f"imported-{name}-{digest[:8]}"
        if folder.exists():
            raise UserError(f"'{path}' was imported before: it is '{folder}'.")
        _say_where(log, imported, folder)
        temporary.chmod(0o755)
        place_folder(temporary, folder)
        return Arrived(folder, imported)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_records(log: RunLog) -> str:
    """Read every file through its class, and see that they belong together; returns a name for the run."""
    spec, row = log.spec(), log.result().audio_eval
    log.identity(), log.environment(), log.reported()
    if (log.folder / "notes.json").is_file():
        log.notes()
    for lines in (log.questions, log.responses, log.scores, log.steps, log.curve, log.sittings, log.labels, log.oracle):
        records = lines.read()
        ids = [record.id for record in records if hasattr(record, "id")]
        if len(set(ids)) < len(ids):
            raise UserError(f"'{lines.path.name}' has an item twice")
    if row.task != spec.task.removesuffix(":test"):
        raise UserError(f"its spec is of task '{spec.task}', and its result of '{row.task}'")
    stated = log.result().results.get(row.task, {}).get("acc,none")
    if row.accuracy is not None and abs(100 * (stated or 0.0) - row.accuracy) > 1e-6:
        raise UserError("its result states two accuracies")
    _check_adapter(log, row.adapter_sha256)
    runs, messages = load_runs([log.folder])
    if not runs:
        raise UserError(messages[0])
    told = f"{row.model}-{row.method}-{row.task}-seed{row.seed}"
    return re.sub(r"[^A-Za-z0-9._-]+", "_", told).strip("._-")[:100] or "run"


def _check_adapter(log: RunLog, stated: str | None) -> None:
    for path in log.folder.glob("adapt/step-*/*.safetensors"):
        try:
            with safe_open(path, framework="np") as opened:
                opened.keys()
        except SafetensorError as error:
            raise UserError(f"'{path.name}' is no safetensors file: {' '.join(str(error).split())}") from None
    for path in log.folder.glob(f"adapt/step-*/{ADAPTER_CONFIG}"):
        config = read_json(path)
        # peft would import the modules that these settings name
        if (
            not isinstance(config, dict)
            or config.get("peft_type") != "LORA"
            or config.get("auto_mapping")
            or config.get("megatron_config")
        ):
            raise UserError(f"'{ADAPTER_CONFIG}' is not of a plain LoRA adapter")
    if (found := adapter_digest(log.folder)) not in (None, stated):
        raise UserError(f"its result is of other weights than the adapter in it ({stated} is stated, {found} is there)")


def _verified(log: RunLog, digest: str, where: Mapping[str, str | None]) -> Imported:
    today = datetime.date.today()
    try:
        _take_over(log, recompute(log, where))
    except NotRecomputed as reason:
        return Imported(archive_sha256=digest, date=today, verified=False, reason=" ".join(str(reason).split()))
    return Imported(archive_sha256=digest, date=today, verified=True)


def _take_over(log: RunLog, found: Recomputed) -> None:
    """What an export takes out is filled in from the task as it is here: questions, options, gold answers."""
    log.scores.keep(found.scores)
    questions = {question.id: question for question in found.task.questions}

    def whole(record: QuestionRecord) -> QuestionRecord:
        if (own := questions.get(record.id)) is None:
            return record
        more = tuple(recording.path for recording in own.more_audio)
        told = {"question": own.question, "choices": own.choices, "prompt": own.prompt, "groups": dict(own.groups)}
        return record.model_copy(update={**told, "audio": own.audio.path if own.audio else None, "more_audio": more})

    log.questions.keep([whole(record) for record in log.questions.read()])
    remember_folders(audio.path for question in found.task.questions for audio in question.audios if audio.path)


def _say_where(log: RunLog, imported: Imported, folder: Path) -> None:
    """Every table says that the run was imported, and nothing that the archive says of that itself is kept."""
    result = log.result()
    tags = [tag for tag in result.audio_eval.tags if not tag.startswith("imported")]
    row = result.audio_eval.model_copy(update={"tags": [*tags, IMPORTED_TAGS[imported.verified]], "run": str(folder)})
    log.write_imported(imported)
    _give_checksums(log)
    log.write_result(result.model_copy(update={"audio_eval": row}))


def _give_checksums(log: RunLog) -> None:
    """To what an archive brings without; files of lines get theirs with the result."""
    log.write_spec(log.spec())
    if identity := log.identity():
        log.write_identity(identity)
    if environment := log.environment():
        log.write_environment(environment)
    if reported := log.reported():
        log.write_reported(reported)
    if (log.folder / "notes.json").is_file():
        log.write_notes(log.notes())
