"""Whether the files of a run directory are what was written: by checksums, against faults and not forgery."""

from __future__ import annotations

import shlex
from collections.abc import Collection

from audio_eval.checkpoint_sums import check_logs, is_sealed, saved, state_of, unseal
from audio_eval.checksums import is_summed, without_checksum
from audio_eval.errors import UserError, of_system
from audio_eval.runlog.log import RunLog
from audio_eval.runlog.spec import RunSpec
from audio_eval.store import read_json


def check(log: RunLog, all_files: bool = False) -> None:
    """For whoever shows a run: ``UserError``, with what mends it, where a file is not what was written.

    What was written before there were checksums is taken as it is. ``all_files``: also those of which tables and pages
    show nothing, and which take time: identity.json and the weights of the last checkpoint.
    """
    log.refuse_links()
    try:
        _check(log, all_files)
    except UserError:
        try:
            _check(log, all_files)  # another process may have written something meanwhile
        except UserError as error:
            raise UserError(f"{error} {_mend(log)}") from None


def check_spec(log: RunLog) -> None:
    """``UserError`` where spec.json is not what was written."""
    log.refuse_links()
    path = log.folder / "spec.json"
    without_checksum(read_json(path), path)


def lost(log: RunLog, ids: Collection[str]) -> str | None:
    """What a finished run of these items lost, so that it must be finished again from what it has, as a sentence; None
    where it is whole, and where it came as an archive, which may leave files out.
    """
    if _came_from_elsewhere(log):
        return None
    try:
        lines = (log.labels, log.steps, log.curve, log.sittings)
        for read in (log.result, log.notes, *(file.read for file in lines)):
            read()
        if log.environment() is None:
            return f"'{log.folder}' has no env.json"
        _check(log, all_files=True)
        for file in (log.questions, log.responses, log.scores):
            if not {record.id for record in file} >= set(ids):  # with --holdout more were adapted on
                return f"'{file.path}' does not have the items of this run"
    except (UserError, OSError) as error:
        return str(error).rstrip(".") if isinstance(error, UserError) else of_system(error)
    return None


def _check(log: RunLog, all_files: bool) -> None:
    """A run that ended with a checksum in its result has checksums of all."""
    complete, elsewhere = log.finished and is_summed(read_json(log.folder / "result.json")), _came_from_elsewhere(log)
    for name in ("result.json", "spec.json", "env.json", "notes.json", *(["identity.json"] if all_files else [])):
        if (path := log.folder / name).is_file():
            without_checksum(read_json(path), path)
    for file in log.summed():
        file.check(complete)
    for last in saved(log.folder / "adapt")[-1:]:
        if (complete and not elsewhere) or is_sealed(last):
            try:
                check_logs(unseal(last) if all_files else state_of(last), log.step_files())
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"'{last}' is damaged: {error}.") from None


def _came_from_elsewhere(log: RunLog) -> bool:
    return (log.folder / "imported.json").is_file()


def _mend(log: RunLog) -> str:
    """What to do, in a sentence."""
    if _came_from_elsewhere(log):
        return "Import its archive again."
    try:
        made_here = isinstance(log.spec(), RunSpec)
    except (UserError, OSError):
        made_here = True
    return f"Run audio-eval resume {shlex.quote(str(log.folder))}." if made_here else "Score the responses again."
