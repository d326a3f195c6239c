"""Column: what a table, a CSV file or a JSON file says of a row under one key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from audio_eval.leaderboard.cells import NONE
from audio_eval.leaderboard.labels import shown
from audio_eval.leaderboard.row import Row


@dataclass(frozen=True)
class Column:
    """One column.

    ``legend`` is what a reader has to know of it, "" where the title says it all; terminals show its first sentence.
    ``value(row)`` is for csv and json, which have every column: a number, a text, a list or a mapping of them, None
    where it is not known. ``text(row)`` is one line for people, ``NONE`` where there is nothing to say. ``place`` is
    where people see it: in the ``table``, in the list of ``sources`` below it, or nowhere (``data``), since it is part
    of another column's text. ``terminal``: also in the narrower table of the terminal.
    """

    key: str
    title: str
    legend: str
    value: Callable[[Row], Any]
    text: Callable[[Row], str] = lambda row: NONE
    place: Literal["table", "sources", "data"] = "table"
    terminal: bool = False
    right: bool = True


def data_column(key: str, legend: str, value: Callable[[Row], Any]) -> Column:
    """A column that is part of another one's text: only machines read it by itself."""
    return Column(key, key, legend, value, place="data")


def source_column(key: str, title: str, legend: str, value: Callable[[Row], Any]) -> Column:
    """A column of the list of sources; its text follows from its value."""

    def text(row: Row) -> str:
        found = value(row)
        if isinstance(found, dict):
            return ", ".join(f"{key}={shown(item)}" for key, item in found.items()) or NONE
        return (", ".join(map(str, found)) if isinstance(found, list) else str(found or "")) or NONE

    return Column(key, title, legend, value, text, place="sources")
