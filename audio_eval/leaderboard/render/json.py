"""Rows -> JSON: what every column means, and typed values."""

from __future__ import annotations

import json
from collections.abc import Sequence

from audio_eval.leaderboard.columns import columns
from audio_eval.leaderboard.rows import Row


def page(rows: Sequence[Row]) -> str:
    """``columns`` (key, title, legend) and ``rows`` (key -> number, text, list, mapping, or null where not known)."""
    found = columns(rows)
    told = [{"key": column.key, "title": column.title, "legend": column.legend} for column in found]
    values = [{column.key: column.value(row) for column in found} for row in rows]
    return json.dumps({"columns": told, "rows": values}, indent=1) + "\n"
