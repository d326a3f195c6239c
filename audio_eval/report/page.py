"""A run directory -> report.html: one file with the curves, the votes and every item of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audio_eval.clips import ALLOW, Clips, Hearing
from audio_eval.errors import UserError
from audio_eval.leaderboard import aggregate
from audio_eval.leaderboard.cells import NONE, plain, signed
from audio_eval.leaderboard.columns import columns
from audio_eval.leaderboard.reproduce import command
from audio_eval.leaderboard.row import Row
from audio_eval.leaderboard.runs import BASELINE, Run
from audio_eval.pages.page import Page, Written, written, written_list
from audio_eval.report.baseline import baseline_of, finished
from audio_eval.report.curves import charts, fates_over_steps
from audio_eval.report.progress import progress
from audio_eval.report.sample import sample_record
from audio_eval.report.votes import reliability
from audio_eval.runlog import ResponsesSpec, RunLog, RunSpec, Samples
from audio_eval.runlog.damage import check

PAGE = Page(
    "audio_eval.report",
    "report.html",
    styles=("audio_eval.clips:player.css", "sample.css", "report.css"),
    scripts=(
        "audio_eval.clips:player.js", "lines.js", "sample.js", "counts.js", "overview.js", "curves.js", "items.js",
        "report.js",
    ),
    allow=ALLOW,
)  # fmt: skip
# Columns of tables and of several seeds.
NOT_FIGURES = ("label", "rank_best", "tie", "average", "seed_count", "seed_deviation", "p_holm")
ITEM_NOTES = {
    "unreadable": "recordings could not be read; these items count as wrong",
    "truncated": "recordings are longer than the model's window and were cut",
    "stray_golds": "answers are none of their options, so that no response can be right",
    "missing": "items have no response",
}
LISTENED_TO_FIRST = ("broken", "fixed", "kept wrong", None, "kept right")  # where not all sounds can be embedded


def report_page(folder: Path, clips: Clips, page: Page = PAGE, against: Path | None = None) -> str:
    """The text of ``page`` for a run, with the recordings of its items in ``clips``.

    Items are set beside those of the run ``against``; None: of the ``direct`` run in the same folder of runs. Works for
    a run under way, with what there is of it. ``UserError`` where there is no run, or one that is damaged.
    """
    log = RunLog(folder)
    if not log.begun:
        raise UserError(f"'{folder}' has no spec.json: give a run directory, as runs/<name>.")
    check(log)
    run = finished(folder) if log.finished else None
    spec, samples, sure = log.spec(), log.samples(), log.confidences()
    baseline = against or (baseline_of(run, folder) if run else None)
    names, before = [_name(spec)], None
    if baseline:
        name = _name(RunLog(baseline).spec())
        names.insert(0, name if name != names[0] else baseline.name)
        before = RunLog(baseline).samples()
    rows = _rows([finished(baseline), run] if baseline else [run]) if run else []
    data = {
        "arms": list(map(plain, names)),
        "progress": None if run else progress(log, spec, samples),
        "figures": _figures(rows),
        "notes": _notes(run) if run else [],
        "charts": charts(log),
        "fates": fates_over_steps(log),
        "reliability": reliability(samples, sure) if sure else [],
        "records": _records(names, before, samples, sure, Hearing(log), clips),
        "sounds": clips.sounds,  # after the records, which fill it
        "command": command([run.summary], run.flags) if run else _typed(log),
        "facts": _facts(log, rows[-1] if rows else None, baseline),
    }
    model = spec.model if isinstance(spec, RunSpec) else "responses made elsewhere"
    seed = f", seed {spec.seed}" if isinstance(spec, RunSpec) else ""
    title = f"{plain(_name(spec))} on {plain(spec.task)}"
    return page.render(title, data, model=plain(model), seed=seed, headline=_headline(rows[-1] if rows else None))


def _name(spec: RunSpec | ResponsesSpec) -> str:
    """What the run is called beside another: its method, and what it heard in an audio ablation."""
    if not isinstance(spec, RunSpec):
        return spec.name
    method = Path(spec.method).name if "/" in spec.method else spec.method
    return f"{method}, {spec.audio}" if spec.audio else method


def _records(
    names: Sequence[str], before: Samples | None, samples: Samples, sure: Mapping[str, float], hearing: Hearing,
    clips: Clips,
) -> Written:  # fmt: skip
    """Every item; each is text as soon as it is made, as thousands of them take many times what their texts take."""
    made: list[tuple[str, str | None, Written]] = []  # of each item: its id, its fate, and all but its clips
    for sample in samples:
        id_ = sample.question.id
        arms = [(names[0], other)] if before and (other := before.get(id_)) else []
        record = sample_record([*arms, (names[-1], sample)])
        made.append((id_, record["fate"], written({**record, "sure": sure.get(id_)})))
    heard = [Written()] * len(made)
    for place in sorted(range(len(made)), key=lambda place: LISTENED_TO_FIRST.index(made[place][1])):
        if again := samples.get(made[place][0]):
            heard[place] = written(clips.heard(hearing.of(again)))
    return written_list(
        Written(f'{record.removesuffix("}")},"clips":{sounds}}}')
        for (_, _, record), sounds in zip(made, heard, strict=True)
    )


def _rows(runs: Sequence[Run]) -> list[Row]:
    """A row for each run, compared as in a leaderboard of these alone."""
    rows = aggregate(runs)
    return [next(row for row in rows if run in row.runs) for run in runs]


def _headline(row: Row | None) -> str:
    """What came out, and whether it is more than ``direct``."""
    if row is None:
        return "This run is under way: items are scored at its end."
    if row.accuracy is None or row.interval is None:
        return plain(row.runs[0].summary.note or "No accuracy.")
    told = f"{row.accuracy:.1f} % of {row.n} items are right [{row.interval.low:.1f}, {row.interval.high:.1f}]"
    if not (paired := row.comparison):
        return f"{told}."
    sure = "more" if paired.low > 0 else "less" if paired.high < 0 else ""
    return (
        f"{told}. That is {signed(paired.difference)} points against {BASELINE} [{signed(paired.low)}, "
        f"{signed(paired.high)}]: {f'shown to be {sure}' if sure else 'not shown to differ'}. "
        f"{paired.won:.0f} items were fixed and {paired.lost:.0f} broken."
    )


def _figures(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What a leaderboard says of these rows: a line per column, with a text for each row."""
    found = []
    for column in sorted(columns(rows), key=lambda column: column.key.startswith("group/")):  # these come last
        texts = [plain(column.text(row)) for row in rows]
        if column.place == "table" and column.key not in NOT_FIGURES and set(texts) != {NONE}:
            legend = plain(column.legend).replace("`", "")
            found.append({"title": plain(column.title), "legend": legend, "texts": texts})
    return found


def _notes(run: Run) -> list[str]:
    """What a reader must know of the run, in sentences."""
    notes, found = run.summary.notes, [f"Tagged: {', '.join(run.tags)}."] if run.tags else []
    found += map(str, notes.get("warnings", []))
    if "stopped" in notes:
        found.append(f"The training ended early, {notes['stopped']}.")
    found += [f"{len(notes[key])} {told}." for key, told in ITEM_NOTES.items() if notes.get(key)]
    return list(map(plain, found))


def _typed(log: RunLog) -> str:
    environment = log.environment()
    return plain(" ".join(environment.command)) if environment else ""


def _facts(log: RunLog, row: Row | None, baseline: Path | None) -> list[list[str]]:
    """Where the numbers are from, as pairs of a name and a text."""
    environment, found = log.environment(), []
    if row:
        sources = [column for column in columns([row]) if column.place == "sources"]
        found = [[column.title, column.text(row)] for column in sources]
        found.append(["device", row.runs[0].summary.device or NONE])
    if environment:
        found += [["began", environment.started], ["platform", environment.platform]]
        found.append(["threads", str(environment.threads)])
    if baseline:
        found.append(["compared with", baseline.name])
    return [[plain(name), plain(text)] for name, text in found if text != NONE]
