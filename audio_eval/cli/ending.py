"""The end of a command that ran something: one panel on a terminal, plain lines elsewhere.

The table is data and goes to stdout. What ran, how long, what it took, where it is and the next command go with it
into the panel, or to stderr where stdout is not a terminal that can be drawn on.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from audio_eval.errors import UserError
from audio_eval.redact import redacted_text
from audio_eval.runlog import ResultRow, RunLog
from audio_eval.terminal import draws, is_unicode, plain, say, say_json
from audio_eval.usage import total

SHOWN = 3  # names in a line


def show(folders: Sequence[Path], seconds: float, as_json: bool) -> None:
    """Print the results of the runs in ``folders``, which this command took ``seconds`` for.

    With ``as_json`` nothing but one JSON object with the rows is printed.
    """
    results = [RunLog(folder).result().audio_eval for folder in folders]
    if as_json:
        say_json({"rows": [row.model_dump() for row in results]})
        return
    from audio_eval.leaderboard import aggregate, load_runs, terminal_table

    runs, skipped = load_runs(folders)
    if skipped:
        raise UserError("; ".join(skipped))
    table = terminal_table(aggregate(runs)).splitlines()
    about = [f"{name + ':':<8} {text}" for name, text in summary(results, folders, seconds).items()]
    if not _panel(table, about):
        say(*table)
        say("", *about, err=True)


def summary(rows: Sequence[ResultRow], folders: Sequence[Path], seconds: float) -> dict[str, str]:
    """What to say of finished runs, by name; what is not known is left out. ``seconds`` are those of the command."""
    from audio_eval.leaderboard.cells import duration

    walls, counted = (
        [getattr(row, key) for row in rows if getattr(row, key) is not None] for key in ("wall_s", "samples")
    )
    own = [duration(sum(walls))] * bool(walls) + [f"{sum(counted):,} completions"] * bool(counted)
    found = {
        "ran": f"{_names(row.model for row in rows)}: {_names(row.method for row in rows)} on "
        f"{_names(row.task for row in rows)}, seed {_names(str(row.seed) for row in rows)}",
        "time": duration(seconds) + (f"; of the runs themselves {', '.join(own)}" if own else ""),
    }
    if used := total(row.usage for row in rows):
        least = "at least " if used.untold else ""
        found["tokens"] = (
            f"{least}{used.prompt_tokens:,} read ({used.audio_tokens:,} of sound), {used.completion_tokens:,} written, "
            f"in {used.requests:,} requests"
        )
        if used.cost is not None:
            found["cost"] = f"{least}{used.cost:.4g}, by the prices that were given"
    reports = [str(folder / "report.html") for folder in folders if (folder / "report.html").is_file()]
    if reports:
        found["report"] = _names(reports)
    else:
        found["where"] = str(folders[0]) if len(folders) == 1 else _names(str(folder.parent) for folder in folders)
    return found | {"next": _next(rows, folders)}


def _next(rows: Sequence[ResultRow], folders: Sequence[Path]) -> str:
    for row, folder in zip(rows, folders, strict=True):
        if row.accuracy is None and (folder / "submission.json").is_file():
            place = shlex.quote(str(folder))
            return f"send {folder / 'submission.json'} to the benchmark's server, then audio-eval report-score {place}"
    parents = dict.fromkeys(shlex.quote(str(folder.parent)) for folder in folders)
    return f"audio-eval leaderboard {' '.join(parents)} -o tables"


def _names(names: Iterable[str]) -> str:
    found = [plain(name) for name in dict.fromkeys(names)]
    return ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")


def _panel(table: Sequence[str], about: Sequence[str]) -> bool:
    """Draw both in a frame, if stdout can be drawn on and the tables fit; the legend below them may be wrapped."""
    if not draws(sys.stdout) or not is_unicode(sys.stdout):
        return False
    from rich.cells import cell_len
    from rich.console import Console, Group
    from rich.panel import Panel
    from rich.rule import Rule
    from rich.text import Text

    console = Console(file=sys.stdout)
    frame = 4  # its sides
    legend = len(table) - list(reversed(table)).index("")  # after the last empty line
    if console.width < max(map(cell_len, table[:legend])) + frame:
        return False
    # Text, not a string: brackets in a name are no markup. Control characters are gone from both parts.
    shown = [Text(redacted_text(line)) for line in (*table, *about)]
    body = Group(*shown[: len(table)], Rule(style="dim"), *shown[len(table) :])
    console.print(Panel(body, title="audio-eval", border_style="green", expand=False))
    return True
