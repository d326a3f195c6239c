"""docs/results.md, its details and the README's table from finished runs."""

from __future__ import annotations

import argparse
import platform
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from tabulate import tabulate

from audio_eval.leaderboard import Row, Run, aggregate, load_runs
from audio_eval.leaderboard.cells import signed
from audio_eval.leaderboard.columns import notes
from audio_eval.leaderboard.render.markdown import details, summary_table
from audio_eval.scoring.statistics import Comparison, compare
from audio_eval.store import JsonLines, read_json

matplotlib.use("svg")
Runs = dict[str, list[dict[str, Any]]]  # part of the benchmark -> its runs: arm, seed, folder
CURVES = ("aqa_ttrl", "view_ttrl")
LOGGED = ("accuracy", "unparsable", "majority_ratio", "reward_accuracy", "ground_truth_ratio", "entropy", "length")


class Arms:
    """The runs of a part, by arm, and comparisons between arms on the same items."""

    def __init__(self, runs: Sequence[dict[str, Any]]) -> None:
        self.folders: dict[str, list[Path]] = {}
        for run in sorted(runs, key=lambda run: run["seed"]):
            self.folders.setdefault(run["arm"], []).append(Path(run["folder"]))
        self._runs = {arm: _load(folders) for arm, folders in self.folders.items()}

    def rows(self) -> list[Row]:
        """Of the leaderboard."""
        return aggregate([run for runs in self._runs.values() for run in runs])

    def results(self, arm: str) -> list[dict[str, Any]]:
        """The ``audio_eval`` block of each of an arm's runs."""
        return [read_json(folder / "result.json")["audio_eval"] for folder in self.folders[arm]]

    def mean(self, arm: str) -> float:
        """Accuracy over the seeds."""
        return statistics.fmean(result["accuracy"] for result in self.results(arm))

    def against(self, arm: str, other: str) -> Comparison:
        """``arm`` minus ``other``, paired by item, over the seeds that both have."""
        both = min(len(self._runs[arm]), len(self._runs[other]))
        one, two = ([run.outcomes for run in self._runs[name][:both]] for name in (other, arm))
        return compare(one, two)

    def line(self, arm: str, other: str) -> list[str]:
        """A line of a table of differences."""
        c = self.against(arm, other)
        return [arm, f"{self.mean(arm):.1f}", other, span(c), f"{c.p_value:.3f}", str(len(self.folders[arm]))]


DETAILS = (
    "Accuracy by group, adapters and run names of each row, and every run: [results-details.md](results-details.md)."
)
README_ROWS = ("view_ttrl", "majority_vote +views", "aqa_ttrl", "majority_vote", "grpo", "direct")
DIFFERENCES = ["arm", "accuracy", "against", "difference [95 % CI]", "p", "seeds"]


def span(c: Comparison) -> str:
    """A difference with its interval."""
    return f"{c.difference:+.1f} [{c.low:+.1f}, {c.high:+.1f}]"


def _load(folders: list[Path]) -> list[Run]:
    runs, skipped = load_runs(folders)
    assert not skipped, skipped
    return sorted(runs, key=lambda run: run.summary.seed)


def write(found: Runs, args: argparse.Namespace) -> dict[str, Any]:
    """Write the page, its figures and the README's table; returns the summary."""
    docs = Path(args.docs)
    docs.mkdir(parents=True, exist_ok=True)
    main, summary = Arms(found["main"]), {}
    text = [_head(main, found, args), summary_table(main.rows()), _fewer_seeds(main.rows()), DETAILS]
    if "view_ttrl" in main.folders:
        best = max(("majority_vote", "aqa_ttrl"), key=main.mean)
        gain = main.against("view_ttrl", best)
        summary = {"view_ttrl_over": best, "difference": round(gain.difference, 2), "low": round(gain.low, 2),
                   "high": round(gain.high, 2), "p": gain.p_value}  # fmt: skip
        text += [_said(main), _parts(main, Arms(found["views"]) if found.get("views") else None)]
        text += [_reliability(main, docs), _curve(main, docs)]
    opened = Arms(found["open"]) if found.get("open") else None
    if opened:
        text.append(_opened(opened))
    (docs / "results.md").write_text("\n\n".join(text) + "\n")
    (docs / "results-details.md").write_text(_details(found, main, opened))
    fill_readme(Path(args.readme), main.rows())
    means = {arm: round(main.mean(arm), 2) for arm in main.folders}
    return {"ratio": None, **summary, **means, "machine": platform.machine()} | (
        {"open": {arm: round(opened.mean(arm), 2) for arm in opened.folders}} if opened else {}
    )


def _head(main: Arms, found: Runs, args: argparse.Namespace) -> str:
    environments = [read_json(Path(run["folder"]) / "env.json") for runs in found.values() for run in runs]
    commits = ", ".join(sorted({str(env["commit"]) for env in environments}))
    env = environments[0]
    return f"""# Results on the embedded benchmark

Figures of the embedded demo: tiny-omni (1.6 M parameters) on synth_aqa `{args.split}`. They say that the methods work
as described on a small real model; they say nothing about MMAU, MMAR or MMSU.

Made by `python bench/five_seeds.py`, commit {commits}, {platform.machine()}, {args.jobs} seeds side by side with a
thread each (so times are of a shared machine), python {env["python"]}, torch {env["packages"]["torch"]},
transformers {env["packages"]["transformers"]}. Seeds {args.seeds}; every method at its default for this
model, which was chosen on `validation`; labels say what a row changes. `grpo`, `sft` with gold labels and `sari` learn
from labels of synth_aqa's `train` split: the labelled reference. `xs_cot` is not here: synth_aqa has nothing
cross-lingual.

## All methods and controls"""


def _said(main: Arms) -> str:
    lines = [
        main.line(arm, other)
        for arm, other in (
            ("view_ttrl", "majority_vote"), ("view_ttrl", "aqa_ttrl"), ("aqa_ttrl", "majority_vote"),
            ("random_reward", "direct"), ("format_reward", "direct"), ("wrong_majority", "direct"),
            ("view_ttrl", "format_reward"),
        )
        if {arm, other} <= main.folders.keys()
    ]  # fmt: skip
    return "## Against each other\n\nPaired by item.\n\n" + tabulate(lines, headers=DIFFERENCES, tablefmt="github")


def _parts(main: Arms, views: Arms | None) -> str:
    pooled = next((arm for arm in main.folders if arm.startswith("majority_vote views")), None)
    text = (
        "The first line is what a vote over views brings, the second what training and answering add to it; then the\n"
        "vote on each kind of view, and view_ttrl with a part of it taken away."
    )
    lines = []
    if pooled:
        lines += [main.line(pooled, "majority_vote"), main.line("view_ttrl", pooled)]
    if views:
        both = Arms([
            {"arm": arm, "seed": seed, "folder": folder}
            for arms in (main, views) for arm, folders in arms.folders.items() for seed, folder in enumerate(folders)
        ])  # fmt: skip
        lines += [both.line(arm, arm.split()[0]) for arm in views.folders]
    return f"## What the views bring\n\n{text}\n\n" + tabulate(lines, headers=DIFFERENCES, tablefmt="github")


def _labels(main: Arms) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for arm in main.folders:
        oracles = [result["oracle"] or {} for result in main.results(arm)]
        if all("label_accuracy" in oracle for oracle in oracles):
            yield arm, oracles


def _reliability(main: Arms, docs: Path) -> str:
    lines = []
    with figure(docs / "reliability.svg", "confidence of the vote", "label accuracy (%)") as axis:
        for arm, oracles in _labels(main):
            accuracy = statistics.fmean(oracle["label_accuracy"] for oracle in oracles)
            bins = [[oracle["reliability"][i] for oracle in oracles] for i in range(len(oracles[0]["reliability"]))]
            shown = [
                (b[0]["from"], b[0]["to"], sum(x["n"] for x in b),
                 sum(x["n"] * x["accuracy"] for x in b if x["n"]) / max(sum(x["n"] for x in b), 1))
                for b in bins
            ]  # fmt: skip
            if arm in CURVES:
                axis.plot(
                    [(a + b) / 2 for a, b, n, _ in shown if n], [y for *_, n, y in shown if n], marker="o", label=arm
                )
            lines.append([arm, f"{accuracy:.1f}", *(f"{y:.0f} (n {n})" if n else "" for *_, n, y in shown)])
        axis.plot([0, 1], [0, 100], color="gray", linestyle=":", label="accuracy = confidence")
    headers = ["arm", "label accuracy %", *(f"{i / 5:.1f}-{(i + 1) / 5:.1f}" for i in range(5))]
    table = tabulate(lines, headers=headers, tablefmt="github")
    return (
        "## Labels\n\n"
        "Accuracy of the pseudo-labels against the answers, which the harness alone sees: all, and by bin of\n"
        f"the vote's confidence (n over all seeds).\n\n![reliability](reliability.svg)\n\n{table}"
    )


def _curve(main: Arms, docs: Path) -> str:
    lines = []
    with figure(docs / "curve.svg", "step", "accuracy (%)") as axis:
        for arm in CURVES:
            points: dict[int, list[dict[str, float]]] = {}
            for folder in main.folders.get(arm, []):
                oracle = {r["step"]: r for r in JsonLines(folder / "oracle.jsonl").read()}
                metrics = {r["step"]: r for r in JsonLines(folder / "metrics.jsonl").read()}
                for point in JsonLines(folder / "curve.jsonl").read():
                    step = int(point["step"])
                    logged = {**metrics.get(step, {}), **oracle.get(step, {}), **point}
                    points.setdefault(step, []).append(logged)
            means = {
                step: {k: statistics.fmean(p[k] for p in ps if k in p) for k in ps[0]} for step, ps in points.items()
            }
            axis.plot(list(means), [m["accuracy"] for m in means.values()], marker="o", label=arm)
            lines += [[arm, step, *(f"{m[n]:.2f}" if n in m else "" for n in LOGGED)] for step, m in means.items()]
        for arm, style in (("direct", "-."), ("majority_vote", "--")):
            axis.axhline(main.mean(arm), color="gray", linestyle=style, label=arm)
    table = tabulate(lines, headers=["arm", "step", "accuracy %", "unparsable %", *LOGGED[2:]], tablefmt="github")
    return (
        "## Curves\n\n"
        "Means over seeds, measured by the harness for this page; the scored step is the last one, fixed before\n"
        "the run. It is one greedy answer of the item as it is: view_ttrl's without the vote of its answers.\n"
        "From majority_ratio on: of the rollouts of that step, named as in TTRL; entropy in nats a token.\n\n"
        f"![accuracy over steps](curve.svg)\n\n{table}"
    )


def _opened(opened: Arms) -> str:
    lines = [opened.line(arm, "direct") for arm in opened.folders if arm != "direct"]
    lines.sort(key=lambda line: -float(line[1]))
    raised = [arm for arm in opened.folders if arm != "direct" and opened.against(arm, "direct").low > 0]
    said = ", ".join(f"`{arm.removeprefix('op_ttrl ')}`" for arm in raised) or "none"
    return (
        "## Open-ended\n\n"
        "synth_aqa without its options (`synth_aqa_open`), contains-exact-match; op_ttrl at its default for\n"
        f"this model in each of its reward modes, encoder minilm. `direct`: {opened.mean('direct'):.1f} %.\n"
        f"Modes whose interval is above zero: {said}. The others do not raise it.\n\n"
        f"{tabulate(lines, headers=DIFFERENCES, tablefmt='github')}\n\n{summary_table(opened.rows())}"
    )


def _fewer_seeds(rows: Sequence[Row]) -> str:
    most = max(len(row.seeds) for row in rows)
    fewer = [f"{row.label} ({len(row.seeds)})" for row in rows if len(row.seeds) < most]
    return f"Fewer seeds: {', '.join(fewer)}." if fewer else ""


def _details(found: Runs, main: Arms, opened: Arms | None) -> str:
    """The second page: what stands behind each number of the first one."""
    parts = [("All methods and controls", main), *([("Open-ended", opened)] if opened else [])]
    text = ["# Details of the results", "What stands behind each number of [results.md](results.md)."]
    for title, arms in parts:
        text += [f"## {title}", details(arms.rows()).replace("\n## ", "\n### ")]
    return "\n\n".join([*text, _each(found)]) + "\n"


def _each(found: Runs) -> str:
    lines = []
    for part, runs in found.items():
        for run in runs:
            result = read_json(Path(run["folder"]) / "result.json")["audio_eval"]
            label = (result["oracle"] or {}).get("label_accuracy", "")
            lines.append([part, run["arm"], run["seed"], result["accuracy"], result["unparsable"], label,
                          result["samples"], result["wall_s"]])  # fmt: skip
    headers = ["part", "arm", "seed", "accuracy", "unparsable %", "label accuracy %", "samples", "seconds"]
    return "## Each run\n\n" + tabulate(lines, headers=headers, tablefmt="github")


@contextmanager
def figure(path: Path, x: str, y: str) -> Iterator[Any]:
    """An axis that is saved as SVG; the same figure gives the same file."""
    import matplotlib.pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = "audio-eval"
    drawn, axis = plt.subplots(figsize=(6.4, 3.6))
    yield axis
    axis.set(xlabel=x, ylabel=y)
    axis.legend(loc="lower right", fontsize="small")
    drawn.tight_layout()
    drawn.savefig(path, metadata={"Date": None})
    plt.close(drawn)


def fill_readme(path: Path, rows: Sequence[Row]) -> None:
    """Put the table between the marks of the README."""
    start, end = "<!-- five-seeds:", "<!-- /five-seeds -->"
    head, rest = path.read_text().split(start)
    mark, tail = rest.split("\n", 1)[0], rest.split(end, 1)[1]
    most = max(len(row.seeds) for row in rows)
    cells = [
        [_method(row, most), f"{row.accuracy:.1f} [{row.interval.low:.1f}, {row.interval.high:.1f}]", *_gain(row),
         f"{row.unparsable:.1f}", f"{row.samples:,.0f}", ", ".join(notes(row))]
        for row in rows
        if row.label in README_ROWS and row.accuracy is not None and row.interval is not None
    ]  # fmt: skip
    headers = [f"synth_aqa test, {most} seeds", "accuracy [95 % CI]", "Δ direct", "format / answers",
               "unparsable %", "samples", "notes"]  # fmt: skip
    table = tabulate(cells, headers=headers, tablefmt="github", disable_numparse=True)
    path.write_text(f"{head}{start}{mark}\n\n{table}\n\n{end}{tail}")


def _method(row: Row, seeds: int) -> str:
    return row.label + (f" ({len(row.seeds)} seeds)" if len(row.seeds) < seeds else "")


def _gain(row: Row) -> list[str]:
    c = row.comparison
    if c is None:
        return ["baseline", ""]
    return [span(c), f"{signed(c.format_gain)} / {signed(c.answer_gain)}"]
