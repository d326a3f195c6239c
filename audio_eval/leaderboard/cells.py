"""Texts in tables: names made harmless, numbers, and tables of ready-made cells."""

from __future__ import annotations

import re
from collections.abc import Iterable

from audio_eval.terminal import plain

__all__ = ["NONE", "cell", "duration", "plain", "signed", "table"]

NONE = "—"

# A bracket that makes a link, not that of an interval; no underscore within a word, which GitHub leaves alone.
_MARKDOWN = re.compile(r"[\\`|*~]|\](?=[(\[:])|(?<![^\W_])_+|_+(?![^\W_])")
_BLOCK = re.compile(r"(#{1,6}|[-+]|\d{1,9}[.)]|-{2,}|={2,})(?=\s|$)")  # what opens a heading, a list or a rule
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def cell(text: object) -> str:
    """``plain`` text that markdown shows as it is, inside and outside tables."""
    safe = "".join(_HTML.get(char, char) for char in plain(text))
    return _MARKDOWN.sub(lambda match: "".join("\\" + char for char in match.group()), safe)


def line(text: object) -> str:
    """``cell`` for the beginning of a line or of an item of a list."""
    safe = cell(text)
    return f"{safe[: end - 1]}\\{safe[end - 1 :]}" if (match := _BLOCK.match(safe)) and (end := match.end()) else safe


def signed(points: float) -> str:
    """Points with their sign and one decimal."""
    return f"{round(points, 1) + 0.0:+.1f}"  # + 0.0 turns a rounded -0.0 into +0.0


def duration(seconds: float) -> str:
    """Seconds in the units that suit them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"


def table(lines: list[list[str]], headers: list[str], style: str, right: Iterable[int]) -> str:
    """Rows of ready-made cells in a tabulate style; ``right`` are the columns flush right."""
    from tabulate import tabulate

    align = ["left"] * len(lines[0] if lines else headers)
    for column in right:
        align[column] = "right"
    # Numbers are formatted already; tabulate would drop trailing zeros.
    return tabulate(lines, headers, tablefmt=style, disable_numparse=True, colalign=align if lines else None)
