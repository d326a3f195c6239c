"""The sweep behind the defaults of the preset ``small``: one setting at a time around each default, on ``validation``.

    python bench/sweep.py [--settings lr,steps] [--methods sft,aqa_ttrl] [--seeds 0]

writes ``docs/results-defaults.md``. The settings run in the order of ``SETTINGS``, each for all methods before the next
begins; after an interruption the same command goes on, and ``--runs finished`` writes the page of what there is. The
test split is never looked at. With the default grid and ``--jobs 2`` it takes about 35 minutes on two cores, by the
times of single runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from variants import TRAIN, Variant, Work, add_arguments, failed, one_commit, run_all, spec_of

from audio_eval.errors import UserError

# The settings of the preset, and the number of votes; values on both sides of each default.
SETTINGS: dict[str, tuple[object, ...]] = {
    "lr": (1e-4, 3e-4, 1e-3), "steps": (50, 100, 200), "epochs": (1, 3, 6), "votes": (16, 40, 64),
    "batch_size": (8, 16, 32), "tune": ("full", "lora"), "mini_batch": (1, 4, None),
}  # fmt: skip
# Every method with the preset; the controls have aqa_ttrl's settings, and nothing here is cross-lingual for xs_cot.
METHODS = {
    "aqa_ttrl": Variant("aqa_ttrl"), "view_ttrl": Variant("view_ttrl"), "sft": Variant("sft"), "ttrl": Variant("ttrl"),
    "grpo": Variant("grpo", flags=TRAIN), "sari": Variant("sari", "chains=none,format=answer", TRAIN),
    "op_ttrl": Variant("op_ttrl", "reward=cluster"),
}  # fmt: skip
TASKS = {"op_ttrl": "synth_aqa_open:validation"}
TASK = "synth_aqa:validation"


def usual(method: str) -> dict[str, Any]:
    """The settings that a method has by default with the embedded model."""
    return dict(spec_of(METHODS[method], TASK, 0).method_args)


def around(method: str, setting: str) -> list[Variant]:
    """The method with each other value of a setting; none where it does not have the setting, or it does nothing.

    ``mini_batch`` is varied for ttrl alone, whose source has it.
    """
    default, (name, args, flags) = usual(method), METHODS[method]
    if (
        setting not in default
        or (setting, method) == ("votes", "grpo")
        or (setting == "mini_batch" and method != "ttrl")
    ):
        return []
    values = ["null" if value is None else value for value in SETTINGS[setting] if value != default[setting]]
    return [Variant(name, ",".join(filter(None, [args, f"{setting}={value}"])), flags) for value in values]


def works(methods: Sequence[str], settings: Sequence[str], seeds: Sequence[int]) -> Iterator[Work]:
    """The defaults first, then setting by setting."""
    for setting in ("default", *settings):
        for seed in seeds:
            for method in methods:
                found = [METHODS[method]] if setting == "default" else around(method, setting)
                if found:
                    yield Work(setting, TASKS.get(method, TASK), seed, found)


def page(done: Sequence[Any], methods: Sequence[str], settings: Sequence[str], seeds: Sequence[int]) -> str:
    """The page: a table per method, each line with its difference from the default."""
    from results_data import Variants, span

    from audio_eval.leaderboard.cells import table
    from audio_eval.scoring.statistics import accuracy_interval

    variants = Variants(done, seeds)
    sections, missing, better = [], [], []
    for method in methods:
        default, base = usual(method), METHODS[method].name
        lines = []
        for setting in settings:
            for variant in around(method, setting):
                if {base, variant.name} - variants.runs.keys():
                    missing.append(variant.name)
                    continue
                outcomes, c = (
                    [run.outcomes for run in variants.runs[variant.name]],
                    variants.against(variant.name, base),
                )
                low, high = accuracy_interval(outcomes)
                value = variant.args.rpartition("=")[2]
                accuracy = f"{variants.mean(variant.name):.1f} [{low:.1f}, {high:.1f}]"
                lines.append([setting, value, f"{default[setting]}", accuracy, span(c)])
                if c.low > 0:
                    better.append(f"`{variant.name}`")
        if lines:
            runs = variants.runs[base]
            low, high = accuracy_interval([run.outcomes for run in runs])
            summary, accuracy = runs[0].summary, f"{variants.mean(base):.1f} [{low:.1f}, {high:.1f}]"
            told = ", ".join(f"{key}={default[key]}" for key in SETTINGS if key in default)
            head = ["setting", "value", "default", "accuracy [95 % CI]", "Δ default [95 % CI]"]
            sections.append(
                f"## {base}\n\nDefault ({told}): **{accuracy}**, n {summary.n}, task {summary.task}.\n\n"
                f"{table(lines, head, 'github', right=(1, 2, 3))}"
            )
    if not sections:
        raise UserError("no method has a run of its default and of another value: there is no page to write yet.")
    told = f"Better than the default, with an interval above zero: {', '.join(better) or 'none'}."
    commit = str(one_commit(run.folder for run in done))[:10]
    left = f"\n\nNot measured: {'; '.join(f'`{name}`' for name in missing)}." if missing else ""
    of_seeds = f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
    return f"""# The sweep behind the defaults

tiny-omni on synth_aqa's `validation` split, {of_seeds}: each default of the preset `small`, with one setting
changed at a time. The test split was not looked at. With one seed an interval is conditional on it. `xs_cot`, which has
the preset too, needs cross-lingual data, and the controls have aqa_ttrl's settings.

Made by `python bench/sweep.py` at commit {commit}. {told}{left}

{chr(10).join(section + chr(10) for section in sections)}"""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, Path("runs/sweep"), "0")
    parser.add_argument("--page", type=Path, help="default: docs/results-defaults.md; with --runs quick in --output")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--settings", default=",".join(SETTINGS))
    args = parser.parse_args()
    methods, settings = args.methods.split(","), args.settings.split(",")
    if unknown := {*methods, *settings} - METHODS.keys() - SETTINGS.keys():
        parser.error(f"no {', '.join(unknown)}: there are {', '.join([*METHODS, *SETTINGS])}.")
    seeds = [int(seed) for seed in args.seeds.split(",")]
    name = Path("results-defaults.md")
    path = args.page or (args.output / name if args.runs == "quick" else Path("docs") / name)
    try:
        asked = list(works(methods, settings, seeds))
        done = run_all(asked, args.output, args.runs, args.jobs)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(done, methods, settings, seeds))
    except UserError as error:
        sys.exit(str(error))
    print(json.dumps({"ratio": None, "runs": len(done), "page": str(path)}))
    sys.exit(failed(asked, done, args.runs))


if __name__ == "__main__":
    main()
