"""Rows -> markdown tables, each with a legend and the provenance of every number, and a narrower one for terminals."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from audio_eval.errors import UserError
from audio_eval.leaderboard.breakdown import breakdowns
from audio_eval.leaderboard.cells import NONE, cell, plain, table
from audio_eval.leaderboard.rows import BASELINE, Row
from audio_eval.store import write_atomic

HIDDEN = "hidden"
# Their accuracy says nothing about real audio-language models.
EMBEDDED_MODELS = frozenset({"tiny-omni", "tiny-audio"})

_LEGEND = """\
Scorer: {scorers}. Prompt: {prompts}. Data revision: {revisions}.

- accuracy: percent of all n items, the mean over seeds; an unparsable response is wrong and stays in n. 95 % \
interval: Wilson for one seed; for several, percentile bootstrap over items of the mean over seeds.
- Δ direct: points above `{baseline}` of the same model with the same prompt, scorer and data, paired by item (`n` \
where not all items are shared). 95 % interval: paired bootstrap over items. p: exact McNemar for one seed \
against one, else paired sign-flip permutation test.
- format / answers: the two parts of Δ direct. Format: unparsable before, right after, minus the reverse; answers: a \
wrong option before, right after, minus the reverse.
- samples: completions a run sampled, adaptation included. A transductive method adapted on the items it is scored on, \
without their answers: compare it with `majority_vote`, whose samples are its votes, at as many samples. time: \
wall time of a run."""


_METRICS = """\
further figures, 0 to 100, means over the n items that have them: bleu (sacrebleu, sentence), rouge_l, exact (all of \
it), similarity (cosine of embeddings), grade (a judge's 0 to 10, times 10), preference (a judge's, against the \
baseline's output: the raw win rate), length_adjusted_win_rate (our own regression, not AlpacaEval's LC win rate)."""


_ARMS = """\
audio: a control arm, what the model scores without hearing the recordings: silence of their length, shuffled (each \
item hears another item's), none (text only). It is compared with the `{baseline}` that hears them."""


def task_table(rows: Sequence[Row]) -> str:
    """The table of one task with its legend and the provenance of each row, in the order of ``rows``."""
    labels = list(dict.fromkeys(label for row in rows for label in row.groups))
    average = ["avg"] if labels else []
    headers = ["model", "method", *map(cell, labels), *average, "accuracy [95 % CI]", "n", "Δ direct"]
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
    headers += ["format / answers", "unparsable %", "official", *map(cell, metrics), "samples", "time", "tags"]
    lines = []
    for row in rows:
        groups = [_percent(row.groups.get(label), row) for label in labels]
        macro = [_percent(row.macro, row)] if labels else []
        official = NONE if row.official is None else f"{row.official:.1f} (n {_span(row.official_n)})"
        line = [cell(row.model), cell(row.method), *groups, *macro, _accuracy(row), str(row.n), _difference(row)]
        line += [_split(row), f"{row.unparsable:.1f}", official, *(_metric(row, name) for name in metrics)]
        line += [_samples(row), _time(row.wall_s)]
        lines.append([*line, cell(", ".join(row.tags)) or NONE])
    body = table(lines, headers, "github", right=range(2, len(headers) - 1))
    provenance = "\n".join(f"{number}. {_provenance(row)}" for number, row in enumerate(rows, start=1))
    return f"{body}\n\n{_legend(rows)}\n\nRows, from the top:\n\n{provenance}\n{breakdowns(rows)}"


def all_table(rows_by_task: Mapping[str, Sequence[Row]]) -> str:
    """Model and method against tasks: accuracy, and the unweighted mean over the tasks whose answers are known.

    A cell with several accuracies (other prompt, scorer, data revision or items) shows them all and has no mean.
    """
    tasks = list(rows_by_task)
    scored = [task for task in tasks if any(row.accuracy is not None for row in rows_by_task[task])]
    entries: dict[tuple[str, str, tuple[str, ...]], dict[str, list[Row]]] = {}
    for task in tasks:
        for row in rows_by_task[task]:
            entries.setdefault((row.model, row.method, row.tags), {}).setdefault(task, []).append(row)
    full = {task: max((row.n for row in rows_by_task[task]), default=0) for task in tasks}
    ranked = []
    for (model, method, tags), by_task in entries.items():
        single = [rows[0] for task in scored if len(rows := by_task.get(task, [])) == 1 and rows[0].n == full[task]]
        known = [row.accuracy for row in single if row.accuracy is not None]
        mean = fmean(known) if known and len(known) == len(scored) else None
        cells = [_entry(by_task.get(task, []), full[task]) for task in tasks]
        line = [
            cell(model),
            cell(method),
            *cells,
            NONE if mean is None else f"{mean:.1f}",
            cell(", ".join(tags)) or NONE,
        ]
        ranked.append(((mean is None, -(mean or 0.0), model, method, tags), line))
    headers = ["model", "method", *map(cell, tasks), "mean", "tags"]
    body = table([line for _, line in sorted(ranked)], headers, "github", right=range(2, len(headers) - 1))
    demo = _demo_note(row for rows in rows_by_task.values() for row in rows)
    return (
        f"{body}\n\nAccuracy in percent; intervals, tests, scorer and provenance are on each task's own page. "
        "mean: unweighted over the tasks with known answers, only where each has exactly one number on all its items; "
        f"`(n ...)` marks a number on fewer items, `/` several that differ in prompt, scorer, data or items.{demo}\n"
    )


def terminal_table(rows: Sequence[Row]) -> str:
    """A narrower table for stdout: no groups, no official rule, no provenance."""
    with_task = len({row.task for row in rows}) > 1
    headers = [*(["task"] if with_task else []), "model", "method", "accuracy [95 % CI]", "n", "Δ direct"]
    headers += ["format / answers", "unparsable %", "samples", "time", "tags"]
    lines = []
    for row in rows:
        names = [*([plain(row.task)] if with_task else []), plain(row.model), plain(row.method)]
        numbers = [_accuracy(row), str(row.n), _difference(row), _split(row), f"{row.unparsable:.1f}", _samples(row)]
        lines.append([*names, *numbers, _time(row.wall_s), plain(", ".join(row.tags)) or NONE])
    first = 3 if with_task else 2
    return table(lines, headers, "simple", right=range(first, len(headers) - 1))


def write(rows: Sequence[Row], out_dir: str | Path) -> list[Path]:
    """Write ``<task>.md`` for each task and ``all.md`` below ``out_dir``, each replaced as a whole; returns the paths.

    Raises UserError when there is no row, or when the folder cannot be written.
    """
    if not rows:
        raise UserError("no finished run to make a leaderboard of: give run directories that hold a result.json.")
    by_task: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.task):
        by_task.setdefault(row.task, []).append(row)
    pages = {f"{_file_stem(task)}.md": f"# {cell(task)}\n\n{task_table(of)}" for task, of in by_task.items()}
    pages["all.md"] = f"# All tasks\n\n{all_table(by_task)}"
    folder = Path(out_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in pages.items():
            write_atomic(folder / name, text.encode())
    except OSError as error:
        raise UserError(
            f"cannot write the leaderboard to '{folder}' ({error.strerror}): give another folder."
        ) from error
    return [folder / name for name in pages]


def _legend(rows: Sequence[Row]) -> str:
    def values(of: Iterable[str | None]) -> str:
        return "; ".join(cell(value) for value in dict.fromkeys(value or "not recorded" for value in of))

    lines = [
        _LEGEND.format(
            baseline=BASELINE,
            scorers=values(row.scorer for row in rows),
            prompts=values(row.prompt for row in rows),
            revisions=values(row.data_revision for row in rows),
        )
    ]
    if any(row.groups for row in rows):
        lines.append("- avg: unweighted mean of the groups to its left.")
    rules = dict.fromkeys(row.official_rule for row in rows if row.official_rule)
    if rules:
        lines.append(f"- official: accuracy by the benchmark's own rule, on the n items it keeps ({values(rules)}).")
    if any(row.metrics for row in rows):
        lines.append(f"- {_METRICS}")
    if any(run.summary.audio for row in rows for run in row.runs):
        lines.append(f"- {_ARMS.format(baseline=BASELINE)}")
    if any(row.accuracy is None for row in rows):
        lines.append(f"- {HIDDEN}: the answers of these items are not public, or nobody has judged the responses.")
    return "\n".join(lines) + _demo_note(rows)


def _demo_note(rows: Iterable[Row]) -> str:
    demo = sorted({row.model for row in rows} & EMBEDDED_MODELS)
    if not demo:
        return ""
    return (
        f"\n\n{', '.join(demo)}: an embedded demo model; its numbers are the demo's and say nothing about real models."
    )


def _provenance(row: Row) -> str:
    def per_seed(values: Iterable[str | None]) -> str:
        found = list(values)
        return cell(", ".join(value or "none" for value in (found[:1] if len(set(found)) == 1 else found)))

    parts = [
        f"seed{'s' if len(row.seeds) > 1 else ''} {', '.join(map(str, row.seeds))}",
        f"model revision {cell(row.model_revision or 'not recorded')}",
        f"adapter {per_seed((run.summary.adapter_sha256 or '')[:12] for run in row.runs)}",
        f"scorer {cell(row.scorer or 'not recorded')}",
        f"prompt {cell(row.prompt or 'not recorded')}",
        f"data {cell(row.data_revision or 'not recorded')}",
        f"recordings {cell(row.runs[0].summary.audio_revision or 'not recorded')}",
        f"run{'s' if len(row.runs) > 1 else ''} {cell(', '.join(run.name for run in row.runs))}",
    ]
    parts += [cell(graders) for graders in [row.runs[0].summary.graders] if graders]
    parts += [cell(note) for note in dict.fromkeys(run.summary.note for run in row.runs) if note]
    return f"{cell(row.model)}, {cell(row.method)}: {'; '.join(parts)}"


def _entry(rows: Sequence[Row], full: int) -> str:
    return " / ".join(_percent(row.accuracy, row) + (f" (n {row.n})" if row.n != full else "") for row in rows) or NONE


def _percent(value: float | None, row: Row) -> str:
    if value is not None:
        return f"{value:.1f}"
    return HIDDEN if row.accuracy is None else NONE


def _metric(row: Row, name: str) -> str:
    metric = row.metrics.get(name)
    if metric is None or metric.value is None:
        return NONE
    return f"{metric.value:.1f}" + (f" (n {metric.n})" if metric.n != row.n else "")


def _accuracy(row: Row) -> str:
    if row.accuracy is None or row.interval is None:
        return HIDDEN
    return f"{row.accuracy:.1f} [{row.interval.low:.1f}, {row.interval.high:.1f}]"


def _difference(row: Row) -> str:
    if (paired := row.comparison) is None:
        return "baseline" if row.baseline and row.accuracy is not None else NONE
    p = "p<0.001" if paired.p_value < 0.001 else f"p={paired.p_value:.3f}"
    common = f" n={paired.n}" if paired.n != row.n else ""
    return f"{_signed(paired.difference)} [{_signed(paired.low)}, {_signed(paired.high)}] {p}{common}"


def _split(row: Row) -> str:
    if row.comparison is None:
        return NONE
    return f"{_signed(row.comparison.format_gain)} / {_signed(row.comparison.answer_gain)}"


def _signed(points: float) -> str:
    return f"{round(points, 1) + 0.0:+.1f}"  # + 0.0 turns a rounded -0.0 into +0.0


def _samples(row: Row) -> str:
    return NONE if row.samples is None else f"{row.samples:,.0f}"


def _span(bounds: tuple[int, int] | None) -> str:
    low, high = bounds or (0, 0)
    return str(low) if low == high else f"{low}-{high}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"


def _file_stem(task: str) -> str:
    """The task's name where it is a safe file name, else a safe form of it that no other task has."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", task).lstrip(".")[:100]
    return safe if safe == task and safe != "all" else f"{safe}-{hashlib.sha256(task.encode()).hexdigest()[:8]}"
