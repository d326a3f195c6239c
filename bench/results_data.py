"""The runs behind the pages of results: those rows that have a run of every seed, and comparisons between them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from tabulate import tabulate
from variants import Done

from audio_eval.leaderboard import Row, Run, aggregate, load_runs
from audio_eval.leaderboard.cells import NONE, signed, table
from audio_eval.leaderboard.columns import p_text
from audio_eval.runlog import ResultRow, RunLog
from audio_eval.scoring.statistics import Comparison, compare, holm
from audio_eval.store import JsonLines

FAMILY = ["method", "accuracy", "against", "difference [95 % CI]", "p", "p (Holm)", "equivalent", "detectable"]


class Variants:
    """Rows by name, those only that have a run of every seed: what is compared has equal seeds."""

    def __init__(self, done: Sequence[Done], seeds: Sequence[int]) -> None:
        found: dict[str, dict[int, Path]] = {}
        for run in done:
            found.setdefault(run.variant, {})[run.seed] = run.folder
        self.begun = {name: len(by_seed) for name, by_seed in found.items()}
        self.folders = {
            name: [by_seed[seed] for seed in seeds] for name, by_seed in found.items() if set(seeds) <= by_seed.keys()
        }
        self.runs = {name: _load(folders) for name, folders in self.folders.items()}

    def rows(self, names: Sequence[str]) -> list[Row]:
        """The leaderboard of those of ``names`` that are complete."""
        return aggregate([run for name in names for run in self.runs.get(name, [])])

    def results(self, name: str) -> list[ResultRow]:
        """The result of each seed."""
        return [run.summary for run in self.runs[name]]

    def mean(self, name: str) -> float:
        """Mean accuracy over the seeds, in percent."""
        return statistics.fmean(result.accuracy or 0.0 for result in self.results(name))

    def against(self, name: str, other: str) -> Comparison:
        """``name`` minus ``other``, paired by item."""
        one, two = ([run.outcomes for run in self.runs[variant]] for variant in (other, name))
        return compare(one, two)

    def family(self, pairs: Sequence[tuple[str, str]]) -> str:
        """A table of differences, whose p-values are adjusted for each other; "" where no pair is complete."""
        found = [(name, other, self.against(name, other)) for name, other in pairs if {name, other} <= self.runs.keys()]
        adjusted = holm([c.p_value for *_, c in found])
        lines = [
            [name, f"{self.mean(name):.1f}", other, span(c), p_text(c.p_value), p_text(p),
             f"{'yes' if c.equivalent else 'no'} ±{c.margin:g}", f"{c.detectable:.1f}"]
            for (name, other, c), p in zip(found, adjusted, strict=True)
        ]  # fmt: skip
        return table(lines, FAMILY, "github", right=(1, 4, 5, 7)) if lines else ""

    def labels(self) -> str:
        """How right the pseudo-labels of each method are; "" where none made any.

        The labels of a seed are compared on the items that every method labelled. Methods with the same labels, as
        from the same votes, share a line.
        """
        made: dict[str, list[str]] = {}
        kept: dict[str, list[dict[str, str]]] = {}
        for name, folders in self.folders.items():
            read = [{r.id: r.label for r in RunLog(folder).labels.read() if r.label is not None} for folder in folders]
            if all(read):
                bins = [(result.oracle or {}).get("reliability") for result in self.results(name)]
                made.setdefault(repr((read, bins)), []).append(name)
                kept[name] = read
        lines = [self._label_line(names, kept[names[0]], list(kept.values())) for names in made.values()]
        headers = [
            "labels of",
            "labelled %",
            "right %, same items",
            *(f"{i / 5:.1f}-{(i + 1) / 5:.1f}" for i in range(5)),
        ]
        return tabulate(lines, headers=headers, tablefmt="github", disable_numparse=True) if lines else ""

    def _label_line(
        self, names: list[str], own: list[dict[str, str]], everyone: list[list[dict[str, str]]]
    ) -> list[str]:
        right, labelled, items = [], 0, 0
        for seed, folder in enumerate(self.folders[names[0]]):
            gold = {score.id: score.answer for score in RunLog(folder).scores.read() if score.answer}
            shared = [item for item in gold if all(item in labels[seed] for labels in everyone)]
            right += [own[seed][item] == gold[item] for item in shared]  # both are texts of options
            labelled, items = labelled + len(own[seed]), items + len(gold)
        bins = [f"{accuracy:.0f} (n {n})" if n else "" for _, n, accuracy in self.reliability(names[0])]
        share = f"{100 * statistics.fmean(right):.1f} (n {len(right)})" if right else NONE
        return ["; ".join(names), f"{100 * labelled / items:.1f}", share, *bins]

    def reliability(self, name: str) -> list[tuple[float, int, float]]:
        """By bin of the confidence that the method uses: its middle, number of labels, their accuracy in percent."""
        bins = zip(*((result.oracle or {})["reliability"] for result in self.results(name)), strict=True)
        return [_bin(of_seeds) for of_seeds in bins]

    def curve(self, name: str) -> Iterator[tuple[int, dict[str, float]]]:
        """For each measured step its figures, averaged over the runs that have them."""
        points: dict[int, list[dict[str, float]]] = {}
        for folder in self.folders[name]:
            logs = [{r["step"]: r for r in JsonLines(folder / f"{log}.jsonl").read()} for log in ("metrics", "oracle")]
            for point in RunLog(folder).curve.read():
                scored = {"accuracy": point.accuracy, "unparsable": point.unparsable}
                found = logs[0].get(point.step, {}) | logs[1].get(point.step, {}) | scored
                points.setdefault(point.step, []).append(found)
        for step, found in points.items():
            yield step, {key: statistics.fmean(p[key] for p in found if key in p) for key in found[0]}


def span(c: Comparison) -> str:
    """A difference with its interval."""
    return f"{signed(c.difference)} [{signed(c.low)}, {signed(c.high)}]"


def _bin(of_seeds: Sequence[dict]) -> tuple[float, int, float]:
    n = sum(one["n"] for one in of_seeds)
    accuracy = sum(one["n"] * one["accuracy"] for one in of_seeds if one["n"]) / max(n, 1)
    return (of_seeds[0]["from"] + of_seeds[0]["to"]) / 2, n, accuracy


def _load(folders: Sequence[Path]) -> list[Run]:
    runs, skipped = load_runs(folders)
    assert not skipped, skipped
    return sorted(runs, key=lambda run: run.summary.seed)
