"""A run directory -> report.html: one file with the curves, the votes and every item of a run."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audio_eval.clips import ALLOW, Clips, Hearing
from audio_eval.errors import UserError
from audio_eval.leaderboard import aggregate
from audio_eval.leaderboard.cells import NONE, plain
from audio_eval.leaderboard.columns import columns
from audio_eval.leaderboard.reproduce import command
from audio_eval.leaderboard.runs import Run
from audio_eval.pages import Page
from audio_eval.report.baseline import baseline_of, finished
from audio_eval.report.curves import charts, fates_over_steps
from audio_eval.report.sample import sample_record
from audio_eval.report.votes import reliability
from audio_eval.runlog import RunLog, RunSpec
from audio_eval.runlog.log import Sample
from audio_eval.runlog.spec import ResponsesSpec

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
LISTENED_TO_FIRST = ("broken", "fixed", "kept wrong", None, "kept right")  # where not all sounds can be embedded


def report_page(folder: Path, clips: Clips, against: Path | None = None) -> str:
    """The file's text, with the recordings of its items in ``clips``. Items are set beside those of the run ``against``; None: of the ``direct`` run beside it.

    Works for a run under way, with what there is of it. ``UserError`` where there is no run, or one that is damaged.
    """
    log = RunLog(folder)
    if not log.begun:
        raise UserError(f"'{folder}' has no spec.json: give a run directory, as runs/<name>.")
    spec, samples = log.spec(), list(log.samples())
    run = finished(folder) if log.finished else None
    baseline = against or (baseline_of(run, folder) if run else None)
    names, before, sure = [_name(spec)], dict[str, Sample](), log.confidences()
    if baseline:
        name = _name(RunLog(baseline).spec())
        names.insert(0, name if name != names[0] else baseline.name)
        before = {sample.question.id: sample for sample in RunLog(baseline).samples()}
    records = [
        {**_record(names, before.get(sample.question.id), sample), "sure": sure.get(sample.question.id)}
        for sample in samples
    ]
    hearing = Hearing(log)
    for place in sorted(range(len(samples)), key=lambda place: LISTENED_TO_FIRST.index(records[place]["fate"])):
        records[place]["clips"] = clips.heard(hearing.of(samples[place]))
    data = {
        "arms": list(map(plain, names)),
        "progress": None if run else _progress(log, spec, samples),
        "figures": _figures([finished(baseline), run] if baseline else [run]) if run else [],
        "notes": _notes(log, run),
        "charts": charts(log),
        "fates": fates_over_steps(log),
        "reliability": reliability(samples, sure) if run else [],
        "records": records,
        "sounds": clips.sounds,
        "command": command([run.summary], run.flags) if run else _typed(log),
        "facts": _facts(log, run, baseline),
    }
    model = spec.model if isinstance(spec, RunSpec) else "responses made elsewhere"
    title = f"{plain(_name(spec))} on {plain(spec.task)}"
    seed = f", seed {spec.seed}" if isinstance(spec, RunSpec) else ""
    return PAGE.render(title, data, model=plain(model), seed=seed, headline=_headline(run, baseline))


def _name(spec: RunSpec | ResponsesSpec) -> str:
    """What the run is called beside another: its method, and what it heard in an audio ablation."""
    if not isinstance(spec, RunSpec):
        return spec.name
    method = Path(spec.method).name if "/" in spec.method else spec.method
    return f"{method}, {spec.audio}" if spec.audio else method


def _record(names: Sequence[str], before: Sample | None, sample: Sample) -> dict[str, Any]:
    return sample_record([*([(names[0], before)] if before else []), (names[-1], sample)])


def _headline(run: Run | None, baseline: Path | None) -> str:
    """One sentence: what came out, and whether it is more than ``direct``."""
    if run is None:
        return "This run is under way: items are scored at its end."
    if run.summary.accuracy is None:
        return plain(run.summary.note or "No accuracy.")
    row = aggregate([run, finished(baseline)] if baseline else [run])
    mine = next(one for one in row if run in one.runs)
    told = f"{mine.accuracy:.1f} % of {mine.n} items are right"
    if mine.interval:
        told += f" [{mine.interval.low:.1f}, {mine.interval.high:.1f}]"
    if not (paired := mine.comparison):
        return f"{told}."
    sure = "shown to be more" if paired.low > 0 else "shown to be less" if paired.high < 0 else "not shown to differ"
    return (
        f"{told}: {paired.difference:+.1f} points from direct [{paired.low:+.1f}, {paired.high:+.1f}], {sure}. "
        f"{paired.won:.0f} items were fixed and {paired.lost:.0f} broken."
    )


def _figures(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """What the leaderboard says of these runs: a line per column, with a text for each run."""
    rows = aggregate(runs)
    ordered = [next(row for row in rows if run in row.runs) for run in runs]
    shown = [column for column in columns(rows) if column.place == "table" and column.key not in ("label", "seed_count")]
    return [
        {"title": plain(column.title), "legend": plain(column.legend).replace("`", ""), "texts": texts}
        for column in shown
        if set(texts := [plain(column.text(row)) for row in ordered]) != {NONE}
    ]


def _progress(log: RunLog, spec: RunSpec | ResponsesSpec, samples: Sequence[Sample]) -> dict[str, Any]:
    """How far a run under way is: each stage with what is done, and out of how many where that is known."""
    settings: Mapping[str, Any] = spec.method_args if isinstance(spec, RunSpec) else {}
    stages = []
    for path in sorted((log.folder / "adapt").glob("*.jsonl")):
        if path.stem.startswith(("votes", "likelihoods", "orders")):
            with path.open("rb") as file:
                stages.append({"name": plain(path.stem), "done": sum(1 for _ in file), "of": len(samples)})
    steps = [record.step for record in log.steps.read()]
    if steps or isinstance(settings.get("steps"), int):
        stages.append({"name": "steps", "done": max(steps, default=0), "of": settings.get("steps")})
    answered = sum(sample.response is not None for sample in samples)
    stages.append({"name": "answers", "done": answered, "of": len(samples)})
    written = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    return {"stages": stages, "written": written}


def _notes(log: RunLog, run: Run | None) -> list[str]:
    """What a reader must know of the run, in sentences."""
    if run is None:
        return []
    notes, found = run.summary.notes, [f"It is {tag}." for tag in run.tags]
    found += list(map(str, notes.get("warnings", [])))
    if "stopped" in notes:
        found.append(f"The training ended early, {notes['stopped']}.")
    for key, told in (("unreadable", "recordings could not be read; the items count as wrong"),
                      ("truncated", "recordings are longer than the model's window and were cut"),
                      ("stray_golds", "answers are none of their options, so that no response can be right"),
                      ("missing", "items have no response")):  # fmt: skip
        if notes.get(key):
            found.append(f"{len(notes[key])} {told}.")
    return list(map(plain, found))


def _typed(log: RunLog) -> str:
    environment = log.environment()
    return plain(" ".join(environment.command)) if environment else ""


def _facts(log: RunLog, run: Run | None, baseline: Path | None) -> list[list[str]]:
    """Where the numbers are from, as pairs of a name and a text."""
    environment, found = log.environment(), []
    if run:
        row = aggregate([run])[0]
        found = [[plain(column.title), plain(column.text(row))] for column in columns([row]) if column.place == "sources"]
        found.append(["device", plain(run.summary.device or "")])
    if environment:
        found += [["began", environment.started], ["platform", environment.platform],
                  ["threads", str(environment.threads)]]  # fmt: skip
    found.append(["compared with", plain(baseline.name) if baseline else ""])
    return [[name, text] for name, text in found if text and text != NONE]
