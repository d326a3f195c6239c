"""Pair: two finished runs, and the items of theirs that may be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from audio_eval.errors import UserError
from audio_eval.leaderboard import Row, aggregate, load_runs
from audio_eval.leaderboard.cells import plain
from audio_eval.leaderboard.labels import labels
from audio_eval.runlog import ResultRow, RunLog, Sample
from audio_eval.scoring.statistics import Outcome

TRAINED_ON_TEST = "trained on the test labels"


@dataclass(frozen=True)
class Side:
    """One of the two runs. ``row`` is its row of a leaderboard, over all of its items; ``samples`` are these by id."""

    folder: Path
    row: Row
    label: str
    samples: Mapping[str, Sample]

    @property
    def summary(self) -> ResultRow:
        """The figures that its result states."""
        return self.row.runs[0].summary

    @cached_property
    def outcomes(self) -> Mapping[str, Outcome]:
        """What became of its items, by id."""
        return {outcome.id: outcome for outcome in self.row.runs[0].outcomes}


@dataclass(frozen=True)
class Pair:
    """Two runs, and the ``ids`` of the items that are the same in both, in A's order.

    ``warnings`` say, a sentence each, what a reader must know before the difference is taken for that of the methods.
    """

    a: Side
    b: Side
    ids: tuple[str, ...]
    warnings: tuple[str, ...]

    @classmethod
    def load(cls, a: Path, b: Path) -> Pair:
        """Read both. ``UserError`` where there is nothing to compare: an unfinished or damaged run, the same run twice,
        another task, another scorer, hidden answers, no item that is the same.
        """
        if a.resolve() == b.resolve():
            raise UserError(f"'{a}' and '{b}' are one run: give two.")
        rows = _row(a), _row(b)
        _refuse(a, b, *(row.runs[0].summary for row in rows))
        parts = zip((a, b), rows, _labels(*rows), strict=True)
        one, other = (Side(folder, row, label, _samples(folder, row)) for folder, row, label in parts)
        ids, left_out = _common(one, other)
        return cls(one, other, ids, (*_conditions(one, other), *left_out, *_notes(one, other)))


def _row(folder: Path) -> Row:
    runs, left_out = load_runs([folder])
    if left_out:
        raise UserError("; ".join(left_out))
    if len(runs) != 1:
        raise UserError(f"'{folder}' holds {len(runs)} runs: give the directory of one of them.")
    return aggregate(runs)[0]


def _labels(a: Row, b: Row) -> list[str]:
    """As a leaderboard calls them; two seeds of one method by their seeds."""
    alike = replace(a.facts, order=()) == replace(b.facts, order=())
    if alike and a.seeds != b.seeds:
        return [f"{labels([row.facts])[0]}, seed {row.seeds[0]}" for row in (a, b)]
    return labels([a.facts, b.facts])


def _refuse(a: Path, b: Path, one: ResultRow, other: ResultRow) -> None:
    for folder, summary in ((a, one), (b, other)):
        if summary.accuracy is None:
            raise UserError(
                f"the answers of '{folder}' are hidden, or nobody has judged its responses: nothing to compare."
            )
    if one.task != other.task:
        raise UserError(f"'{a}' is of task '{one.task}', '{b}' of '{other.task}': give two runs of one task.")
    for what, mine, theirs in (("scored", one.scorer, other.scorer), ("graded", one.graders, other.graders)):
        if mine != theirs:
            raise UserError(
                f"'{a}' is {what} by {mine or 'nobody'}, '{b}' by {theirs or 'nobody'}: score the responses of one "
                f"anew, as in audio-eval score {one.task} --responses {a / 'responses.jsonl'}."
            )


def _samples(folder: Path, row: Row) -> dict[str, Sample]:
    scored = {outcome.id for outcome in row.runs[0].outcomes}
    found = {sample.question.id: sample for sample in RunLog(folder).samples() if sample.question.id in scored}
    if missing := scored - found.keys():
        raise UserError(f"'{folder}' does not say what was asked in {len(missing)} items, as '{min(missing)}'.")
    return found


def _common(a: Side, b: Side) -> tuple[tuple[str, ...], list[str]]:
    """The items that are the same, and in sentences which are not."""
    both = [id_ for id_ in a.samples if id_ in b.samples]
    changed = {id_: parts for id_ in both if (parts := _changed(a.samples[id_], b.samples[id_]))}
    ids = tuple(id_ for id_ in both if id_ not in changed)
    told = [
        f"{_count(alone)} of {name} that the other does not have: left out."
        for name, side in (("A", a), ("B", b))
        if (alone := len(side.samples) - len(both))
    ]
    if changed:
        counts = Counter(part for parts in changed.values() for part in parts)
        kinds = ", ".join(f"{part} in {count}" for part, count in counts.most_common())
        told.append(f"{len(changed)} of {len(both)} common items are not the same in both ({kinds}): left out.")
    if not ids:
        raise UserError(f"'{a.folder}' and '{b.folder}' have no item in common. {' '.join(told)}")
    return ids, told


def _count(items: int) -> str:
    return f"{items} {'item' if items == 1 else 'items'}"


def _changed(one: Sample, other: Sample) -> list[str]:
    """In what an item is not the one of the same id; what a side does not say is taken to be the same."""
    asked, again = one.question, other.question
    parts = {
        "question": (asked.question, again.question),
        "options": (sorted(asked.choices), sorted(again.choices)),
        "answer": (one.gold, other.gold),
        "recording": (asked.audio_sha256, again.audio_sha256),
    }
    return [part for part, (mine, theirs) in parts.items() if mine and theirs and mine != theirs]


def _conditions(a: Side, b: Side) -> Iterator[str]:
    """What the leaderboard would not rank together."""
    found = [
        {"prompt": s.prompt, "version of the data": s.data_revision, "version of the recordings": s.audio_revision,
         "treatment of long audio": s.long_audio or "cut"}
        for s in (a.summary, b.summary)
    ]  # fmt: skip
    for what, mine in found[0].items():
        if mine != (theirs := found[1][what]):
            told = f"{plain(mine or 'not recorded')} in A, {plain(theirs or 'not recorded')} in B"
            yield f"The {what} is not the same: {told}. The difference is of that too."


def _notes(a: Side, b: Side) -> Iterator[str]:
    """What must be said of one run, whatever it is compared with."""
    for name, side in (("A", a), ("B", b)):
        notes = side.summary.notes
        if failed := {*notes.get("unreadable", ()), *notes.get("missing", ())}:
            yield f"{_count(len(failed))} of {name} with errors: counted as wrong."
        if TRAINED_ON_TEST in side.row.tags:
            yield f"{name} is trained on the labels of scored items."
    if a.row.one_seed or b.row.one_seed:
        yield "One seed a run: the figures are about further items, not about further seeds."
