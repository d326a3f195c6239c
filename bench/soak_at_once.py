"""Runs that begin at the same time in one folder: each directory has one owner, and each run is what it is alone.

Part of soak.py. The runs differ in method, settings and seed; some are the same, and some have the same name and other
settings. One that is refused, because another process has the directory, says so in one line, and is begun again when
all have ended. Then every run is compared with one that was made alone, and the leaderboard must have them all.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # of the repository, for tests.chaos

from tests.chaos.same import difference

Way = tuple[str, str, int]  # method, settings, seed
WAYS: tuple[Way, ...] = (
    ("direct", "", 0),
    ("majority_vote", "votes=4", 0),
    ("aqa_ttrl", "votes=4,steps=3", 0),
    ("aqa_ttrl", "votes=4,steps=3", 0),  # the same run
    ("aqa_ttrl", "votes=4,steps=2", 0),  # the same name, other settings
    ("majority_vote", "votes=4", 1),
    ("majority_vote", "votes=4", 1),
    ("choice_likelihood", "", 0),
    ("ttrl", "votes=8,group_size=4,steps=2", 0),
    ("aqa_ttrl", "votes=4,steps=3", 1),
)
LIMIT = 24


def begin(way: Way, output: Path) -> subprocess.Popen[str]:
    """Begin a run."""
    method, settings, seed = way
    more = ["--method-args", settings] if settings else []
    run = [
        sys.executable, "-m", "audio_eval", "--model", "tiny-omni", "--method", method, "--tasks", "synth_aqa",
        "--limit", str(LIMIT), "--seed", str(seed), "--output", str(output), "--json", *more,
    ]  # fmt: skip
    return subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def soak(folder: Path, runs: int) -> dict[str, Any]:
    """So many of ``WAYS`` at once, again and again from the first; what was wrong is in ``faults``."""
    ways = [WAYS[number % len(WAYS)] for number in range(runs)]
    together, faults, refused, waiting = folder / "together", [], 0, list(ways)
    ended: dict[Way, Path] = {}
    while waiting:
        again = []
        for way, run in [(way, begin(way, together)) for way in waiting]:
            out, said = run.communicate()
            if run.returncode == 0:
                ended[way] = _folder(out)
                continue
            lines = [line for line in said.splitlines() if line.startswith("audio-eval: error:")]
            if run.returncode != 1 or len(lines) != 1 or "is in use by process" not in said or "Traceback" in said:
                faults.append(f"{way} ended with {run.returncode}: {said[-500:]}")
                continue
            refused += 1
            again.append(way)
        if len(again) == len(waiting):
            faults.append(f"nothing went on: {again}")
            break
        waiting = again
    for place, way in enumerate(dict.fromkeys(ways)):
        alone = begin(way, folder / "alone" / str(place))
        out, said = alone.communicate()
        if alone.returncode:
            faults.append(f"{way} alone: {said[-500:]}")
        elif way in ended and (differs := difference(ended[way], _folder(out))):
            faults.append(f"{way}: {differs}")
    faults += board(together, folder / "board", {path.name for path in ended.values()})
    return {"runs": runs, "different": len(set(ways)), "refused": refused, "faults": faults, "ok": not faults}


def _folder(out: str) -> Path:
    return Path(json.loads(out)["rows"][0]["run"])


def board(runs: Path, into: Path, expected: set[str]) -> list[str]:
    """What is wrong with the leaderboard of a folder of these runs."""
    asked = [sys.executable, "-m", "audio_eval", "leaderboard", str(runs), "-o", str(into)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        return [f"the leaderboard ended with {done.returncode}: {done.stderr[-500:]}"]
    rows = json.loads((into / "leaderboard.json").read_text())["rows"]
    there = {name for row in rows for name in row["runs"]}
    return [] if there == expected else [f"the leaderboard has {sorted(there)}, and not {sorted(expected)}"]
