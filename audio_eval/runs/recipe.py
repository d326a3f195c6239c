"""Recipe: what a run file says about itself. It is read and checked, and decides nothing of a run."""

from __future__ import annotations

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


class Recipe(BaseModel):
    """``expected``: what the source reports. ``inferred``: settings that the source does not state, by name, and why
    they have the value they have.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    expected: tuple[Expected, ...] = ()
    inferred: dict[str, str] = {}
