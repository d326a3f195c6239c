"""Figures that others have reported: checked, shown beside what was measured here, and never ranked with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from audio_eval.errors import UserError
from audio_eval.leaderboard.cells import NONE, cell, table
from audio_eval.runlog.lines import Lines

# Items per group, for the average that the groups must give. MMAU test's parts are not published; its averages are
# those of three equal parts.
_MMAU_MINI = {"sound": 333, "music": 334, "speech": 333}
SIZES = {
    "mmau_test_mini": _MMAU_MINI,
    "mmau_test_mini_original": _MMAU_MINI,
    "mmau_test": {"sound": 3000, "music": 3000, "speech": 3000},
    "mmar": {
        "sound": 165, "music": 206, "speech": 294, "mix-sound-music": 11, "mix-sound-speech": 218,
        "mix-music-speech": 82, "mix-sound-music-speech": 24,
    },
    "mmsu": {"Perception": 2580, "Reasoning": 2420},
}  # fmt: skip
ROUNDING = 0.06  # points: an average that is printed with one decimal, of groups that are printed with two
INTRODUCTION = (
    "Figures of other people, from the source that is named: other prompts, scorers and often other decoding, mostly "
    "without an interval. They were not measured here, so they are not ranked with what was, nor across versions of "
    "the data."
)

M = TypeVar("M", bound=BaseModel)
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class Published(BaseModel):
    """A published accuracy in percent, with the ``groups`` that were published with it.

    ``version`` is that of the data and ``method`` that of the system, None where the source does not say.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    task: str = Field(min_length=1)
    version: str | None = None
    model: str = Field(min_length=1)
    method: str | None = None
    accuracy: Percent
    groups: dict[str, Percent] = {}
    source: str = Field(min_length=1)

    @property
    def average(self) -> float | None:
        """The accuracy over all items that the groups give; None where not all groups of the task are there."""
        sizes = SIZES.get(self.task, {})
        if not sizes or self.groups.keys() != sizes.keys():
            return None
        return sum(self.groups[name] * n for name, n in sizes.items()) / sum(sizes.values())

    @property
    def remark(self) -> str:
        """What is wrong with the figure in itself; "" where nothing is."""
        average = self.average
        if average is None or abs(average - self.accuracy) <= ROUNDING:
            return ""
        return f"its groups give {average:.2f}"


def read_whole(path: Path, model: type[M]) -> list[M]:
    """The records of a file that people may have edited; empty where there is no file.

    ``UserError`` names the first record that is damaged. A last line without an end is one too: nothing is dropped.
    """
    if path.is_file() and path.read_bytes()[-1:] not in (b"\n", b""):
        raise UserError(f"'{path}' has no end of line after its last record: add it, or restore the file from git.")
    return Lines(path, model).read()


def read_published(path: Path) -> list[Published]:
    """The records of a file of published figures.

    ``UserError`` names the first record that is damaged, out of range, without a source, or there twice.
    """
    found = read_whole(path, Published)
    lines: dict[tuple[str | None, ...], int] = {}
    for number, row in enumerate(found, start=1):
        key = (row.task, row.version, row.model.casefold(), row.method, row.source)
        if (first := lines.setdefault(key, number)) != number:
            raise UserError(
                f"'{path}': records {first} and {number} are the same system from the same source ({row.model}, "
                f"{row.task}): tell them apart by model or method, or remove one."
            )
    return found


def published_tables(rows: Iterable[Published]) -> str:
    """Markdown: one table per version of the data, each ordered by accuracy; "" without rows."""
    versions: dict[str, list[Published]] = defaultdict(list)
    for row in rows:
        versions[row.version or "not stated"].append(row)
    sections = [f"\n### Data version: {cell(name)}\n\n{_table(versions[name])}\n" for name in sorted(versions)]
    return f"\n## Reported by others\n\n{INTRODUCTION}\n{''.join(sections)}" if sections else ""


def _table(rows: Sequence[Published]) -> str:
    groups = list(dict.fromkeys(name for row in rows for name in row.groups))
    lines = [
        [cell(row.model), cell(row.method or NONE), f"{row.accuracy:.2f}",
         *(f"{row.groups[name]:.2f}" if name in row.groups else NONE for name in groups), "reported",
         cell(row.source) + (f"; {row.remark}" if row.remark else "")]
        for row in sorted(rows, key=lambda row: (-row.accuracy, row.model, row.method or "", row.source))
    ]  # fmt: skip
    headers = ["model", "method", "accuracy", *map(cell, groups), "status", "source"]
    return table(lines, headers, "github", right=range(2, 3 + len(groups)))
