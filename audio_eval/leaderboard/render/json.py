"""Rows -> JSON: what every column means, and typed values."""

from __future__ import annotations

import json
from collections.abc import Sequence

from audio_eval.leaderboard.columns import columns
from audio_eval.leaderboard.published import Published
from audio_eval.leaderboard.rows import Row


def page(rows: Sequence[Row], published: Sequence[Published] = ()) -> str:
    """``columns`` (key, title, legend) and ``rows`` (key -> number, text, list, mapping, or null where not known).

    ``reported`` are the published figures, where there are any, which were not measured here.
    """
    found = columns(rows)
    told = [{"key": column.key, "title": column.title, "legend": column.legend} for column in found]
    values = [{column.key: column.value(row) for column in found} for row in rows]
    others = [{**row.model_dump(), "remark": row.remark} for row in published]
    whole = {"columns": told, "rows": values} | ({"reported": others} if others else {})
    return json.dumps(whole, indent=1) + "\n"
