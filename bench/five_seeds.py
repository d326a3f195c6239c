"""The main result: every method and control on the embedded benchmark, with five seeds, at the default settings.

    python bench/five_seeds.py

runs everything at the commit that is checked out, which must have no changes, and writes ``docs/results.md`` (table,
comparisons, ablations, labels, curves), ``docs/results-details.md`` (all columns, sources, groups, every run), their
figures, the table of the README, and the results and pages in ``leaderboards/``. The last line is a JSON object.

The parts run in the order of ``PARTS``, each with all seeds before the next begins; ``--parts`` chooses some of them.
After an interruption the same command goes on; ``--runs finished`` writes the pages of what there is. A row that does
not have all seeds is in no table: the page lists it as not measured. ``--jobs`` processes run at the same time, with
one thread each.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import NamedTuple

from variants import TRAIN, VIEWS, Variant, Work, add_arguments, failed, run_all

from audio_eval.errors import UserError

CURVE = {"curve_every": 25}
BY_VIEWS, LIKELY = f"views={VIEWS}", "labels=likelihood"
KINDS = ("choices", "shift", "gain", "paraphrase", "noise", "resample")
REWARDS = (
    "cluster",
    "medoid",
    "majority",
    "evolrl",
    "centroid",
    "cluster,cluster_mode=kde",
    "empo",
    "intuitor",
    "judge",
)


class Part(NamedTuple):
    """Rows on one task."""

    task: str
    variants: list[Variant]


# The most important rows first, whatever happens to the later ones.
PARTS = {
    "main": Part("synth_aqa", [
        Variant("direct"), Variant("choice_likelihood"), Variant("majority_vote"), Variant("aqa_ttrl", flags=CURVE),
        Variant("choice_likelihood", BY_VIEWS), Variant("majority_vote", BY_VIEWS), Variant("sft"),
        Variant("sft", BY_VIEWS), Variant("sft", LIKELY), Variant("sft", f"{BY_VIEWS},{LIKELY}"),
        Variant("aqa_ttrl", LIKELY), Variant("ttrl"), Variant("view_ttrl", flags=CURVE),
    ]),
    "controls": Part("synth_aqa", [
        *(Variant("direct", flags={"audio": audio}) for audio in ("silence", "shuffled", "none")),
        Variant("random_reward"), Variant("format_reward"), Variant("wrong_majority"),
    ]),
    "labelled": Part("synth_aqa", [
        Variant("grpo", flags=TRAIN), Variant("sft", "labels=gold", TRAIN),
        Variant("sari", "chains=none,format=answer", TRAIN),
    ]),
    "ablations": Part("synth_aqa", [
        *(Variant("choice_likelihood", args) for args in ("normalise=token", "prior=pride")),
        *(Variant("view_ttrl", args) for args in ("anchor=false", "views=none", "answer_views=1")),
    ]),
    "views": Part("synth_aqa", [Variant("majority_vote", f"views={kind}") for kind in KINDS]),
    "open": Part("synth_aqa_open", [
        Variant("direct"), *(Variant("op_ttrl", f"reward={reward}") for reward in REWARDS),
    ]),
}  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, Path("runs/five-seeds"), "0,1,2,3,4")
    parser.add_argument(
        "--pages", type=Path,
        help="folder of docs/, README.md and leaderboards/ (default: here; with --runs quick pages/ in --output)",
    )  # fmt: skip
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--split", default="test")
    args = parser.parse_args()
    pages = args.pages or (args.output / "pages" if args.runs == "quick" else Path("."))
    names, seeds = args.parts.split(","), [int(seed) for seed in args.seeds.split(",")]
    if unknown := set(names) - PARTS.keys():
        parser.error(f"no part {', '.join(unknown)}: there are {', '.join(PARTS)}.")
    suffix = "" if args.split == "test" else f":{args.split}"
    works = [
        Work(name, PARTS[name].task + suffix, seed, PARTS[name].variants)
        for name in PARTS
        if name in names
        for seed in seeds
    ]
    try:
        done = run_all(works, args.output, args.runs, args.jobs)
        from results_page import write

        asked = {name: [variant.name for variant in part.variants] for name, part in PARTS.items()}
        print(json.dumps(write(done, asked, seeds, pages, args.split, args.jobs)))
    except UserError as error:
        sys.exit(str(error))
    sys.exit(failed(works, done, args.runs))


if __name__ == "__main__":
    main()
