"""Run directories -> rows: read the finished runs, average the seeds, set each method beside ``direct``."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

from audio_eval.errors import UserError
from audio_eval.leaderboard.labels import Facts, labels
from audio_eval.runlog import ResultRow, RunLog
from audio_eval.scoring.figures import GroupScore, Metric, Official
from audio_eval.scoring.statistics import Comparison, Interval, Outcome, accuracy_interval, compare

# Only with the recordings: in an audio ablation it is a row like any other.
BASELINE = "direct"
# The first is written at the end of a run; the others are there from its beginning.
_FINISHED, _STARTED = "result.json", ("spec.json", "responses.jsonl")


@dataclass(frozen=True)
class Run:
    """One finished run; ``outcomes`` is empty where the answers are hidden."""

    name: str
    summary: ResultRow
    outcomes: tuple[Outcome, ...] = ()


@dataclass(frozen=True)
class Row:
    """A method on a task, averaged over its seeds. Percents are 0..100; ``samples`` and ``wall_s`` are per run.

    ``label`` is its name in the table of its task. ``accuracy`` and ``interval`` are None where the answers are hidden,
    ``comparison`` where there is no comparable ``direct``. ``groups`` is the main breakdown, ``macro`` its unweighted
    mean. ``official`` and ``official_n`` (lowest and highest over seeds) follow the benchmark's own rule. ``settings``
    are those that are not the method's usual ones. ``runs`` are the runs that the row averages, by seed.
    """

    model: str
    method: str
    task: str
    prompt: str | None
    scorer: str | None
    data_revision: str | None
    model_revision: str | None
    seeds: tuple[int, ...]
    n: int
    accuracy: float | None
    interval: Interval | None
    groups: dict[str, float | None]
    macro: float | None
    unparsable: float
    comparison: Comparison | None
    official: float | None
    official_n: tuple[int, int] | None
    official_rule: str | None
    metrics: dict[str, Metric]
    samples: float | None
    wall_s: float | None
    tags: tuple[str, ...]
    settings: dict[str, Any]
    runs: tuple[Run, ...]
    label: str = ""

    @property
    def facts(self) -> Facts:
        """What may tell it from the other rows of a table."""
        first = self.runs[0].summary
        origin = {
            "prompt": self.prompt, "scorer": self.scorer, "data": self.data_revision, "model": self.model_revision,
            "recordings": first.audio_revision, "graders": first.graders or "nobody",
        }  # fmt: skip
        order = (*map(str, self.seeds), *(run.name for run in self.runs))
        return Facts(self.model, self.method, self.settings, self.tags, origin, {"n": str(self.n)}, order)

    @property
    def baseline(self) -> bool:
        """Whether other rows are compared with it."""
        return _is_baseline(self.runs[0].summary)


def load_runs(paths: Iterable[str | Path]) -> tuple[list[Run], list[str]]:
    """Read the run directories among and below ``paths``; returns them and one message for each that was left out.

    Left out are runs that have not finished, that cannot be read, and exact repeats of another run. Raises UserError
    for a path that does not exist.
    """
    runs: dict[Hashable, Run] = {}
    messages: list[str] = []
    folders: dict[Path, Path] = {}
    for path in map(Path, paths):
        if not path.is_dir():
            raise UserError(f"no folder '{path}': give run directories, or a folder that holds some.")
        found = list(_run_folders(path)) or [path]
        folders.update({folder.resolve(): folder for folder in found})
    for resolved, folder in sorted(folders.items()):
        if not RunLog(folder).finished:
            messages.append(f"{folder}: not finished, no result.json; left out.")
            continue
        try:
            run = _load_run(folder, resolved.name)
        except UserError as error:  # it names the file
            messages.append(f"{' '.join(str(error).split())} Left out.")
        except (ValueError, OSError) as error:
            reason = " ".join(str(error).split())
            messages.append(f"{folder}: cannot be read, left out ({reason[:200]}).")
        else:
            same = (_key(run), run.summary.seed, run.summary.adapter_sha256, run.outcomes, run.summary.samples)
            if (first := runs.setdefault(same, run)) is not run:
                messages.append(f"{folder}: the same as {first.name}; left out.")
    return list(runs.values()), messages


def aggregate(runs: Sequence[Run]) -> list[Row]:
    """Average the seeds of each method and compare with ``direct``; best row first within a task, hidden ones last.

    Runs share a row when all but the seed is the same: model, method, task, prompt, scorer, data and model revision,
    tags, settings, and the set of items. A second run of a seed in the same row opens a further row instead of
    replacing it.
    """
    cells: dict[Hashable, list[dict[int, Run]]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run.name, run.summary.seed)):
        repeats = cells[_key(run)]
        place = next((cell for cell in repeats if run.summary.seed not in cell), None)
        if place is None:
            repeats.append(place := {})
        place[run.summary.seed] = run
    groups = [[cell[seed] for seed in sorted(cell)] for repeats in cells.values() for cell in repeats]
    baselines: dict[Hashable, list[list[Run]]] = defaultdict(list)
    for group in groups:
        if _is_baseline(group[0].summary) and group[0].outcomes:
            baselines[_comparable(group[0])].append(group)
    rows = sorted((_row(group, baselines[_comparable(group[0])]) for group in groups), key=_order)
    tables = [list(table) for _, table in groupby(rows, key=lambda row: row.task)]
    return [
        replace(row, label=label)
        for table in tables
        for row, label in zip(table, labels([row.facts for row in table]), strict=True)
    ]


def _run_folders(path: Path) -> Iterator[Path]:
    """The run directories at and below ``path``, not looking inside one."""
    for folder, below, files in os.walk(path):
        if _FINISHED in files or any(name in files for name in _STARTED):
            below.clear()
            yield Path(folder)


def _load_run(folder: Path, name: str) -> Run:
    """Read one run. Raises UserError where its files are damaged or of another version, ValueError where they do not
    belong together.
    """
    log = RunLog(folder)
    summary = log.result().audio_eval
    if summary.accuracy is None:
        return Run(name, summary)
    scores = [score for score in log.scores.read() if score.outcome != "excluded"]
    outcomes = tuple(Outcome(score.id, score.outcome == "correct", score.answered) for score in scores)
    if len({outcome.id for outcome in outcomes}) != len(outcomes):
        raise ValueError("scores.jsonl holds an item twice")
    if not outcomes or len(outcomes) != summary.n:
        raise ValueError(f"scores.jsonl has {len(outcomes)} items, result.json says n = {summary.n}")
    accuracy = _accuracy(outcomes)
    if abs(accuracy - summary.accuracy) > 0.051:  # one decimal is enough
        raise ValueError(f"scores.jsonl makes {accuracy:.2f} %, result.json says {summary.accuracy:.2f} %")
    return Run(name, summary, outcomes)


def _comparable(run: Run) -> Hashable:
    """What must be equal for two numbers to be compared."""
    s = run.summary
    return s.model, s.model_revision, s.task, s.prompt, s.scorer, s.data_revision, s.audio_revision, s.graders


def _is_baseline(summary: ResultRow) -> bool:
    return summary.method == BASELINE and summary.audio is None


def _key(run: Run) -> Hashable:
    s = run.summary
    items = frozenset(outcome.id for outcome in run.outcomes)
    return _comparable(run), s.method, s.n, items, s.trained_on, _tags(s), repr(sorted(s.settings.items()))


def _row(runs: list[Run], baselines: list[list[Run]]) -> Row:
    summaries = [run.summary for run in runs]
    first = summaries[0]
    hidden = not runs[0].outcomes
    main = next(iter(first.groups), "")
    groups = {
        label: _mean([s.groups.get(main, {}).get(label) for s in summaries]) for label in first.groups.get(main, {})
    }
    known = [accuracy for accuracy in groups.values() if accuracy is not None]
    officials = [s.official for s in summaries if s.official is not None]
    return Row(
        model=first.model,
        method=first.method,
        task=first.task,
        prompt=first.prompt,
        scorer=first.scorer,
        data_revision=first.data_revision,
        model_revision=first.model_revision,
        seeds=tuple(s.seed for s in summaries),
        n=first.n,
        accuracy=None if hidden else fmean(_accuracy(run.outcomes) for run in runs),
        interval=None if hidden else accuracy_interval([run.outcomes for run in runs]),
        groups=groups,
        macro=fmean(known) if known and len(known) == len(groups) else None,
        unparsable=fmean(s.unparsable for s in summaries),
        comparison=None if hidden or _is_baseline(first) else _compare(runs, baselines),
        official=_mean(officials),
        official_n=(min(o.n for o in officials), max(o.n for o in officials)) if officials else None,
        official_rule=officials[0].rule if officials else None,
        metrics={name: _metric(name, summaries) for name in first.metrics},
        samples=_known_mean([s.samples for s in summaries]),
        wall_s=_known_mean([s.wall_s for s in summaries]),
        tags=_tags(first),
        settings=first.settings,
        runs=tuple(runs),
    )


def _compare(runs: list[Run], baselines: list[list[Run]]) -> Comparison | None:
    """Against the ``direct`` row that shares the most items, or None when none shares any."""
    items = {outcome.id for outcome in runs[0].outcomes}
    shared = [len(items & {outcome.id for outcome in group[0].outcomes}) for group in baselines]
    if not any(shared):
        return None
    baseline = baselines[shared.index(max(shared))]
    return compare([run.outcomes for run in baseline], [run.outcomes for run in runs])


def _mean(scores: Sequence[GroupScore | Official | None]) -> float | None:
    return _known_mean([score.accuracy for score in scores if score is not None])


def _known_mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _metric(name: str, summaries: Sequence[ResultRow]) -> Metric:
    found = [summary.metrics[name] for summary in summaries if name in summary.metrics]
    return Metric(value=_known_mean([metric.value for metric in found]), n=min(metric.n for metric in found))


def _accuracy(outcomes: Sequence[Outcome]) -> float:
    return 100.0 * sum(outcome.correct for outcome in outcomes) / len(outcomes)


def _tags(summary: ResultRow) -> tuple[str, ...]:
    tags = list(summary.tags)
    if summary.trained_on and not any(tag.startswith("trained on") and "scored item" not in tag for tag in tags):
        on_test = summary.trained_on in ("same", summary.task, f"{summary.task}:test")
        tags.append("trained on the test labels" if on_test else f"trained on {summary.trained_on}")
    return tuple(dict.fromkeys(tags))


def _order(row: Row) -> tuple[Any, ...]:
    hidden, facts = row.accuracy is None, row.facts
    return row.task, hidden, -(row.accuracy or 0.0), row.model, row.method, repr(facts.origin), repr(facts), facts.order
