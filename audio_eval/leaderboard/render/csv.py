"""Rows -> CSV: every column, one line per row, numbers unrounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from audio_eval.leaderboard.cells import plain
from audio_eval.leaderboard.columns import columns
from audio_eval.leaderboard.labels import shown
from audio_eval.leaderboard.row import Row

_FORMULA = ("=", "+", "-", "@")


def page(rows: Sequence[Row]) -> str:
    """One line of keys, then one line per row; what is not known is empty."""
    found = columns(rows)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_entry(column.key) for column in found)
    writer.writerows([_entry(column.value(row)) for column in found] for row in rows)
    return file.getvalue()


def _entry(value: Any) -> Any:
    """A number as it is; anything else as text that no spreadsheet takes for a formula."""
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, dict):
        value = "; ".join(f"{key}={shown(item)}" for key, item in value.items())
    elif isinstance(value, list):
        value = "; ".join(map(str, value))
    text = plain(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
