"""Recipe: what a run file says about itself. It is read and checked, and decides nothing of a run."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Expected(BaseModel):
    """A published figure of the recipe: accuracy in percent, the mean over ``tasks``, and its gain in points over the
    unadapted model, each where the source has it. Where it has none, ``note`` says what it has instead.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tasks: tuple[str, ...] = ()
    accuracy: float | None = None
    gain: float | None = None
    source: str
    note: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Expected:
        if self.accuracy is None and self.gain is None and not self.note:
            raise ValueError("needs an accuracy, a gain, or a note that says why there is none")
        return self


class Amount(BaseModel):
    """GB (10^9 bytes) of the GPU's memory, of host memory, and of the disk while checkpoints are written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device_gb: int
    host_gb: int
    disk_gb: int


class Smaller(Amount):
    """What the recipe needs with these settings of the method (``--method-args``) instead of its own."""

    settings: dict[str, Any]


class Needed(Amount):
    """What the recipe needs with one GPU (audio_eval.runs.needs), and how it fits into 80 GB where it does not."""

    below_80_gb: Smaller | None = None


class Recipe(BaseModel):
    """``expected``: what the source reports. ``inferred``: settings that the source does not state, by name, and why
    they have the value they have. ``needs``: memory and disk, computed by ``bench/recipe_needs.py``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    expected: tuple[Expected, ...] = ()
    inferred: dict[str, str] = {}
    needs: Needed | None = None
