"""The addresses of pages about runs, and the list of runs that the first page shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audio_eval.leaderboard.cells import plain
from audio_eval.leaderboard.runs import Run
from audio_eval.runlog import RunSpec
from audio_eval.view.directories import Directory


class Links:
    """Addresses from the first page: ``runs/<key>/``, ``compare/<key of a>/<key of b>/``."""

    def __init__(self, directories: Sequence[Directory]) -> None:
        # by folder; a run of before spec.json was written is in the tables alone
        self._keys = {each.folder: each.key for each in directories if each.spec}
        self._baselines = [each.run for each in directories if each.spec and each.run and each.run.baseline]

    def about(self, run: Run) -> list[tuple[str, str]]:
        """The pages about a run, as ``html.page`` takes them."""
        key, compared = self._key(run), self.compared(run)
        return [
            *([("report", f"runs/{key}/")] if key else []),
            *([("compared with direct", compared)] if compared else []),
        ]

    def compared(self, run: Run) -> str | None:
        """The address of a run beside its ``direct``, the one with the nearest seed."""
        key, found = self._key(run), [other for other in self._baselines if other.comparable == run.comparable]
        if run.baseline or not found or not key:
            return None
        nearest = min(found, key=lambda other: abs(other.summary.seed - run.summary.seed))
        return f"compare/{self._key(nearest)}/{key}/"

    def _key(self, run: Run) -> str | None:
        return self._keys.get(run.folder) if run.folder else None

    def line(self, directory: Directory) -> dict[str, Any]:
        """What the list of runs has of a directory."""
        run, spec = directory.run, directory.spec
        told: dict[str, Any] = {"method": None, "model": None, "task": None, "seed": None, "accuracy": None}
        if isinstance(spec, RunSpec):
            told |= {"method": spec.method, "model": spec.model, "task": spec.task, "seed": spec.seed}
        elif spec:
            told |= {"method": spec.name, "task": spec.task}
        if run:
            s = run.summary
            told |= {"method": s.method, "model": s.model, "task": s.task, "seed": s.seed, "accuracy": s.accuracy}
        return {
            "key": directory.key,
            "name": plain(directory.folder.resolve().name),
            "state": directory.state,
            "why": plain(directory.why) if directory.state == "left out" else "",
            "report": f"runs/{directory.key}/" if spec else None,
            "compared": run and self.compared(run),
            **{key: plain(value) if isinstance(value, str) else value for key, value in told.items()},
        }
