"""Which rows of a task may be ranked together, their places, and what is left of them without the recordings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import replace

from audio_eval.leaderboard.row import Row
from audio_eval.scoring.statistics import standings

_AUDIO = "audio: "


def ranked(rows: Sequence[Row]) -> list[Row]:
    """The rows of one task in their order, with ``apart``, ``standing`` and ``retained``."""
    most: dict[Hashable, int] = defaultdict(int)
    for row in rows:
        most[row.data_revision] = max(most[row.data_revision], row.n)
    found = {id(row): replace(row, apart=why_apart(row, most[row.data_revision])) for row in rows}
    boards: dict[Hashable, list[int]] = defaultdict(list)
    for row in rows:
        if found[id(row)].apart is None:
            boards[conditions(row)].append(id(row))
    for members in boards.values():
        if len(members) > 1:
            places = standings([[run.outcomes for run in found[member].runs] for member in members])
            for member, place in zip(members, places, strict=True):
                found[member] = replace(found[member], standing=place)
    kept = _retained(rows)
    return [replace(found[id(row)], retained=kept.get(_same_but_audio(row), {}) if row.hears else {}) for row in rows]


def conditions(row: Row) -> Hashable:
    """What must be equal for rows to be ranked together: all that is compared with ``direct`` but for the model, and
    the items.
    """
    s = row.runs[0].summary
    items = frozenset(outcome.id for outcome in row.runs[0].outcomes)
    return s.task, s.prompt, s.scorer, s.data_revision, s.audio_revision, s.long_audio, s.graders, items


def why_apart(row: Row, most: int) -> str | None:
    """Why a row is ranked with no other, None where it is; ``most`` is the largest n of the task's data."""
    if row.accuracy is None:
        return "its answers are hidden"
    if not row.hears:
        return "it does not hear the recordings"
    if "trained on the test labels" in row.tags:
        return "it is trained on the labels of these items"
    if row.n < most:
        return f"it has {row.n} of {most} items"
    return f"{row.failed} items had errors" if row.failed else None


def _retained(rows: Sequence[Row]) -> dict[Hashable, dict[str, float]]:
    """Percent of a row's accuracy that is left in each of its arms without the recordings."""
    whole = {_same_but_audio(row): row.accuracy for row in rows if row.hears}
    found: dict[Hashable, dict[str, float]] = defaultdict(dict)
    for row in rows:
        key = _same_but_audio(row)
        if not row.hears and row.accuracy is not None and (full := whole.get(key)):
            found[key][str(row.runs[0].summary.audio)] = 100.0 * row.accuracy / full
    return found


def _same_but_audio(row: Row) -> Hashable:
    tags = tuple(tag for tag in row.tags if not tag.startswith(_AUDIO))
    return row.runs[0].comparable, row.method, tags, repr(sorted(row.settings.items())), conditions(row)
