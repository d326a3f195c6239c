"""The run that a run is compared with: the ``direct`` of the same conditions, among the runs beside it."""

from __future__ import annotations

from pathlib import Path

from audio_eval.errors import UserError
from audio_eval.leaderboard.runs import BASELINE, Run, load_runs
from audio_eval.runlog import RunLog
from audio_eval.store import read_json


def finished(folder: Path) -> Run:
    """A run that has ended. ``UserError`` where it has not, or is damaged."""
    runs, messages = load_runs([folder])
    if not runs:
        raise UserError(" ".join(messages))
    return runs[0]


def baseline_of(run: Run, folder: Path) -> Path | None:
    """The folder of the ``direct`` run beside ``folder`` that shares the most items with it; None where there is none.

    It has the same model, prompt, scorer, data and graders, as for a leaderboard.
    """
    if run.baseline or not run.outcomes:
        return None
    items, best, found = {outcome.id for outcome in run.outcomes}, 0, None
    for other in sorted(path.parent for path in folder.absolute().parent.glob("*/spec.json")):
        if not _may_be(other):
            continue
        for known in load_runs([other])[0]:
            shared = len(items & {outcome.id for outcome in known.outcomes})
            if known.baseline and known.comparable == run.comparable and shared > best:
                best, found = shared, other
    return found


def _may_be(folder: Path) -> bool:
    """Whether a folder holds a finished ``direct`` run, by a glance at its spec: there may be hundreds of folders. One
    that is a link is none of those beside it, as for a leaderboard.
    """
    log = RunLog(folder)
    try:
        if folder.is_symlink() or not log.finished:
            return False
        log.refuse_links()
        return read_json(folder / "spec.json").get("method") == BASELINE
    except (UserError, OSError, AttributeError):
        return False
