"""The columns of a leaderboard: what each says of a row, raw for machines and as text for readers.

A new column is one entry of ``COLUMNS``; every format then has it, with its legend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from audio_eval.leaderboard.cells import NONE, duration, plain, signed
from audio_eval.leaderboard.labels import is_label_kind, shown
from audio_eval.leaderboard.rows import BASELINE, Row
from audio_eval.scoring.statistics import Comparison

HIDDEN = "hidden"


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


def _data(key: str, legend: str, value: Callable[[Row], Any]) -> Column:
    return Column(key, key, legend, value, place="data")


def _source(key: str, title: str, legend: str, value: Callable[[Row], Any]) -> Column:
    """A column of the list of sources; its text follows from its value."""

    def text(row: Row) -> str:
        found = value(row)
        if isinstance(found, dict):
            return ", ".join(f"{key}={shown(item)}" for key, item in found.items()) or NONE
        return (", ".join(map(str, found)) if isinstance(found, list) else str(found or "")) or NONE

    return Column(key, title, legend, value, text, place="sources")


def _of(row: Row, figure: str) -> float | None:
    return getattr(row.comparison, figure, None)


def _percent(value: float | None, row: Row) -> str:
    if value is not None:
        return f"{value:.1f}"
    return HIDDEN if row.accuracy is None else NONE


def _accuracy(row: Row) -> str:
    if row.accuracy is None or row.interval is None:
        return HIDDEN
    return f"{row.accuracy:.1f} [{row.interval.low:.1f}, {row.interval.high:.1f}]"


def _difference(row: Row) -> str:
    if (paired := row.comparison) is None:
        return "baseline" if row.baseline and row.accuracy is not None else NONE
    common = f" n={paired.n}" if paired.n != row.n else ""
    return f"{signed(paired.difference)} [{signed(paired.low)}, {signed(paired.high)}]{common}"


def _compared(text: Callable[[Comparison], str]) -> Callable[[Row], str]:
    return lambda row: NONE if row.comparison is None else text(row.comparison)


def _official(row: Row) -> str:
    if row.official is None or row.official_n is None:
        return NONE
    low, high = row.official_n
    return f"{row.official:.1f} (n {low if low == high else f'{low}-{high}'})"


def notes(row: Row) -> list[str]:
    """The tags that must stand beside a number. Which kind of labels it is stands in the label where it differs."""
    return [tag for tag in row.tags if not is_label_kind(tag)]


def _adapters(row: Row) -> list[str]:
    return [run.summary.adapter_sha256 for run in row.runs if run.summary.adapter_sha256]


COLUMNS: list[Column] = [
    Column("label", "method", "", lambda row: row.label, lambda row: row.label, terminal=True, right=False),
    _data("model", "the model", lambda row: row.model),
    _data("method", "the method without what the label adds", lambda row: row.method),
    _data("task", "the task", lambda row: row.task),
    Column(
        "accuracy", "accuracy [95 % CI]",
        "percent of all n items, mean over seeds; a response without a readable answer counts as wrong. "
        "Interval: Wilson for one seed, else bootstrap over items of the mean over seeds.",
        lambda row: row.accuracy, _accuracy, terminal=True,
    ),
    _data("accuracy_low", "lower end of its 95 % interval", lambda row: row.interval and row.interval.low),
    _data("accuracy_high", "upper end of its 95 % interval", lambda row: row.interval and row.interval.high),
    Column("n", "n", "", lambda row: row.n, lambda row: str(row.n), terminal=True),
    Column(
        "difference", f"Δ {BASELINE}",
        f"points above `{BASELINE}` on the same items, with the same model, prompt, scorer and data. `n=` stands where "
        "only some items are shared. Interval: 95 %, paired bootstrap over items.",
        lambda row: _of(row, "difference"), _difference, terminal=True,
    ),
    _data("difference_low", "lower end of its 95 % interval", lambda row: _of(row, "low")),
    _data("difference_high", "upper end of its 95 % interval", lambda row: _of(row, "high")),
    _data("difference_n", f"items shared with {BASELINE}", lambda row: _of(row, "n")),
    Column(
        "p_value", "p",
        f"how probable so large a difference is if the method is no better or worse than `{BASELINE}`. Exact McNemar "
        "test for one seed against one, else paired sign-flip permutation test.",
        lambda row: _of(row, "p_value"), _compared(lambda c: "<0.001" if c.p_value < 0.001 else f"{c.p_value:.3f}"),
    ),
    Column(
        "format_gain", "format / answers",
        f"the two parts of Δ {BASELINE}: unreadable responses that became right, and wrong options that became right. "
        "Each minus the reverse.",
        lambda row: _of(row, "format_gain"),
        _compared(lambda c: f"{signed(c.format_gain)} / {signed(c.answer_gain)}"), terminal=True,
    ),
    _data("answer_gain", "the part of the difference that is answers", lambda row: _of(row, "answer_gain")),
    Column(
        "unparsable", "unparsable %", "responses in which no answer could be read.",
        lambda row: row.unparsable, lambda row: f"{row.unparsable:.1f}", terminal=True,
    ),
    Column(
        "official", "official", "accuracy by the benchmark's own rule, on the n items that it keeps.",
        lambda row: row.official, _official,
    ),
    _data("official_n", "items that the benchmark's own rule keeps, the lowest over seeds",
          lambda row: row.official_n and row.official_n[0]),
    _data("official_rule", "name of the benchmark's own rule", lambda row: row.official_rule),
    Column(
        "samples", "samples", "completions sampled per run, adaptation included. Compare a transductive "
        "method with `majority_vote` at as many samples.",
        lambda row: row.samples, lambda row: NONE if row.samples is None else f"{row.samples:,.0f}", terminal=True,
    ),
    Column(
        "wall_s", "time", "wall time per run, with that of votes which another run had drawn.",
        lambda row: row.wall_s, lambda row: NONE if row.wall_s is None else duration(row.wall_s),
    ),
    Column(
        "notes", "notes",
        "`transductive` adapted on the scored items without their answers; `audio: ...` did not hear the recordings. "
        "Such an audio ablation hears silence, another item's recording (shuffled) or nothing (none), and is compared "
        f"with the `{BASELINE}` that hears them.",
        notes, lambda row: ", ".join(notes(row)) or NONE, terminal=True, right=False,
    ),
    _source("settings", "settings", "those that are not the method's usual ones", lambda row: dict(row.settings)),
    _source("tags", "tags", "everything that was said of how the run was made", lambda row: list(row.tags)),
    _source("seeds", "seeds", "", lambda row: list(row.seeds)),
    _source("prompt", "prompt", "", lambda row: row.prompt),
    _source("scorer", "scorer", "", lambda row: row.scorer),
    _source("data_revision", "data", "", lambda row: row.data_revision),
    _source("audio_revision", "recordings", "", lambda row: row.runs[0].summary.audio_revision),
    _source("model_revision", "model revision", "", lambda row: row.model_revision),
    Column("adapter", "adapter", "sha256 of the trained weights", _adapters,
           lambda row: ", ".join(digest[:12] for digest in _adapters(row)) or NONE, place="sources"),
    _source("graders", "graders", "", lambda row: row.runs[0].summary.graders),
    _source("runs", "runs", "", lambda row: [run.name for run in row.runs]),
    _source("remarks", "remarks", "", lambda row: sorted({r.summary.note for r in row.runs if r.summary.note})),
]  # fmt: skip

METRICS = {
    "bleu": "BLEU of the answer against the gold one (sacrebleu, sentence), 0 to 100.",
    "rouge_l": "ROUGE-L of the answer against the gold one, 0 to 100.",
    "exact": "percent of answers that are the gold one, all of it.",
    "similarity": "cosine of the embeddings of answer and gold answer, times 100.",
    "grade": "a judge's grade of 0 to 10, times 10.",
    "preference": "win rate against the baseline's output by a judge, raw, in percent.",
    "length_adjusted_win_rate": "win rate corrected for length (our own regression, not AlpacaEval's LC win rate).",
}


def columns(rows: Sequence[Row]) -> list[Column]:
    """All columns of these rows: ``COLUMNS``, with the groups of the items and further metrics at their places."""
    groups = [_group(name) for name in dict.fromkeys(name for row in rows for name in row.groups)]
    if groups:
        groups.append(_average())
    metrics = [_metric(name) for name in dict.fromkeys(name for row in rows for name in row.metrics)]
    found: list[Column] = []
    for column in COLUMNS:
        found += groups if column.key == "accuracy" else metrics if column.key == "samples" else []
        found.append(column)
    return found


def _group(name: str) -> Column:
    return Column(
        f"group/{name}", name, "accuracy on the items of this group.",
        lambda row: row.groups.get(name), lambda row: _percent(row.groups.get(name), row),
    )  # fmt: skip


def _average() -> Column:
    return Column(
        "average", "avg", "unweighted mean of the groups to its left.",
        lambda row: row.macro, lambda row: _percent(row.macro, row),
    )  # fmt: skip


def _metric(name: str) -> Column:
    def value(row: Row) -> float | None:
        return row.metrics[name].value if name in row.metrics else None

    def text(row: Row) -> str:
        if (found := value(row)) is None:
            return NONE
        return f"{found:.1f}" + (f" (n {row.metrics[name].n})" if row.metrics[name].n != row.n else "")

    legend = METRICS.get(name, "a further figure, 0 to 100.")
    return Column(f"metric/{name}", name, f"{legend} Mean over the n items that have it.", value, text)


def in_table(rows: Sequence[Row], terminal: bool = False) -> list[Column]:
    """The columns that a reader sees, but for those in which no row has anything."""
    return [
        column
        for column in columns(rows)
        if column.place == "table"
        and (column.terminal or not terminal)
        and any(column.text(row) != NONE for row in rows)
    ]


def legends(shown_columns: Sequence[Column]) -> list[tuple[str, str]]:
    """Titles and legend, columns with the same legend together."""
    titles: dict[str, list[str]] = {}
    for column in shown_columns:
        if column.legend:
            titles.setdefault(column.legend, []).append(plain(column.title))
    return [(", ".join(names), legend) for legend, names in titles.items()]
