"""The columns of a leaderboard: what each says of a row, raw for machines and as text for readers.

A new column is one entry of ``COLUMNS``; every format then has it, with its legend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from audio_eval.leaderboard.cells import NONE, plain, signed
from audio_eval.leaderboard.column import Column, data_column, source_column
from audio_eval.leaderboard.cost import COST
from audio_eval.leaderboard.labels import is_label_kind
from audio_eval.leaderboard.overview import HIDDEN
from audio_eval.leaderboard.places import BESIDE, RANK
from audio_eval.leaderboard.row import Row
from audio_eval.leaderboard.runs import BASELINE
from audio_eval.scoring.statistics import Comparison
from audio_eval.usage import total


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


def _items(row: Row) -> str:
    return f"{row.n} ({row.failed} failed)" if row.failed else str(row.n)


def _difference(row: Row) -> str:
    if (paired := row.comparison) is None:
        return "baseline" if row.baseline and row.accuracy is not None else NONE
    common = f" n={paired.n}" if paired.n != row.n else ""
    return f"{signed(paired.difference)} [{signed(paired.low)}, {signed(paired.high)}]{common}"


def _seed_deviation(row: Row) -> str:
    if row.seed_deviation is None:
        return "one" if row.one_seed and row.accuracy is not None else NONE
    return f"{row.seed_deviation:.1f}"


def _share(percent: float | None) -> str:
    return f"{percent:.1f}" if percent else NONE


def p_text(p_value: float | None) -> str:
    """A p-value as tables show it, which is never zero."""
    return NONE if p_value is None else "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


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


def _usage(row: Row) -> dict[str, Any] | None:
    """Requests, tokens and cost; None where no server answered."""
    used = total(run.summary.usage for run in row.runs)
    return used.model_dump(exclude_defaults=True) if used else None


def _adapters(row: Row) -> list[str]:
    return [run.summary.adapter_sha256 for run in row.runs if run.summary.adapter_sha256]


COLUMNS: list[Column] = [
    Column("label", "method", "", lambda row: row.label, lambda row: row.label, terminal=True, right=False),
    data_column("model", "the model", lambda row: row.model),
    data_column("method", "the method without what the label adds", lambda row: row.method),
    data_column("task", "the task", lambda row: row.task),
    *RANK,
    Column(
        "accuracy", "accuracy [95 % CI]",
        "percent of all n items, mean over seeds; a response without a readable answer counts as wrong. Interval: "
        "Wilson's, for other items of this kind and other seeds; items that share a recording count together.",
        lambda row: row.accuracy, _accuracy, terminal=True,
    ),
    data_column("accuracy_low", "lower end of its 95 % interval", lambda row: row.interval and row.interval.low),
    data_column("accuracy_high", "upper end of its 95 % interval", lambda row: row.interval and row.interval.high),
    Column(
        "seed_deviation", "seed SD",
        "standard deviation of the accuracy between seeds, in points; `one`: a single seed, on which all figures of "
        "the row are conditional.",
        lambda row: row.seed_deviation, _seed_deviation, terminal=True,
    ),
    data_column("one_seed", "all figures of the row are conditional on its only seed", lambda row: row.one_seed),
    Column("seed_count", "seeds", "", lambda row: len(row.seeds), lambda row: str(len(row.seeds))),
    Column("n", "n", "", lambda row: row.n, _items, terminal=True),
    Column(
        "difference", f"Δ {BASELINE}",
        f"points above `{BASELINE}` on the same items, with the same model, prompt, scorer and data. `n=` stands where "
        "only some items are shared. Interval: 95 %, Tango's for pairs, for other items of this kind and other seeds.",
        lambda row: _of(row, "difference"), _difference, terminal=True,
    ),
    data_column("difference_low", "lower end of its 95 % interval", lambda row: _of(row, "low")),
    data_column("difference_high", "upper end of its 95 % interval", lambda row: _of(row, "high")),
    data_column("difference_n", f"items shared with {BASELINE}", lambda row: _of(row, "n")),
    data_column("difference_recordings", "different recordings among them", lambda row: _of(row, "recordings")),
    Column(
        "p_value", "p",
        f"how probable so large a difference is if the method is no better or worse than `{BASELINE}`. Exact McNemar "
        "test for one seed against one, sign flips of whole recordings where items share them, and the score test of "
        "the interval where several seeds differ.",
        lambda row: _of(row, "p_value"), lambda row: p_text(_of(row, "p_value")),
    ),
    Column(
        "p_holm", "p (Holm)", f"p, adjusted for all rows of this table that are compared with `{BASELINE}` (Holm).",
        lambda row: row.p_holm, lambda row: p_text(row.p_holm),
    ),
    data_column("family", "number of comparisons that p_holm is adjusted for", lambda row: row.family),
    Column(
        "equivalent", "equivalent",
        f"whether the difference from `{BASELINE}` is shown to be within the margin, with p of two one-sided tests. "
        "A `no` beside a large p says that the data decide neither way.",
        lambda row: row.comparison and row.comparison.equivalent,
        _compared(lambda c: f"{'yes' if c.equivalent else 'no'} ±{c.margin:g} ({p_text(c.p_equivalent)})"),
    ),
    data_column("p_equivalent", "p of a difference as large as the margin", lambda row: _of(row, "p_equivalent")),
    data_column("margin", "margin of equivalence in points", lambda row: _of(row, "margin")),
    Column(
        "detectable", "detectable Δ",
        f"smallest difference from `{BASELINE}` in points that items and seeds like these show with a probability of "
        "80 %.",
        lambda row: _of(row, "detectable"), _compared(lambda c: f"{c.detectable:.1f}"),
    ),
    Column(
        "from_unparsable", "Δ from unparsable / wrong",
        f"the two parts of Δ {BASELINE}: from responses that could not be read and from wrong options, each made right "
        "minus the reverse.",
        lambda row: _of(row, "from_unparsable"),
        _compared(lambda c: f"{signed(c.from_unparsable)} / {signed(c.from_wrong)}"),
    ),
    data_column("from_wrong", "the part that is from wrong options", lambda row: _of(row, "from_wrong")),
    Column(
        "learned", "learned / corrupted",
        f"items that `{BASELINE}` has wrong and the method right, and the reverse; means over pairs of seeds.",
        lambda row: row.fates and row.fates.learned,
        lambda row: NONE if row.fates is None else f"{row.fates.learned:.0f} / {row.fates.corrupted:.0f}",
    ),
    data_column("corrupted", "items that the baseline has right and the method wrong",
          lambda row: row.fates and row.fates.corrupted),
    data_column("kept_right", "items that both have right", lambda row: row.fates and row.fates.kept_right),
    data_column("kept_wrong", "items that both have wrong", lambda row: row.fates and row.fates.kept_wrong),
    data_column("fates_by_confidence", "the same by bins of the vote's confidence",
          lambda row: [{"from": b.low, "to": b.high, **b.fates._asdict()} for b in row.fates_by_confidence]),
    Column(
        "readable_accuracy", "right of readable", "accuracy in percent of the responses that could be read.",
        lambda row: row.readable_accuracy, lambda row: _share(row.readable_accuracy), terminal=True,
    ),
    Column(
        "unparsable", "unparsable %", "responses in which no answer could be read.",
        lambda row: row.unparsable, lambda row: f"{row.unparsable:.1f}", terminal=True,
    ),
    Column(
        "untagged", "no tags %", "the part of them without the `<answer>` tags that the prompt asks for.",
        lambda row: row.untagged, lambda row: _share(row.untagged),
    ),
    Column(
        "not_an_option", "not an option %",
        "the part of them that says something which is not exactly one of the options offered.",
        lambda row: row.not_an_option, lambda row: _share(row.not_an_option),
    ),
    Column(
        "official", "official", "accuracy by the benchmark's own rule, on the n items that it keeps.",
        lambda row: row.official, _official,
    ),
    data_column("official_n", "items that the benchmark's own rule keeps, the lowest over seeds",
          lambda row: row.official_n and row.official_n[0]),
    data_column("official_rule", "name of the benchmark's own rule", lambda row: row.official_rule),
    *BESIDE,
    *COST,
    Column(
        "notes", "notes",
        "`transductive` adapted on the scored items without their answers; `audio: ...` did not hear the recordings. "
        "Such an audio ablation hears silence, another item's recording (shuffled) or nothing (none), and is compared "
        f"with the `{BASELINE}` that hears them.",
        notes, lambda row: ", ".join(notes(row)) or NONE, terminal=True, right=False,
    ),
    data_column("transductive", "adapted on the scored items without their answers",
          lambda row: "transductive" in row.tags),
    data_column("trained_on", "the task whose labels were learned from", lambda row: row.runs[0].summary.trained_on),
    source_column("settings", "settings", "those that are not the method's usual ones", lambda row: dict(row.settings)),
    source_column("tags", "tags", "everything that was said of how the run was made", lambda row: list(row.tags)),
    source_column("seeds", "seeds", "", lambda row: list(row.seeds)),
    source_column("prompt", "prompt", "", lambda row: row.prompt),
    source_column("scorer", "scorer", "", lambda row: row.scorer),
    source_column("data_revision", "data", "", lambda row: row.data_revision),
    source_column("audio_revision", "recordings", "", lambda row: row.runs[0].summary.audio_revision),
    source_column("model_revision", "model revision", "", lambda row: row.model_revision),
    Column("adapter", "adapter", "sha256 of the trained weights", _adapters,
           lambda row: ", ".join(digest[:12] for digest in _adapters(row)) or NONE, place="sources"),
    source_column("graders", "graders", "", lambda row: row.runs[0].summary.graders),
    source_column("versions", "versions", "of Python and packages", lambda row: dict(row.runs[0].versions) or None),
    source_column("commits", "commit", "of the code", lambda row: sorted({r.commit for r in row.runs if r.commit})),
    source_column("runs", "runs", "", lambda row: [run.name for run in row.runs]),
    source_column("remarks", "remarks", "", lambda row: sorted({r.summary.note for r in row.runs if r.summary.note})),
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
    """All columns of these rows: ``COLUMNS``, with groups of items and further metrics at their places, and usage."""
    groups = [_group(name) for name in dict.fromkeys(name for row in rows for name in row.groups)]
    if groups:
        groups.append(_average())
    metrics = [_metric(name) for name in dict.fromkeys(name for row in rows for name in row.metrics)]
    found: list[Column] = []
    for column in COLUMNS:
        found += groups if column.key == "accuracy" else metrics if column.key == "samples" else []
        found.append(column)
    if any(_usage(row) for row in rows):
        found.append(source_column("usage", "usage", "what a server says that the answers took, all seeds", _usage))
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
