"""Sources: where the items of a benchmark can be read from, and which of them is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from datasets import Dataset

from audio_eval.data.records import FEATURES, Place, Record, SourceRow
from audio_eval.errors import NotHere, UserError, unknown

OFFICIAL = "official"
# A message shows this many broken rows: a file of another format may have thousands.
SHOWN = 50

Convert = Callable[[SourceRow], Record]


class DataError(UserError):
    """Rows that break the schema; ``problems`` has all of them, the message the first ones."""

    def __init__(self, where: str, problems: list[str]) -> None:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        count = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
        super().__init__(f"{where}: {count}; mend or remove: {'; '.join(problems[:SHOWN])}{more}.")
        self.where, self.problems = where, problems


class Unreachable(NotHere):
    """The hub cannot be reached, and there is no copy here. ``Sources`` adds to the message what to do."""


@dataclass(frozen=True)
class Loaded:
    """Records, the data set's revision, and the sha256 of its files by name."""

    records: list[Record]
    revision: str = ""
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Provenance:
    """Where a split is from: the source's name, its revision ("" for official files), and sha256 by file name."""

    source: str
    revision: str = ""
    files: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The fields that are known."""
        return {key: value for key, value in vars(self).items() if value}


OnRead = Callable[[Dataset, Provenance], object]


class Source(Protocol):
    """Reads a split."""

    @property
    def layout(self) -> str:
        """What ``--data-dir D`` must hold for it."""

    def held(self, data_dir: str) -> bool:
        """Whether the folder has it."""

    def read(self, data_dir: str | None) -> Loaded:
        """The records, from below ``data_dir`` if the user gave one; ``UserError`` where they cannot be read."""


@dataclass(frozen=True)
class Sources:
    """The sources of a split by name: ``official`` for files, and hub data sets by their repository."""

    named: Mapping[str, Source]
    split: str = "test"

    def __call__(
        self, data_dir: str | None = None, source: str | None = None, on_read: OnRead | None = None, **_: Any
    ) -> dict[str, Dataset]:
        """The one split. A YAML names the object as its ``custom_dataset``, and lm-eval passes its metadata.

        ``source`` may name several sources (for several tasks); the first that is known here is read. Without it, what
        ``data_dir`` holds is read, official files first; without both, the first hub data set. ``on_read`` is called
        with the data set and its provenance.
        """
        name = self._choose(data_dir, source)
        try:
            loaded = self.named[name].read(data_dir)
        except Unreachable as error:
            official = self.named.get(OFFICIAL)
            files = f"the official files ({official.layout}) or " if official else ""
            raise NotHere(f"{error}; pass --data-dir D with {files}a copy ({self.named[name].layout}).") from None
        if not loaded.records:
            raise UserError(f"{name} holds no items; fetch it again.")
        data = Dataset.from_list(loaded.records, features=FEATURES)
        if on_read:
            on_read(data, Provenance(name, loaded.revision, loaded.files))
        return {self.split: data}

    @property
    def hub(self) -> list[str]:
        """The hub data sets; the first is the default."""
        return [name for name in self.named if name != OFFICIAL]

    def _choose(self, data_dir: str | None, source: str | None) -> str:
        asked = [part.strip() for part in (source or "").split(",") if part.strip()]
        if asked:
            known = [name for name in asked if name in self.named]
            if not known:
                raise unknown("source", asked[0], self.named)
            return known[0]
        if data_dir:
            # Official where there is nothing at all: the error then says which files were expected.
            order = [OFFICIAL, *self.hub] if OFFICIAL in self.named else self.hub
            return next((name for name in order if self.named[name].held(data_dir)), order[0])
        return [*self.hub, OFFICIAL][0]


def convert_rows(rows: Iterable[tuple[Place, Any]], root: Path, convert: Convert, where: str) -> list[Record]:
    """The records of (place, values) rows; ``DataError`` with all rows that break the schema or share an id."""
    records, problems, seen, counts = [], [], dict[str, Place](), Counter[tuple[str, str]]()
    for place, values in rows:
        row = SourceRow(place, values, root, counts)
        item = convert(row)
        row.confine(item)
        if item["id"] in seen and not row.problems:
            row.problem(f"has the id of {seen[item['id']]} ({item['id']!r:.80})")
        seen.setdefault(item["id"], place)
        # A row that is no object also lacks every field: one message is enough.
        said = row.problems if isinstance(values, dict) else row.problems[:1]
        problems += [f"{place}: {problem}" for problem in said]
        records.append(item)
    if problems:
        raise DataError(where, problems)
    return records
