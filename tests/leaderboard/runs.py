"""Run directories made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from audio_eval.leaderboard import Row, aggregate, load_runs
from audio_eval.runlog.result import VERSION

RESULT = {
    "version": VERSION, "results": {}, "versions": {}, "n-shot": {}, "higher_is_better": {}, "n-samples": {},
    "config": {},
}  # fmt: skip
STATES = {"r": ("correct", 0), "w": ("wrong", 1), "u": ("wrong", None)}


def make_run(folder: Path, states: str, ids: list[int] | None = None, **changes: Any) -> Path:
    """A run directory with one item a letter: right, wrong option, unparsable."""
    folder.mkdir(parents=True)
    n, right, lost = len(states), states.count("r"), states.count("u")
    block: dict[str, Any] = {
        "model": "tiny-omni",
        "method": "direct",
        "task": "synth_aqa",
        "seed": 0,
        "accuracy": 100.0 * right / n,
        "n": n,
        "unparsable": 100.0 * lost / n,
        "unparsable_n": lost,
        "official": None,
        "groups": {"task": {"music": {"accuracy": 60.0, "n": 1}, "sound": {"accuracy": 40.0, "n": 1}}},
        "samples": n,
        "wall_s": 12.34,
        "tags": [],
        "trained_on": None,
        "prompt": "tagged",
        "scorer": "choice-v1",
        "data_revision": "abc123",
        "model_revision": "rev9",
        "adapter_sha256": None,
        "note": None,
    }
    block.update(changes)
    (folder / "result.json").write_text(json.dumps(RESULT | {"audio_eval": block}))
    if block["accuracy"] is not None:
        lines = []
        for number, state in zip(ids or range(n), states, strict=True):
            outcome, choice = STATES[state]
            lines.append(
                json.dumps({"id": f"q{number}", "outcome": outcome, "answered": choice is not None, "why": ""})
            )
        (folder / "scores.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def rows_of(*paths: Path) -> list[Row]:
    found, skipped = load_runs(paths)
    assert skipped == []
    return aggregate(found)


def cells_of(table: str, number: int) -> dict[str, str]:
    """A line of a markdown table by the titles of its columns."""
    lines = [[part.strip() for part in line.strip("|").split(" | ")] for line in table.splitlines()[:20]]
    return dict(zip(lines[0], lines[2 + number], strict=True))
