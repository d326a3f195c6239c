"""The columns of a row's place: among the other rows, without the recordings, and beside what others report."""

from __future__ import annotations

from audio_eval.leaderboard.cells import NONE
from audio_eval.leaderboard.column import Column, data_column
from audio_eval.leaderboard.row import Row


def _rank(row: Row) -> str:
    if (place := row.standing) is None:
        return NONE
    return str(place.best) if place.best == place.worst else f"{place.best}–{place.worst}"  # noqa: RUF001


RANK = [
    Column(
        "rank_best", "rank", "the places that the row may have among those it is ranked with, at 95 %.",
        lambda row: row.standing and row.standing.best, _rank,
    ),
    data_column("rank_worst", "the lowest of these places", lambda row: row.standing and row.standing.worst),
    Column(
        "tie", "tie", "rows that share a letter are not shown to differ.",
        lambda row: row.standing and row.standing.tie, lambda row: row.standing.tie if row.standing else NONE,
        right=False,
    ),
    Column(
        "apart", "not ranked because", "why the row is ranked with no other.",
        lambda row: row.apart, lambda row: row.apart or NONE, right=False,
    ),
]  # fmt: skip


def _retained(row: Row) -> str:
    return ", ".join(f"{heard} {percent:.0f}" for heard, percent in sorted(row.retained.items())) or NONE


def _reported(row: Row) -> str:
    return ", ".join(f"{found.accuracy:g}" for found in row.reported) or NONE


BESIDE = [
    Column(
        "retained", "kept without audio %",
        "percent of the accuracy that is left in the arms that hear silence, another item's recording or nothing.",
        lambda row: dict(row.retained) or None, _retained,
    ),
    Column(
        "reported", "reported",
        "accuracy that others report for the same model and method on this task; sources are below. Their prompt, "
        "scorer and decoding may be others.",
        lambda row: [f"{found.accuracy:g} ({found.source})" for found in row.reported] or None, _reported,
    ),
]  # fmt: skip
