"""Finished runs -> docs/results.md, docs/results-details.md, their figures and the README's table."""

from __future__ import annotations

import argparse
import platform
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from results_figures import curves, reliability
from tabulate import tabulate

from audio_eval.leaderboard import Row, Run, aggregate, load_runs, task_table
from audio_eval.leaderboard.cells import signed, table
from audio_eval.leaderboard.columns import notes, p_text
from audio_eval.leaderboard.render.markdown import summary_table
from audio_eval.scoring.statistics import Comparison, compare
from audio_eval.store import JsonLines, read_json

Runs = dict[str, list[dict[str, Any]]]  # part of the benchmark -> its runs: variant, seed, folder
CURVES = ("aqa_ttrl", "view_ttrl")
LOGGED = ("accuracy", "unparsable", "majority_ratio", "reward_accuracy", "ground_truth_ratio", "entropy", "length")
# The columns that a reader needs first; the page of details has all of them.
OVERVIEW = (
    "label", "accuracy", "seed_deviation", "difference", "p_holm", "readable_accuracy", "unparsable", "samples",
    "wall_s", "notes",
)  # fmt: skip
README_ROWS = ("view_ttrl", "majority_vote +views", "aqa_ttrl", "majority_vote", "grpo", "direct")
DIFFERENCES = ["method", "accuracy", "against", "difference [95 % CI]", "p", "seeds"]
DETAILS = "All columns, accuracy by group, adapters, run names and every run: [results-details.md](results-details.md)."


class Variants:
    """The runs of one part by variant, and comparisons between variants on the same items."""

    def __init__(self, runs: Sequence[dict[str, Any]]) -> None:
        self.folders: dict[str, list[Path]] = {}
        for run in sorted(runs, key=lambda run: run["seed"]):
            self.folders.setdefault(run["variant"], []).append(Path(run["folder"]))
        self._runs = {name: _load(folders) for name, folders in self.folders.items()}

    def rows(self) -> list[Row]:
        """The rows of the leaderboard."""
        return aggregate([run for runs in self._runs.values() for run in runs])

    def results(self, name: str) -> list[dict[str, Any]]:
        """The ``audio_eval`` block of each run of a variant."""
        return [read_json(folder / "result.json")["audio_eval"] for folder in self.folders[name]]

    def mean(self, name: str) -> float:
        """Mean accuracy over the seeds, in percent."""
        return statistics.fmean(result["accuracy"] for result in self.results(name))

    def against(self, name: str, other: str) -> Comparison:
        """``name`` minus ``other``, paired by item, over the seeds that both have."""
        both = min(len(self._runs[name]), len(self._runs[other]))
        one, two = ([run.outcomes for run in self._runs[variant][:both]] for variant in (other, name))
        return compare(one, two)

    def line(self, name: str, other: str) -> list[str]:
        """One line of a table of differences."""
        c = self.against(name, other)
        return [name, f"{self.mean(name):.1f}", other, span(c), p_text(c.p_value), str(len(self.folders[name]))]


def span(c: Comparison) -> str:
    """A difference with its interval."""
    return f"{c.difference:+.1f} [{c.low:+.1f}, {c.high:+.1f}]"


def _load(folders: list[Path]) -> list[Run]:
    runs, skipped = load_runs(folders)
    assert not skipped, skipped
    return sorted(runs, key=lambda run: run.summary.seed)


def write(found: Runs, args: argparse.Namespace) -> dict[str, Any]:
    """Write both pages, their figures and the README's table; returns the summary."""
    docs = Path(args.docs)
    docs.mkdir(parents=True, exist_ok=True)
    main, summary = Variants(found["main"]), {}
    opened = Variants(found["open"]) if found.get("open") else None
    text = [_head(main, found, args), summary_table(main.rows(), OVERVIEW), _fewer_seeds(main.rows()), DETAILS]
    if "view_ttrl" in main.folders:
        best = max(("majority_vote", "aqa_ttrl"), key=main.mean)
        gain = main.against("view_ttrl", best)
        summary = {"view_ttrl_over": best, "difference": round(gain.difference, 2), "low": round(gain.low, 2),
                   "high": round(gain.high, 2), "p": gain.p_value}  # fmt: skip
        text += [_against(main), _parts(main, Variants(found["views"]) if found.get("views") else None)]
        text += [_reliability(main, docs), _curves(main, docs)]
    if opened:
        text.append(_opened(opened))
    (docs / "results.md").write_text("\n\n".join(filter(None, text)) + "\n")
    (docs / "results-details.md").write_text(_details(found, main, opened))
    fill_readme(Path(args.readme), main.rows())
    means = {name: round(main.mean(name), 2) for name in main.folders}
    return {"ratio": None, **summary, **means, "machine": platform.machine()} | (
        {"open": {name: round(opened.mean(name), 2) for name in opened.folders}} if opened else {}
    )


def _head(main: Variants, found: Runs, args: argparse.Namespace) -> str:
    environments = [read_json(Path(run["folder"]) / "env.json") for runs in found.values() for run in runs]
    commits = ", ".join(sorted({str(env["commit"])[:10] for env in environments}))
    env, n = environments[0], main.rows()[0].n
    versions = (
        f"python {env['python']}, torch {env['packages']['torch']}, transformers {env['packages']['transformers']}"
    )
    return f"""# Results on the embedded benchmark

tiny-omni (1.6 M parameters) on the {n} items of synth_aqa `{args.split}`, seeds {args.seeds}. The figures say that the
methods work as described on a small real model. They say nothing about MMAU, MMAR or MMSU.

Every method runs at its default for this model, which was chosen on `validation`; the label says what a row changes.
`grpo`, `sari` and `sft, gold labels` learn from the labels of synth_aqa's `train` split and are the labelled reference.
`xs_cot` is not here, because synth_aqa has nothing cross-lingual.

Made by `python bench/five_seeds.py` at commits {commits}
with {versions} on {platform.machine()}. {args.jobs} seeds
ran at the same time with one thread each, so times are those of a shared machine.

## All methods and controls"""


def _against(main: Variants) -> str:
    lines = [
        main.line(name, other)
        for name, other in (
            ("view_ttrl", "majority_vote"), ("view_ttrl", "aqa_ttrl"), ("aqa_ttrl", "majority_vote"),
            ("random_reward", "direct"), ("format_reward", "direct"), ("wrong_majority", "direct"),
            ("view_ttrl", "format_reward"),
        )
        if {name, other} <= main.folders.keys()
    ]  # fmt: skip
    return f"## Against each other\n\nPaired by item.\n\n{_differences(lines)}"


def _parts(main: Variants, views: Variants | None) -> str:
    text = (
        "The first line is what voting over views adds, the second what training and the vote of answers add to it.\n"
        "Then the vote over each kind of view, and view_ttrl without one of its parts."
    )
    lines, pooled = [], "majority_vote +views"
    if pooled in main.folders:
        lines += [main.line(pooled, "majority_vote"), main.line("view_ttrl", pooled)]
    if views:
        both = Variants([
            {"variant": name, "seed": seed, "folder": folder}
            for part in (main, views) for name, folders in part.folders.items() for seed, folder in enumerate(folders)
        ])  # fmt: skip
        lines += [both.line(name, name.split(",")[0]) for name in views.folders]
    return f"## What the views bring\n\n{text}\n\n{_differences(lines)}"


def _reliability(main: Variants, docs: Path) -> str:
    oracles = {name: [result["oracle"] or {} for result in main.results(name)] for name in main.folders}
    labelled = {name: found for name, found in oracles.items() if all("label_accuracy" in oracle for oracle in found)}
    bins = {name: [_bin(found, i) for i in range(len(found[0]["reliability"]))] for name, found in labelled.items()}
    reliability({name: bins[name] for name in CURVES if name in bins}, docs / "reliability.svg")
    lines = [
        [name, f"{statistics.fmean(oracle['label_accuracy'] for oracle in labelled[name]):.1f}",
         *(f"{accuracy:.0f} (n {n})" if n else "" for _, n, accuracy in shown)]
        for name, shown in bins.items()
    ]  # fmt: skip
    headers = ["method", "label accuracy %", *(f"{i / 5:.1f}-{(i + 1) / 5:.1f}" for i in range(5))]
    return (
        "## Labels\n\n"
        "Accuracy of the pseudo-labels, measured against the answers that only the harness sees: of all labels, and\n"
        "by bin of the vote's confidence (n over all seeds).\n\n"
        f"![reliability](reliability.svg)\n\n{tabulate(lines, headers=headers, tablefmt='github')}"
    )


def _bin(oracles: Sequence[dict[str, Any]], i: int) -> tuple[float, int, float]:
    """Bin ``i`` over the seeds: its middle, the number of its labels, their accuracy in percent."""
    bins = [oracle["reliability"][i] for oracle in oracles]
    n = sum(one["n"] for one in bins)
    accuracy = sum(one["n"] * one["accuracy"] for one in bins if one["n"]) / max(n, 1)
    return (bins[0]["from"] + bins[0]["to"]) / 2, n, accuracy


def _curves(main: Variants, docs: Path) -> str:
    means = {name: dict(_curve(main.folders[name])) for name in CURVES if name in main.folders}
    levels = {name: main.mean(name) for name in ("direct", "majority_vote")}
    curves({name: {step: m["accuracy"] for step, m in found.items()} for name, found in means.items()}, levels,
           docs / "curve.svg")  # fmt: skip
    lines = [
        [name, step, *(f"{m[key]:.2f}" if key in m else "" for key in LOGGED)]
        for name, found in means.items()
        for step, m in found.items()
    ]
    rows = tabulate(lines, headers=["method", "step", "accuracy %", "unparsable %", *LOGGED[2:]], tablefmt="github")
    return (
        "## Curves\n\n"
        "Means over seeds, measured by the harness for this page. Scored is the last step, which is fixed before\n"
        "the run. A point is one greedy answer per item without views: view_ttrl's is without the vote of its\n"
        "answers. The columns from majority_ratio on describe the rollouts of that step and are named as in TTRL;\n"
        f"entropy is in nats per token.\n\n![accuracy over steps](curve.svg)\n\n{rows}"
    )


def _curve(folders: Sequence[Path]) -> Iterator[tuple[int, dict[str, float]]]:
    """For each measured step its figures, averaged over the runs that have them."""
    points: dict[int, list[dict[str, float]]] = {}
    for folder in folders:
        logs = [{r["step"]: r for r in JsonLines(folder / f"{log}.jsonl").read()} for log in ("metrics", "oracle")]
        for point in JsonLines(folder / "curve.jsonl").read():
            step = int(point["step"])
            points.setdefault(step, []).append({**logs[0].get(step, {}), **logs[1].get(step, {}), **point})
    for step, found in points.items():
        yield step, {key: statistics.fmean(p[key] for p in found if key in p) for key in found[0]}


def _opened(opened: Variants) -> str:
    lines = [opened.line(name, "direct") for name in opened.folders if name != "direct"]
    lines.sort(key=lambda line: -float(line[1]))
    raised = [name for name in opened.folders if name != "direct" and opened.against(name, "direct").low > 0]
    said = ", ".join(f"`{name.removeprefix('op_ttrl, ')}`" for name in raised) or "none"
    return (
        "## Open-ended\n\n"
        "synth_aqa without its options (`synth_aqa_open`), scored by contains-exact-match; op_ttrl at its default for\n"
        f"this model in each of its reward modes, encoder minilm. `direct`: {opened.mean('direct'):.1f} %.\n"
        f"Modes whose interval is above zero: {said}.\nThe others do not raise accuracy.\n\n{_differences(lines)}"
    )


def _differences(lines: list[list[str]]) -> str:
    return table(lines, DIFFERENCES, "github", right=(1, 4, 5))


def _fewer_seeds(rows: Sequence[Row]) -> str:
    most = max(len(row.seeds) for row in rows)
    fewer = [f"{row.label} ({len(row.seeds)})" for row in rows if len(row.seeds) < most]
    return f"Fewer seeds: {'; '.join(fewer)}." if fewer else ""


def _details(found: Runs, main: Variants, opened: Variants | None) -> str:
    """The second page: all columns, the sources of each row, accuracy by group, and every run."""
    parts = [("All methods and controls", main), *([("Open-ended", opened)] if opened else [])]
    text = ["# Details of the results", "What is behind each number of [results.md](results.md)."]
    for title, variants in parts:
        text += [f"## {title}", task_table(variants.rows()).replace("\n## ", "\n### ").strip()]
    return "\n\n".join([*text, _each(found)]) + "\n"


def _each(found: Runs) -> str:
    lines = []
    for part, runs in found.items():
        for run in runs:
            result = read_json(Path(run["folder"]) / "result.json")["audio_eval"]
            label = (result["oracle"] or {}).get("label_accuracy", "")
            lines.append([part, run["variant"], run["seed"], result["accuracy"], result["unparsable"], label,
                          result["samples"], result["wall_s"]])  # fmt: skip
    headers = ["part", "method", "seed", "accuracy", "unparsable %", "label accuracy %", "samples", "seconds"]
    return "## Each run\n\n" + tabulate(lines, headers=headers, tablefmt="github")


def fill_readme(path: Path, rows: Sequence[Row]) -> None:
    """Write the table of ``README_ROWS`` between the marks of the README."""
    start, end = "<!-- five-seeds:", "<!-- /five-seeds -->"
    head, rest = path.read_text().split(start)
    mark, tail = rest.split("\n", 1)[0], rest.split(end, 1)[1]
    path.write_text(f"{head}{start}{mark}\n\n{readme_table(rows)}\n\n{end}{tail}")


def readme_table(rows: Sequence[Row]) -> str:
    """Six rows of the overview, in the order of ``rows``."""
    most = max(len(row.seeds) for row in rows)
    cells = [
        [_method(row, most), f"{row.accuracy:.1f} [{row.interval.low:.1f}, {row.interval.high:.1f}]", *_gain(row),
         f"{row.unparsable:.1f}", f"{row.samples:,.0f}", ", ".join(notes(row))]
        for row in rows
        if row.label in README_ROWS and row.accuracy is not None and row.interval is not None
    ]  # fmt: skip
    headers = [f"synth_aqa test, {most} seeds", "accuracy [95 % CI]", "Δ direct", "Δ from unparsable / wrong",
               "unparsable %", "samples", "notes"]  # fmt: skip
    return tabulate(cells, headers=headers, tablefmt="github", disable_numparse=True)


def _method(row: Row, seeds: int) -> str:
    return row.label + (f" ({len(row.seeds)} seeds)" if len(row.seeds) < seeds else "")


def _gain(row: Row) -> list[str]:
    c = row.comparison
    if c is None:
        return ["baseline", ""]
    return [span(c), f"{signed(c.from_unparsable)} / {signed(c.from_wrong)}"]
