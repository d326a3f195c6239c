"""What a reader must know before rows are compared: what was learned from, and which data were scored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from audio_eval.leaderboard.published import Published
from audio_eval.leaderboard.row import Row

# Title and sentence of each kind, those that matter most first.
KINDS = {
    "Trained on scored items": "The labels, or the recordings, of items that are scored were learned from.",
    "Fewer items, or errors": "They are ranked with no other row.",
    "Adapted on the scored items": "Transductive: the questions were seen in adaptation, their answers were not.",
    "Adapted on other items": "The questions of other items were adapted on, without their answers.",
    "Trained with labels": "Labels of items that are not scored were learned from.",
    "Did not hear the recordings": "Audio ablations: what is right without listening.",
    "Data before their revision": "The MMAU team corrected questions and answers in v05.15.25: the items are others.",
    "Data version not stated": "The source does not say on which version of the data it scored.",
}
_REVISED, _BEFORE = "mmau", "original"  # the tasks whose data were revised, and how their first version is called


class Caveat(NamedTuple):
    """A caveat in a sentence, and the labels of what it holds for."""

    title: str
    told: str
    labels: list[str]


def caveats(rows: Sequence[Row], published: Iterable[Published]) -> list[Caveat]:
    """The caveats of one task's rows and published figures, in the order of ``KINDS``."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for kind in dict.fromkeys(_kinds(row)):
            found[kind].append(row.label)
    for figure in published:
        if version := _version(figure.task, figure.version):
            found[version].append(f"{figure.model}{f', {figure.method}' if figure.method else ''} (reported)")
    return [Caveat(title, told, found[title]) for title, told in KINDS.items() if title in found]


def _kinds(row: Row) -> Iterable[str]:
    for tag in row.tags:
        if tag == "trained on the test labels" or "scored item" in tag:
            yield "Trained on scored items"
        elif tag == "transductive":
            yield "Adapted on the scored items"
        elif tag.startswith("adapted on"):
            yield "Adapted on other items"
        elif tag.startswith("trained on"):
            yield "Trained with labels"
    if not row.hears:
        yield "Did not hear the recordings"
    elif row.apart and row.accuracy is not None and "trained on the test labels" not in row.tags:
        yield "Fewer items, or errors"
    if row.data_revision and (kind := _version(row.task, row.data_revision)):
        yield kind


def _version(task: str, version: str | None) -> str | None:
    if not task.startswith(_REVISED):
        return None
    if version is None:
        return "Data version not stated"
    return "Data before their revision" if version.startswith(_BEFORE) else None
