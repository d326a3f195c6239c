"""Finished runs -> docs/results.md, docs/results-details.md, their figures, the README's table and leaderboards/."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from results_data import Variants, span
from results_figures import curves, reliability
from tabulate import tabulate
from variants import Done, one_commit

from audio_eval.leaderboard import Committed, Row, aggregate, task_table
from audio_eval.leaderboard import write as write_leaderboard
from audio_eval.leaderboard.cells import signed
from audio_eval.leaderboard.columns import notes
from audio_eval.leaderboard.render.markdown import summary_table
from audio_eval.runlog import RunLog
from audio_eval.scoring.statistics import FateBin

TABLE = ("main", "controls", "labelled")  # the parts of the main table
CURVES = ("aqa_ttrl", "view_ttrl")
RELIABILITY = (*CURVES, "sft, likelihood labels", "sft +views, likelihood labels")
LOGGED = ("accuracy", "unparsable", "majority_ratio", "reward_accuracy", "ground_truth_ratio", "entropy", "length")
# The columns that a reader needs first; the page of details has all of them.
OVERVIEW = ("label", "accuracy", "seed_deviation", "difference", "from_unparsable", "readable_accuracy", "unparsable",
            "samples", "wall_s", "notes")  # fmt: skip
README_ROWS = ("choice_likelihood +views", "view_ttrl", "choice_likelihood", "majority_vote", "aqa_ttrl", "direct")
METHODS = (
    ("view_ttrl", "majority_vote"), ("view_ttrl", "majority_vote +views"), ("view_ttrl", "aqa_ttrl"),
    ("view_ttrl", "choice_likelihood +views"), ("view_ttrl", "format_reward"), ("aqa_ttrl", "majority_vote"),
    ("choice_likelihood", "majority_vote"), ("choice_likelihood +views", "majority_vote +views"),
    ("sft, likelihood labels", "choice_likelihood"), ("aqa_ttrl, likelihood labels", "choice_likelihood"),
    ("sft +views, likelihood labels", "choice_likelihood +views"),
)  # fmt: skip
DETAILS = "All columns, accuracy by group, adapters, run names and every run: [results-details.md](results-details.md)."
FAMILY = (
    "Paired by item, over the same seeds, here and below. p (Holm) is adjusted for the comparisons of one table, a\n"
    "family. Equivalent: whether the difference is shown to be within the margin in points; a `no` beside a\n"
    "large p means that the data decide neither way. Detectable: the smallest difference in points that such data\n"
    "show with a probability of 80 %."
)


def write(
    done: Sequence[Done], asked: Mapping[str, Sequence[str]], seeds: Sequence[int], pages: Path, split: str, jobs: int
) -> dict[str, Any]:
    """Write everything below ``pages``; returns the means. ``asked`` has the names of the rows of each part."""
    docs = pages / "docs"
    docs.mkdir(parents=True, exist_ok=True)
    closed = Variants([run for run in done if run.part != "open"], seeds)
    opened = Variants([run for run in done if run.part == "open"], seeds)
    names = [name for part in TABLE for name in asked[part]]
    rows = closed.rows(names)
    if not rows:
        raise SystemExit("no row of the main table has a run of every seed: there is no page to write yet.")
    text = [
        _head(done, rows[0].n, seeds, split, jobs, docs), summary_table(rows, OVERVIEW), DETAILS,
        _section("Not measured", _missing(asked, closed, opened, len(seeds))),
        _section("Against each other", closed.family(METHODS), FAMILY),
        _section("What the views bring", closed.family(_of_views(asked)), VIEWS),
        _section("What the parts of methods bring", closed.family(_of_parts(asked)), WITHOUT),
        _section("What became of the items", _fates(rows), FATES),
        _section("Labels", _labels(closed, docs), LABELS),
        _section("Curves", _curves(closed, docs), CURVES_TEXT),
        _section("Open-ended", _opened(opened)),
    ]  # fmt: skip
    (docs / "results.md").write_text("\n\n".join(filter(None, text)) + "\n")
    (docs / "results-details.md").write_text(_details(closed, opened))
    if (readme := pages / "README.md").is_file():
        fill_readme(readme, rows, split)
    kept = Committed(pages / "leaderboards")
    kept.add(run for variants in (closed, opened) for runs in variants.runs.values() for run in runs)
    write_leaderboard(aggregate(kept.runs()), kept.folder, kept.published())
    return {
        "ratio": None, "machine": platform.machine(), "commit": one_commit(run.folder for run in done),
        **{name: round(closed.mean(name), 2) for name in closed.runs},
        "open": {name: round(opened.mean(name), 2) for name in opened.runs},
    }  # fmt: skip


def _section(title: str, body: str, text: str = "") -> str:
    return "\n\n".join(filter(None, [f"## {title}", text, body])) if body else ""


def _head(done: Sequence[Done], n: int, seeds: Sequence[int], split: str, jobs: int, docs: Path) -> str:
    environment = RunLog(done[0].folder).environment()
    assert environment is not None  # every run has one
    told = ", ".join(map(str, seeds))
    sweep = "[sweep](results-defaults.md)" if (docs / "results-defaults.md").is_file() else "`bench/sweep.py`"
    packages = ", ".join(f"{name} {environment.packages[name]}" for name in ("torch", "transformers"))
    return f"""# Results on the embedded benchmark

tiny-omni (1.6 M parameters) on the {n} items of synth_aqa `{split}`, every row with the seeds {told}.
The figures say that the methods work as described on a small real model. They say nothing about MMAU, MMAR or MMSU.

Every method runs at its default for this model, which was chosen on `validation` ({sweep}); the
label says what a row changes. `grpo`, `sari` and `sft, gold labels` learn from the labels of synth_aqa's `train` split
and are the labelled reference. `xs_cot` is not here, because synth_aqa has nothing cross-lingual.

Made by `python bench/five_seeds.py` at commit {str(environment.commit)[:10]} with python {environment.python},
{packages} on {platform.machine()}. {jobs} processes ran
at the same time with one thread each, so times are those of a shared machine.

## All methods and controls"""


def _missing(asked: Mapping[str, Sequence[str]], closed: Variants, opened: Variants, seeds: int) -> str:
    """The rows without a run of every seed, by part."""
    lines = []
    for part, names in asked.items():
        variants = opened if part == "open" else closed
        told = [
            f"{name} ({variants.begun.get(name, 0)} of {seeds} seeds)" for name in names if name not in variants.runs
        ]
        if told:
            lines.append(f"- {part}: {'; '.join(told)}")
    return "\n".join(lines)


VIEWS = (
    "Votes and likelihoods over views against those of the item as it is; then the vote over each kind of view alone."
)
WITHOUT = (
    "Each method without one of its parts: the vote of view_ttrl's answers (`answer_views=1`), the label's own text\n"
    "among its rollouts, a supervised term (`anchor=false`), views in the vote on its labels (`views=none`).\n"
    "choice_likelihood with scores per token, and without the model's prior for places (PriDe)."
)
FATES = (
    "Number of items by what `direct` and the method make of them, means over seeds; then learned / corrupted by the\n"
    "confidence of the vote on the item, as the method itself uses it."
)
LABELS = (
    "Pseudo-labels beside the answers that only the harness sees. Right: on the items that all methods of this table\n"
    "labelled. The last columns: right in percent by the confidence that the method uses (share of the votes or of\n"
    "the probability; for view_ttrl the share of its views), n over all seeds.\n\n"
    "![reliability](reliability.svg)"
)
CURVES_TEXT = (
    "Means over seeds, measured by the harness for this page. Scored is the last step, which is fixed before\n"
    "the run. A point is one greedy answer per item without views: view_ttrl's is without the vote of its\n"
    "answers. The columns from majority_ratio on describe the rollouts of that step and are named as in TTRL;\n"
    "entropy is in nats per token.\n\n![accuracy over steps](curve.svg)"
)


def _of_views(asked: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    pairs = [(f"{name} +views", name) for name in ("majority_vote", "choice_likelihood", "sft")]
    return [*pairs, *((name, name.split(",")[0]) for name in asked["views"])]


def _of_parts(asked: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    return [(name, name.split(",")[0]) for name in asked["ablations"]]


def _fates(rows: Sequence[Row]) -> str:
    lines = [
        [row.label, *(f"{number:.1f}" for number in row.fates), *map(_fate, row.fates_by_confidence)]
        for row in rows
        if row.fates is not None
    ]
    bins = [f"{i / 5:.1f}-{(i + 1) / 5:.1f}" for i in range(5)]
    headers = ["method", "learned", "corrupted", "kept right", "kept wrong", *bins]
    return tabulate(lines, headers=headers, tablefmt="github", disable_numparse=True) if lines else ""


def _fate(found: FateBin) -> str:
    return f"{found.fates.learned:.1f} / {found.fates.corrupted:.1f}" if sum(found.fates) else ""


def _labels(closed: Variants, docs: Path) -> str:
    if table := closed.labels():
        shown = [name for name in RELIABILITY if name in closed.runs]
        reliability({name: closed.reliability(name) for name in shown}, docs / "reliability.svg")
    return table


def _curves(closed: Variants, docs: Path) -> str:
    means = {name: dict(closed.curve(name)) for name in CURVES if name in closed.runs}
    levels = {name: closed.mean(name) for name in ("direct", "majority_vote") if name in closed.runs}
    if not means:
        return ""
    curves({name: {step: m["accuracy"] for step, m in found.items()} for name, found in means.items()}, levels,
           docs / "curve.svg")  # fmt: skip
    lines = [
        [name, step, *(f"{m[key]:.2f}" if key in m else "" for key in LOGGED)]
        for name, found in means.items()
        for step, m in found.items()
    ]
    return tabulate(lines, headers=["method", "step", "accuracy %", "unparsable %", *LOGGED[2:]], tablefmt="github")


def _opened(opened: Variants) -> str:
    if "direct" not in opened.runs:
        return ""
    names = sorted((name for name in opened.runs if name != "direct"), key=lambda name: -opened.mean(name))
    gains = {name: opened.against(name, "direct") for name in names}
    told = [f"`{name.removeprefix('op_ttrl, ')}`" for name, gain in gains.items() if gain.low > 0]
    return (
        "synth_aqa without its options (`synth_aqa_open`), scored by contains-exact-match; op_ttrl at its default for\n"
        f"this model in each of its reward modes, encoder minilm. `direct`: {opened.mean('direct'):.1f} %.\n"
        f"Modes whose interval is above zero: {', '.join(told) or 'none'}.\n\n"
        f"{opened.family([(name, 'direct') for name in names])}"
    )


def _details(closed: Variants, opened: Variants) -> str:
    """The second page: all columns, the sources of each row, accuracy by group, and every run."""
    parts = [("All rows", closed), ("Open-ended", opened)]
    text = ["# Details of the results", "What is behind each number of [results.md](results.md)."]
    for title, variants in parts:
        if rows := variants.rows(list(variants.runs)):
            text += [f"## {title}", task_table(rows).replace("\n## ", "\n### ").strip()]
    lines = [
        [name, r.seed, r.accuracy, r.unparsable, (r.oracle or {}).get("label_accuracy", ""), r.samples, r.wall_s]
        for variants in (closed, opened)
        for name in variants.runs
        for r in variants.results(name)
    ]
    headers = ["row", "seed", "accuracy", "unparsable %", "label accuracy %", "samples", "seconds"]
    return "\n\n".join([*text, "## Each run", tabulate(lines, headers=headers, tablefmt="github")]) + "\n"


def fill_readme(path: Path, rows: Sequence[Row], split: str) -> None:
    """Write the table of ``README_ROWS`` between the marks of the README."""
    start, end = "<!-- five-seeds:", "<!-- /five-seeds -->"
    head, rest = path.read_text().split(start)
    mark, tail = rest.split("\n", 1)[0], rest.split(end, 1)[1]
    path.write_text(f"{head}{start}{mark}\n\n{readme_table(rows, split)}\n\n{end}{tail}")


def readme_table(rows: Sequence[Row], split: str = "test") -> str:
    """Those of the rows that the README shows, in their order."""
    cells = [
        [row.label, f"{row.accuracy:.1f} [{row.interval.low:.1f}, {row.interval.high:.1f}]", *_gain(row),
         f"{row.unparsable:.1f}", f"{row.samples:,.0f}", ", ".join(notes(row))]
        for row in rows
        if row.label in README_ROWS and row.accuracy is not None and row.interval is not None
    ]  # fmt: skip
    headers = [f"synth_aqa {split}, {len(rows[0].seeds)} seeds", "accuracy [95 % CI]", "Δ direct",
               "from unparsable / wrong", "unparsable %", "samples", "notes"]  # fmt: skip
    return tabulate(cells, headers=headers, tablefmt="github", disable_numparse=True)


def _gain(row: Row) -> list[str]:
    c = row.comparison
    return ["baseline", ""] if c is None else [span(c), f"{signed(c.from_unparsable)} / {signed(c.from_wrong)}"]
