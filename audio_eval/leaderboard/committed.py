"""Results that are kept with the source: enough of each run to compute every statistic anew.

    <folder>/results/<task>.jsonl   one line per run: its result, and one letter per item for what came of it
    <folder>/items.jsonl            the ids of the items, once for all runs that were scored on the same ones
    <folder>/published.jsonl        what others have published (published.py)

The pages in the folder follow from these files alone, so they can be written, and checked, without the run directories.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from audio_eval.errors import UserError
from audio_eval.leaderboard.files import SUFFIXES, file_stem, pages
from audio_eval.leaderboard.published import Published, read_published, read_whole
from audio_eval.leaderboard.rows import aggregate
from audio_eval.leaderboard.runs import Run, gives
from audio_eval.runlog import ResultRow
from audio_eval.runlog.lines import Lines
from audio_eval.runlog.records import Reported
from audio_eval.scoring.scores import Unread
from audio_eval.scoring.statistics import Outcome
from audio_eval.store import left_by_a_kill

# What came of an item: whether it is right, whether an answer could be read, and why not where that is known.
LETTERS: dict[str, tuple[bool, bool, Unread | None]] = {
    "r": (True, True, None), "w": (False, True, None), "u": (False, False, None), "t": (False, False, "no tags"),
    "e": (False, False, "empty"), "o": (False, False, "not an option"), "x": (True, False, None),
}  # fmt: skip
_LETTER = {came: letter for letter, came in LETTERS.items()}


class Items(BaseModel):
    """A line of items.jsonl: the ids that the letters of a run stand for, and the digests of their recordings.

    ``items`` names the line and is a digest of the rest. ``recordings`` is empty where the items have none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    items: str
    ids: tuple[str, ...]
    recordings: tuple[str | None, ...] = ()

    @classmethod
    def of(cls, ids: Sequence[str], recordings: Sequence[str | None]) -> Items:
        """The line of these items."""
        known = tuple(recordings) if any(recordings) else ()
        return cls(items=sha256(repr((tuple(ids), known)).encode()).hexdigest()[:12], ids=tuple(ids), recordings=known)


class Line(BaseModel):
    """A line of results/<task>.jsonl: a run. ``items`` names a line of items.jsonl; "" where answers are hidden.

    ``confidences`` are those of the votes on the items, to three decimals; empty where there was no vote. ``reported``
    is what the benchmark's server said where answers are hidden.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    run: str
    commit: str | None = None
    items: str = ""
    outcomes: str = ""
    confidences: tuple[float | None, ...] = ()
    reported: Reported | None = None
    versions: dict[str, str | None] = {}
    flags: dict[str, str] = {}
    result: ResultRow


class Added(NamedTuple):
    """What ``Committed.add`` did, in numbers of runs."""

    new: int
    replaced: int
    unchanged: int


class Committed:
    """The results in ``folder``. Reading what is damaged is a ``UserError`` that names the file and the record."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._items = Lines(self.folder / "items.jsonl", Items)

    def published(self) -> list[Published]:
        """What others have published."""
        return read_published(self.folder / "published.jsonl")

    def runs(self) -> list[Run]:
        """All runs, as ``load_runs`` gives them."""
        known = {line.items: line for line in read_whole(self._items.path, Items)}
        for name, line in known.items():
            if Items.of(line.ids, line.recordings).items != name:
                raise UserError(f"'{self._items.path}': the items '{name}' were changed: restore the file from git.")
        paths = sorted((self.folder / "results").glob("*.jsonl"))
        return [_run(line, known, path) for path in paths for line in read_whole(path, Line)]

    def add(self, runs: Iterable[Run]) -> Added:
        """Add runs; one takes the place of a kept one of the same row and seed.

        ``UserError`` where two of ``runs`` are for the same place, or where the folder cannot be written.
        """
        before, given = {_place(run): run for run in self.runs()}, dict[Hashable, Run]()
        for run in runs:
            if (other := given.setdefault(_place(run), run)) is not run:
                raise UserError(f"'{other.name}' and '{run.name}' are two runs of one row and seed: give one of them.")
        both = before.keys() & given.keys()
        unchanged = sum(_line(before[place]) == _line(given[place]) for place in both)
        try:
            self._write(list({**before, **given}.values()))
        except OSError as error:
            raise UserError(f"cannot write the results to '{self.folder}' ({error.strerror}).") from error
        return Added(len(given) - len(both), len(both) - unchanged, unchanged)

    def pages(self) -> dict[str, str]:
        """The text of every page that follows from the results, by file name."""
        return pages(aggregate(self.runs()), self.published())

    def stale(self) -> str | None:
        """The name of a page in the folder that does not follow from its results; None where all do."""
        expected = self.pages()
        for name, text in sorted(expected.items()):
            path = self.folder / name
            if not path.is_file() or path.read_bytes() != text.encode():
                return name
        there = {path.name for path in self.folder.iterdir() if path.suffix in SUFFIXES}
        return min(there - expected.keys() - {"README.md"}, default=None)

    def _write(self, runs: Sequence[Run]) -> None:
        for unfinished in left_by_a_kill(self.folder, "**/.*"):
            unfinished.unlink(missing_ok=True)
        lines = {line.items: line for run in runs if (line := _items(run)).ids}
        self._items.keep(line for _, line in sorted(lines.items()))
        by_task: dict[str, list[Line]] = {}
        for run in sorted(runs, key=lambda run: (run.summary.method, run.name, run.summary.seed)):
            by_task.setdefault(run.summary.task, []).append(_line(run))
        for task, of_task in by_task.items():
            Lines(self.folder / "results" / f"{file_stem(task)}.jsonl", Line).keep(of_task)


def _place(run: Run) -> Hashable:
    return run.key, run.summary.seed


def _items(run: Run) -> Items:
    outcomes = sorted(run.outcomes)
    return Items.of([outcome.id for outcome in outcomes], [outcome.recording for outcome in outcomes])


def _line(run: Run) -> Line:
    outcomes = sorted(run.outcomes)
    confidences = tuple(None if o.confidence is None else round(o.confidence, 3) for o in outcomes)
    return Line(
        version=1,
        run=run.name,
        commit=run.commit,
        items=_items(run).items if outcomes else "",
        outcomes="".join(_LETTER[o.correct, o.parsed, None if o.correct else o.unread] for o in outcomes),
        confidences=() if set(confidences) <= {None} else confidences,
        reported=run.reported,
        versions=dict(run.versions),
        flags=dict(run.flags),
        result=run.summary.model_copy(update={"run": run.name}),
    )


def _run(line: Line, known: dict[str, Items], path: Path) -> Run:
    items = known.get(line.items, Items(items="", ids=()))
    n, letters, confidences = len(items.ids), line.outcomes, line.confidences or (None,) * len(items.ids)
    if len(letters) != n or len(confidences) != n or set(letters) - LETTERS.keys():
        raise UserError(f"'{path}': the outcomes of run '{line.run}' do not fit its items: restore the file from git.")
    found = []
    for item, recording, letter, confidence in zip(
        items.ids, items.recordings or (None,) * n, letters, confidences, strict=True
    ):
        correct, parsed, unread = LETTERS[letter]
        found.append(Outcome(item, correct, parsed, recording, unread, confidence))
    if found and not gives(found, line.result.accuracy or 0.0):
        raise UserError(f"'{path}': the outcomes of run '{line.run}' do not give its accuracy: restore it from git.")
    return Run(line.run, line.result, tuple(found), line.commit, line.versions, line.flags, reported=line.reported)
