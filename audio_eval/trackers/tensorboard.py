"""TensorBoard: event files in the run's directory, so that ``tensorboard --logdir runs`` shows all runs."""

from __future__ import annotations

import json
from collections.abc import Mapping

from audio_eval.trackers.tracker import TrackedRun, Tracker


class TensorBoard(Tracker):
    """Scalars by step in ``<run>/tensorboard``, the spec as a text, figures under ``result/`` at the last step."""

    package, install = "tensorboard", "audio-eval[tensorboard]"

    def begin(self, run: TrackedRun) -> None:
        """Open a further event file, which TensorBoard shows as one with those before."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run.folder / "tensorboard"))
        self._last = max(run.logged, 0)
        if not run.again:
            told = json.dumps(run.spec, indent=1)
            self._writer.add_text("spec", "    " + told.replace("\n", "\n    "), 0)
            self._writer.flush()

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write the metrics; they are in the file when this returns."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()
        self._last = step

    def finish(self, figures: Mapping[str, float]) -> None:
        """Write the figures at the last step."""
        self.log(self._last, {f"result/{name}": value for name, value in figures.items()})

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()
