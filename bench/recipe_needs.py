"""Memory and disk of the recipes in configs/: writes ``needs`` into each file and the tables of configs/README.md.

    python bench/recipe_needs.py [--check]

By arithmetic (audio_eval/runs/needs.py); no model is loaded and nothing is downloaded. ``--check`` writes nothing and
fails where a file is not what would be written.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import transformers
import yaml
from tabulate import tabulate

from audio_eval.runlog.spec import RunSpec
from audio_eval.runs.needs import GB, PROMPT, SECONDS, run_needs, smaller
from audio_eval.runs.plan import plan, read_config
from audio_eval.runs.recipe import Amount, Needed, Smaller

FOLDER = Path(__file__).parents[1] / "configs"
LIMIT = 80 * GB
BEGIN, END = "<!-- written by bench/recipe_needs.py -->", "<!-- end -->"
MOST = {"checkpointing": False, "token_budget": 16384}  # as on a CPU
OFFLOADED, BYTES = {"optimizer": "adamw_offloaded"}, {"optimizer": "adamw_8bit"}
TUNED: dict[str, dict[str, Any]] = {
    "lora": {},
    "lora, beta > 0": {"beta": 0.02},
    "lora, micro-batches of 16384 tokens": MOST,
    "full": {"tune": "full"},
    "full, moments in host memory": {"tune": "full", **OFFLOADED},
    "full, moments in 8 bits": {"tune": "full", **BYTES},
    "full, beta > 0": {"tune": "full", "beta": 0.02},
    "full, beta > 0, moments in host memory": {"tune": "full", "beta": 0.02, **OFFLOADED},
    "full, the tower too": {"tune": "full", "train_tower": True},
    "full, no checkpointing, 16384 tokens": {"tune": "full", **MOST},
}


def amount(spec: RunSpec) -> dict[str, int]:
    """Whole GB, rounded up."""
    found, disk = run_needs(spec, gpu=True)
    sizes = {"device_gb": found.device, "host_gb": found.host, "disk_gb": disk}
    return {name: math.ceil(size / GB) for name, size in sizes.items()}


def needed(spec: RunSpec) -> Needed:
    """What a recipe needs, and with which settings it fits into 80 GB."""
    own = amount(spec)
    less = smaller(spec, LIMIT) if own["device_gb"] * GB > LIMIT else None
    return Needed(**own, below_80_gb=Smaller(**amount(less[1]), settings=less[0]) if less else None)


def with_needs(text: str, found: Needed) -> str:
    """A run file with ``needs`` as its last key."""
    lines = yaml.safe_dump({"needs": found.model_dump(exclude_none=True)}, sort_keys=False, width=115)
    return re.sub(r"(?ms)^needs:\n.*?(?=^\S|\Z)", "", text).rstrip("\n") + "\n" + lines


def recipes() -> Iterator[tuple[Path, RunSpec]]:
    """Each file with its first spec; the others differ in the task."""
    for path in sorted(FOLDER.glob("*.yaml")):
        yield path, plan({}, str(path))[0]


def recipe_rows(known: dict[str, Needed]) -> list[list[Any]]:
    """A row per recipe."""
    rows = []
    for name, found in known.items():
        less = found.below_80_gb
        settings = ",".join(f"{k}={str(v).lower()}" for k, v in less.settings.items()) if less else ""
        rows.append([name, *_cells(found), f"`{settings}`" if less else "", *(_cells(less) if less else ("", "", ""))])
    return rows


def model_rows() -> Iterator[list[Any]]:
    """Qwen2.5-Omni by kind of training, with what aqa_ttrl has by default: 64 votes, 8 questions x 4 of 64 tokens."""
    for size in ("3b", "7b"):
        for name, changes in TUNED.items():
            args = ",".join(f"{key}={value}" for key, value in changes.items())
            flags = {"model": f"qwen2.5-omni-{size}", "method": "aqa_ttrl", "tasks": "mmau_test_mini"}
            spec = plan({**flags, "method_args": args})[0]
            found, disk = run_needs(spec, gpu=True)
            yield [
                size.upper(), name, math.ceil(found.device / GB), math.ceil(found.host / GB),
                f"{found.checkpoint / GB:.1f}", f"{disk / GB:.1f}",
            ]  # fmt: skip


def _cells(found: Amount) -> tuple[int, int, int]:
    return found.device_gb, found.host_gb, found.disk_gb


def page(known: dict[str, Needed]) -> str:
    """The part of configs/README.md between the marks."""
    by_model = tabulate(
        list(model_rows()),
        ["model", "tuned", "GPU", "host", "a checkpoint", "disk"],
        tablefmt="github",
        disable_numparse=True,
    )
    by_recipe = tabulate(
        recipe_rows(known),
        ["recipe", "GPU", "host", "disk", "below 80 GB with `--method-args`", "GPU", "host", "disk"],
        tablefmt="github",
        disable_numparse=True,
    )
    return (
        f"{BEGIN}\nGB (10^9 bytes) with one GPU in bfloat16, prompts of {PROMPT} tokens and recordings of "
        f"{SECONDS:g} s; disk: while one checkpoint replaces the other.\n\n{by_model}\n\n{by_recipe}\n{END}"
    )


def written(known: dict[str, Needed]) -> Iterator[tuple[Path, str]]:
    """Each file, and what it should hold."""
    for name, found in known.items():
        path = FOLDER / f"{name}.yaml"
        yield path, with_needs(path.read_text(), found)
    readme = FOLDER / "README.md"
    yield readme, re.sub(rf"(?s){BEGIN}.*{END}", lambda _: page(known), readme.read_text())


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where something would change")
    args = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    wrong = []
    for path, text in written({path.stem: needed(spec) for path, spec in recipes()}):
        if path.read_text() != text:
            wrong.append(path.name)
            if not args.check:
                path.write_text(text)
                read_config(path) if path.suffix == ".yaml" else None
    print(f"{'differ' if args.check else 'written'}: {', '.join(wrong) or 'none'}", file=sys.stderr)
    return 1 if args.check and wrong else 0


if __name__ == "__main__":
    sys.exit(main())
