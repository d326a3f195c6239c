"""A short name for every row of a table, made from what differs between the rows.

The rule. A label starts with the method, preceded by the model where the table has several. Then comes what tells the
row from the other rows:

- settings in which the rows of this method differ, where they are not the usual ones: ``relabel=every_step``; a long
  value that no other row changes is named only: ``+views``;
- tags that some rows of this method have and others do not: ``gold labels``, ``silence``;
- prompt, scorer, versions of data, model and recordings, and graders, where the rows of this model differ in them.

``pseudo labels`` and what the tables say in a column of their own (transductive, trained on ..., number of items) are
named only where nothing else tells two rows apart. What is the same for all rows is never named. Two rows of one table
never have the same label: a number in brackets is the last resort.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from audio_eval.leaderboard.cells import plain

SHORT = 12  # characters; a longer value is not spelled out where its key says enough
LONGEST = 40
_LABEL_KIND = re.compile(r"\w+ labels")
_QUIET = re.compile(r"pseudo labels|transductive|adapted on .*|trained on .*", re.DOTALL)


@dataclass(frozen=True)
class Facts:
    """What may tell one row from another.

    ``settings`` are those that are not the method's usual ones. ``origin`` is where the number is from: prompt, scorer,
    versions, by name. ``quiet`` is compared last. ``order`` puts rows that are alike otherwise into a fixed order.
    """

    model: str
    method: str
    settings: Mapping[str, Any]
    tags: tuple[str, ...]
    origin: Mapping[str, str | None]
    quiet: Mapping[str, str]
    order: tuple[str, ...] = ()

    def across_tasks(self) -> Facts:
        """Without what belongs to one task; two models may have one name, so the model's revision stays."""
        return replace(self, origin={key: value for key, value in self.origin.items() if key == "model"}, quiet={})


def shown(value: object) -> str:
    """A setting's value as --method-args reads it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else plain(value)


def is_label_kind(tag: str) -> bool:
    """Whether a tag says which labels were learned from, as ``gold labels`` does."""
    return _LABEL_KIND.fullmatch(tag) is not None


def labels(rows: Sequence[Facts]) -> list[str]:
    """One label per row, all different; they do not depend on the order of the rows."""
    several = len({row.model for row in rows}) > 1
    found = []
    for row in rows:
        of_model = [other for other in rows if other.model == row.model]
        alike = [other for other in of_model if other.method == row.method]
        said = [*_settings(row, alike), *_tags(row, alike), *_origin(row, of_model)]
        start = plain(f"{row.model} {row.method}" if several else row.method)
        found.append(start + "".join(part if part.startswith(" +") else f", {part}" for part in said))
    for tag in sorted({tag for row in rows for tag in row.tags if _QUIET.fullmatch(tag)}):
        found = _tell_apart(found, [tag if tag in row.tags else "" for row in rows])
    for key in sorted({key for row in rows for key in row.quiet}):
        found = _tell_apart(found, [f"{key}={row.quiet[key]}" if key in row.quiet else "" for row in rows])
    return _numbered(found, rows)


def _settings(row: Facts, alike: Sequence[Facts]) -> list[str]:
    named, spelled = [], []
    for key, value in sorted(row.settings.items()):
        others = {shown(other.settings[key]) if key in other.settings else None for other in alike}
        text = shown(value)
        if len(others) > 1:
            if len(text) > SHORT and others == {None, text}:
                named.append(f" +{plain(key)}")
            else:
                spelled.append(f"{plain(key)}={text if len(text) <= LONGEST else text[:LONGEST] + '…'}")
    return [*named, *spelled]


def _tags(row: Facts, alike: Sequence[Facts]) -> list[str]:
    differing = [tag for tag in row.tags if not all(tag in other.tags for other in alike)]
    return [plain(tag.removeprefix("audio: ")) for tag in differing if not _QUIET.fullmatch(tag)]


def _origin(row: Facts, of_model: Sequence[Facts]) -> list[str]:
    said = []
    for key, value in row.origin.items():
        values = {other.origin.get(key) for other in of_model}
        if len(values) > 1:
            names = {str(value).partition("@")[0] for value in values}
            text = str(value).partition("@")[0] if len(names) == len(values) else str(value)
            said.append(f"{key}={plain(text) if value else 'not recorded'}")
    return said


def _tell_apart(found: Sequence[str], facts: Sequence[str]) -> list[str]:
    """Add a row's fact to its label where rows of one label differ in it."""
    differing: dict[str, set[str]] = defaultdict(set)
    for label, fact in zip(found, facts, strict=True):
        differing[label].add(fact)
    return [
        f"{label}, {plain(fact)}" if fact and len(differing[label]) > 1 else label
        for label, fact in zip(found, facts, strict=True)
    ]


def _numbered(found: list[str], rows: Sequence[Facts]) -> list[str]:
    """The labels, those that are still the same with numbers."""
    again, taken, done = Counter(found), set(found), list(found)
    for i in sorted(range(len(rows)), key=lambda i: (found[i], rows[i].order, repr(rows[i]))):
        if again[found[i]] > 1:
            done[i] = next(label for n in count(1) if (label := f"{found[i]} ({n})") not in taken)
            taken.add(done[i])
    return done
