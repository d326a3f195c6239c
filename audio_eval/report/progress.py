"""How far a run under way is, from its files alone."""

from __future__ import annotations

import datetime
from typing import Any

from audio_eval.runlog import ResponsesSpec, RunLog, RunSpec, Samples
from audio_eval.terminal import plain

_ASKED = ("votes", "likelihoods", "orders")  # what files of adapt/ begin with that have a line for each item


def progress(log: RunLog, spec: RunSpec | ResponsesSpec, samples: Samples) -> dict[str, Any]:
    """Each stage with what is done, and ``of`` how many where that is known; and when this was written."""
    stages: list[dict[str, Any]] = []
    for path in sorted((log.folder / "adapt").glob("*.jsonl")):
        if path.stem.startswith(_ASKED):
            with path.open("rb") as lines:
                stages.append({"name": plain(path.stem), "done": sum(1 for _ in lines), "of": len(samples)})
    steps = [record.step for record in log.steps.read()]
    planned = spec.method_args.get("steps") if isinstance(spec, RunSpec) else None
    if steps or planned:
        stages.append({"name": "steps", "done": max(steps, default=0), "of": planned})
    answered = sum(sample.response is not None for sample in samples)
    stages.append({"name": "answers", "done": answered, "of": len(samples)})
    now = datetime.datetime.now(datetime.timezone.utc)
    return {"stages": stages, "written": f"{now:%Y-%m-%d %H:%M:%S} UTC"}
