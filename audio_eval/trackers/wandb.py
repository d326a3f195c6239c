"""Weights & Biases. ``WANDB_MODE=offline`` keeps everything in the run's directory until ``wandb sync``."""

from __future__ import annotations

import os
from collections.abc import Mapping

from audio_eval.errors import UserError
from audio_eval.trackers.tracker import TrackedRun, Tracker

PROJECT = "audio-eval"  # where WANDB_PROJECT names none


class WandB(Tracker):
    """A run of the project, with the spec as its config and the final figures as its summary."""

    package, install = "wandb", "audio-eval[wandb]"

    @classmethod
    def check(cls) -> None:
        """Without a key wandb would stop and ask for one, in the middle of the night too."""
        super().check()
        import wandb

        mode = os.environ.get("WANDB_MODE", "online")
        if mode == "online" and not os.environ.get("WANDB_API_KEY") and not wandb.setup().settings.api_key:
            raise UserError(
                "tracker 'wandb' has no key: wandb login, or set WANDB_MODE=offline, which keeps all in the run's "
                "directory until wandb sync."
            )

    def begin(self, run: TrackedRun) -> None:
        """Open the run under its id, or go on with it; wandb's own output stays off the terminal."""
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT), id=run.id, name=run.name, group=run.task,
            config=dict(run.spec), dir=str(run.folder), resume="allow", reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", init_timeout=30),
        )  # fmt: skip

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Hand the metrics to wandb's own process, which sends them."""
        self._run.log(dict(metrics), step=step)

    def finish(self, figures: Mapping[str, float]) -> None:
        """Into the summary, which wandb's tables show."""
        self._run.summary.update({f"result/{name}": value for name, value in figures.items()})

    def close(self) -> None:
        """Wait until all is sent, or written."""
        self._run.finish()
