"""result.json: lm-eval's keys, and under ``audio_eval`` everything that a leaderboard row needs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from audio_eval.runlog.records import Notes
from audio_eval.scoring.figures import Count, Figures
from audio_eval.usage import Usage

MAX_NAME, MAX_SHOWN = 2_000, 100_000  # characters of a text, and of a list or a mapping
VERSION: Literal[2] = 2  # of the run log; raised when a file of it changes its meaning


class ResultRow(Figures):
    """The ``audio_eval`` block: percents are 0 to 100, ``wall_s`` seconds.

    ``settings`` are the method's where they differ from its usual ones with this model. ``audio`` names an audio
    ablation, ``long_audio`` what became of recordings beyond the model's window, where they were not cut. ``usage`` is
    what a server says that all answers took. ``accuracy`` is None where the answers are hidden or nobody has judged
    them; ``note`` says which. ``audio_seconds`` is the audio that the model was given in ``wall_s``, ``device`` what it
    ran on, in words; None where that was not recorded.
    """

    model: str
    method: str
    task: str
    seed: int
    samples: Count | None
    wall_s: Annotated[float, Field(ge=0)] | None
    device: str | None = None
    audio_seconds: Annotated[float, Field(ge=0)] | None = None
    trained_parameters: Count | None = None
    usage: Usage | None = None
    audio: str | None = None
    long_audio: str | None = None
    tags: list[str] = Field([])
    settings: dict[str, Any] = Field({})
    trained_on: str | None = None
    model_revision: str | None = None
    adapter_sha256: str | None = None
    audio_revision: str | None = None
    oracle: dict[str, Any] | None = None
    notes: dict[str, Any] = Field({})
    prompt: str | None = None
    scorer: str | None = None
    data_revision: str | None = None
    data: dict[str, Any] = Field({})
    judge: dict[str, Any] | None = None
    similarity: dict[str, str] | None = None
    note: str | None = None
    run: str = ""

    @field_validator("*")
    @classmethod
    def _can_be_shown(cls, value: Any, info: ValidationInfo) -> Any:
        """Every format shows these texts, and sorts and compares them; notes, one an item, stay in the file."""
        most = MAX_NAME if isinstance(value, str) else MAX_SHOWN
        if info.field_name != "notes" and len(str(value)) > most:
            raise ValueError(f"takes more than {most} characters")
        return value

    @field_validator("notes")
    @classmethod
    def _are_notes(cls, value: dict[str, Any]) -> dict[str, Any]:
        """What is shown of them has its form; they stay as they are, with those that a method adds."""
        Notes.model_validate(value)
        return value

    @property
    def graders(self) -> str | None:
        """Who graded open answers: the judge with its prompt, the embedding model; None where nobody did."""
        parts = []
        if self.judge:
            parts.append(f"judge {self.judge['judge']}, {self.judge['prompt']}")
        if self.similarity:
            parts.append(f"similarity {self.similarity['model']}@{self.similarity['revision']}")
        return "; ".join(parts) or None


class Result(BaseModel):
    """The whole file. The keys that are not ours have the names and forms that lm-eval gives them."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    version: Literal[2] = VERSION
    results: dict[str, dict[str, Any]]
    versions: dict[str, Any]
    n_shot: dict[str, int] = Field(alias="n-shot")
    higher_is_better: dict[str, dict[str, bool]]
    n_samples: dict[str, dict[str, int]] = Field(alias="n-samples")
    config: dict[str, Any]
    audio_eval: ResultRow
