"""Run directories -> runs: read the finished ones, with what the statistics need of each item."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from audio_eval.errors import UserError
from audio_eval.leaderboard.older import completed
from audio_eval.leaderboard.reproduce import flags
from audio_eval.regular import walk
from audio_eval.runlog import ResultRow, RunLog, RunSpec
from audio_eval.runlog.damage import check
from audio_eval.runlog.records import IMPORTED_TAGS, Reported
from audio_eval.scoring.statistics import Outcome

# Only with the recordings: in an audio ablation it is a row like any other.
BASELINE = "direct"
# The first is written at the end of a run; the others are there from its beginning.
_FINISHED, _STARTED = "result.json", ("spec.json", "responses.jsonl")


@dataclass(frozen=True)
class Run:
    """One finished run; ``outcomes`` is empty where the answers are hidden, ``commit`` is that of the code.

    ``versions`` are those of Python and of packages, ``flags`` the command line's that ``summary`` does not tell; both
    are empty where they were not recorded. ``reported`` is what the benchmark's server said of the run, which was not
    measured here. ``folder`` is the run directory; None for results that are kept without it.
    """

    name: str
    summary: ResultRow
    outcomes: tuple[Outcome, ...] = ()
    commit: str | None = None
    versions: Mapping[str, str | None] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)
    reported: Reported | None = None
    folder: Path | None = field(default=None, compare=False)

    @property
    def comparable(self) -> Hashable:
        """What must be equal for two numbers to be compared."""
        s = self.summary
        return (
            s.model, s.model_revision, s.task, s.prompt, s.scorer, s.data_revision, s.audio_revision, s.long_audio,
            s.graders,
        )  # fmt: skip

    @property
    def baseline(self) -> bool:
        """Whether others are compared with it: never with one from elsewhere that was not recomputed."""
        unchecked = IMPORTED_TAGS[False] in self.summary.tags
        return self.summary.method == BASELINE and self.summary.audio is None and not unchecked

    @property
    def tags(self) -> tuple[str, ...]:
        """What must be said of how it was made."""
        s, tags = self.summary, list(self.summary.tags)
        if s.trained_on and not any(tag.startswith("trained on") and "scored item" not in tag for tag in tags):
            on_test = s.trained_on in ("same", s.task, f"{s.task}:test")
            tags.append("trained on the test labels" if on_test else f"trained on {s.trained_on}")
        return tuple(dict.fromkeys(tags))

    @cached_property
    def key(self) -> Hashable:
        """What the seeds of one row share."""
        s = self.summary
        items = frozenset(outcome.id for outcome in self.outcomes)
        return self.comparable, s.method, s.n, items, s.trained_on, self.tags, repr(sorted(s.settings.items()))


def accuracy(outcomes: Sequence[Outcome]) -> float:
    """Percent of the items that are right."""
    return 100.0 * sum(outcome.correct for outcome in outcomes) / len(outcomes)


def gives(outcomes: Sequence[Outcome], stated: float) -> bool:
    """Whether the outcomes give the accuracy that the result states, to one decimal."""
    return abs(accuracy(outcomes) - stated) <= 0.051


def load_runs(paths: Iterable[str | Path]) -> tuple[list[Run], list[str]]:
    """Read the run directories among and below ``paths``; returns them and one message for each that was left out.

    Left out are runs that have not finished, that cannot be read, and exact repeats of another run. Raises UserError
    for a path that does not exist.
    """
    found = apart([(folder, read_run(folder)) for folder in run_folders(paths)])
    runs = [run for _, run in found if isinstance(run, Run)]
    return runs, [reason for _, reason in found if isinstance(reason, str)]


def run_folders(paths: Iterable[str | Path]) -> list[Path]:
    """The run directories among and below ``paths``, each once; a path without any stands for itself.

    Raises UserError for a path that does not exist.
    """
    folders: dict[Path, Path] = {}
    for given in paths:
        path = Path(given)
        if given == "" or not path.is_dir():  # Path("") is the current folder, which nobody meant
            raise UserError(f"no folder '{given}': give run directories, or a folder that holds some.")
        found = list(_run_folders(path)) or [path]
        folders.update({folder.resolve(): folder for folder in found})
    return [folder for _, folder in sorted(folders.items())]


def read_run(folder: Path) -> Run | str:
    """The run in a folder, or why it is left out."""
    if not RunLog(folder).finished:
        return f"{folder}: not finished, no result.json; left out."
    try:
        run = _load_run(folder, folder.resolve().name)
        hash(run.key)  # values of which no key can be made are a fault of this directory too
        return run
    except UserError as error:  # it names the file
        return f"{' '.join(str(error).split())} Left out."
    except Exception as error:  # whatever is wrong with one directory, the others are shown
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return f"{folder}: cannot be read, left out ({reason[:200]})."


def apart(found: Iterable[tuple[Path, Run | str]]) -> list[tuple[Path, Run | str]]:
    """Folders with what ``read_run`` says of them; runs that are exact repeats of one before are left out, too."""
    first: dict[Hashable, Run] = {}
    told: list[tuple[Path, Run | str]] = []
    for folder, run in found:
        if isinstance(run, Run):
            same = (run.key, run.summary.seed, run.summary.adapter_sha256, run.outcomes, run.summary.samples)
            if (other := first.setdefault(same, run)) is not run:
                told.append((folder, f"{folder}: the same as {other.name}; left out."))
                continue
        told.append((folder, run))
    return told


def _run_folders(path: Path) -> Iterator[Path]:
    """The run directories at and below ``path``, not looking inside one."""
    for folder, below, files in walk(path):
        if _FINISHED in files or any(name in files for name in _STARTED):
            below.clear()
            yield Path(folder)


def _load_run(folder: Path, name: str) -> Run:
    """Read one run. Raises UserError where its files are damaged (weights are not looked at) or of another
    version, ValueError where they do not belong together.
    """
    log = RunLog(folder)
    check(log)
    result, environment = log.result().audio_eval, log.environment()
    spec = log.spec() if log.begun else None
    run = Run(name, completed(result, folder, spec, environment), folder=folder)
    if environment:
        versions = {"python": environment.python, **environment.packages}
        run = replace(run, commit=environment.commit, versions=versions)
    if isinstance(spec, RunSpec):
        run = replace(run, flags=flags(spec))
    summary = run.summary
    if summary.accuracy is None:
        return replace(run, reported=log.reported())
    recordings = {question.id: question.audio_sha256 for question in log.questions}
    confidences = log.confidences()
    outcomes = tuple(
        Outcome(
            score.id, score.outcome == "correct", score.answered, recordings.get(score.id), score.unread,
            confidences.get(score.id),
        )
        for score in log.scores
        if score.outcome != "excluded"
    )  # fmt: skip
    if len({outcome.id for outcome in outcomes}) != len(outcomes):
        raise ValueError("scores.jsonl holds an item twice")
    if not outcomes or len(outcomes) != summary.n:
        raise ValueError(f"scores.jsonl has {len(outcomes)} items, result.json says n = {summary.n}")
    if not gives(outcomes, summary.accuracy):
        raise ValueError(f"scores.jsonl makes {accuracy(outcomes):.2f} %, result.json says {summary.accuracy:.2f} %")
    return replace(run, outcomes=outcomes)
