"""Rows -> JSON: what every column means, and typed values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from audio_eval.leaderboard.columns import columns
from audio_eval.leaderboard.published import Published
from audio_eval.leaderboard.row import Row


def page(rows: Sequence[Row], published: Sequence[Published] = (), left_out: Sequence[str] = ()) -> str:
    """``columns`` (key, title, legend) and ``rows`` (key -> number, text, list, mapping, or null where not known).

    ``reported`` are the published figures, which were not measured here, and ``left_out`` says of runs why they are in
    no row; each is there where there are any.
    """
    found = columns(rows)
    told = [{"key": column.key, "title": column.title, "legend": column.legend} for column in found]
    values = [{column.key: column.value(row) for column in found} for row in rows]
    others = [{**row.model_dump(), "remark": row.remark} for row in published]
    whole: dict[str, Any] = {"columns": told, "rows": values}
    whole |= {key: found for key, found in (("reported", others), ("left_out", list(left_out))) if found}
    return json.dumps(whole, indent=1) + "\n"
