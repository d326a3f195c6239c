"""trackio: a local SQLite file per project (``TRACKIO_DIR``), or a Space or server that its own variables name."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout

from audio_eval.trackers.tracker import TrackedRun, Tracker

PROJECT = "audio-eval"  # where TRACKIO_PROJECT names none


class Trackio(Tracker):
    """A run of the project; ``trackio show`` opens it."""

    package, install = "trackio", "audio-eval[trackio]"

    def begin(self, run: TrackedRun) -> None:
        """Open the run under its name, or go on with it. trackio finds runs by name, so the id is part of it."""
        import trackio

        with redirect_stdout(sys.stderr):  # our stdout is data
            self._run = trackio.init(
                project=os.environ.get("TRACKIO_PROJECT", PROJECT), name=f"{run.name}-{run.id}", group=run.task,
                config=dict(run.spec), resume="allow", embed=False,
            )  # fmt: skip
        self._last = max(run.logged, 0)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Hand the metrics to trackio's writer."""
        self._run.log(dict(metrics), step=step)
        self._last = step

    def finish(self, figures: Mapping[str, float]) -> None:
        """At the step after the last one, as trackio has no summary."""
        self.log(self._last + 1, {f"result/{name}": value for name, value in figures.items()})

    def close(self) -> None:
        """Wait until all is written."""
        with redirect_stdout(sys.stderr):
            self._run.finish()
