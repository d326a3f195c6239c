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
STATES = {"r": ("correct", None), "w": ("wrong", None), "u": ("wrong", "no tags"), "n": ("wrong", "not an option")}


def make_run(folder: Path, states: str, ids: list[int] | None = None, **changes: Any) -> Path:
    """A run directory with one item a letter: right, wrong option, unparsable (u: no tags, n: not an option).

    ``recordings`` are the digests of the items' recordings, ``confidences`` those of the votes on them.
    """
    folder.mkdir(parents=True)
    recordings, confidences = changes.pop("recordings", None), changes.pop("confidences", None)
    n, right, lost = len(states), states.count("r"), states.count("u") + states.count("n")
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
        names = [f"q{number}" for number in ids or range(n)]
        scores = []
        for name, state in zip(names, states, strict=True):
            outcome, unread = STATES[state]
            scores.append({"id": name, "outcome": outcome, "answered": not unread, "why": "", "unread": unread})
        _write(folder / "scores.jsonl", scores)
        if recordings:
            asked = {"audio": "a.wav", "question": "?", "choices": ["x"], "prompt": "?", "groups": {}}
            found = zip(names, recordings, strict=True)
            _write(folder / "questions.jsonl", [{"id": name, "audio_sha256": sha, **asked} for name, sha in found])
        if confidences:
            found = zip(names, confidences, strict=True)
            _write(folder / "responses.jsonl", [{"id": name, "response": "x", "confidence": c} for name, c in found])
    return folder


def _write(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def rows_of(*paths: Path) -> list[Row]:
    found, skipped = load_runs(paths)
    assert skipped == []
    return aggregate(found)


def cells_of(table: str, number: int) -> dict[str, str]:
    """A line of a markdown table by the titles of its columns."""
    lines = [[part.strip() for part in line.strip("|").split(" | ")] for line in table.splitlines()[:20]]
    return dict(zip(lines[0], lines[2 + number], strict=True))
