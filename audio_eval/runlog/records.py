"""The records of a run directory: one class per file, one object per line. Fields at their default are not written."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from audio_eval.usage import Usage

Finite = Annotated[float, Field(allow_inf_nan=False)]
IMPORTED_TAGS = {True: "imported, verified", False: "imported, not recomputed"}


class Record(BaseModel):
    """A line of a run log; a key that this version does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Environment(Record):
    """env.json: where a run began. Trained weights depend on the number of ``threads`` in their last bits.

    ``deterministic``: PyTorch was held to deterministic kernels, as ``--deterministic`` does on a GPU.
    """

    started: str
    command: list[str]
    python: str
    platform: str
    packages: dict[str, str | None]
    commit: str | None
    device: str
    threads: int
    deterministic: bool = False


class QuestionRecord(Record):
    """questions.jsonl: what was asked, without the answer. ``audio`` is the item's own recording, the first of several.

    ``heard`` says what the model heard instead in an audio ablation: "silence", "none", or the id of another item.
    """

    id: str
    audio: str | None
    audio_sha256: str | None
    question: str
    choices: tuple[str, ...]
    prompt: str
    groups: dict[str, str]
    heard: str | None = None
    more_audio: tuple[str | None, ...] = ()


class ResponseRecord(Record):
    """responses.jsonl: an answer, and the ``groups`` of completions it was made from as (text, count) pairs.

    ``samples`` is the number of completions drawn or scored for it; None where the responses were produced elsewhere.
    ``confidence`` is how sure the method is of the answer, 0 to 1, where it says so. ``likelihoods`` are the
    log-probabilities (nats) of the options by text, where the method scored them. ``usage`` is what a server says that
    the answer took.
    """

    id: str
    response: str
    samples: float | None = None
    unreadable: str | None = None
    truncated: bool = False
    groups: tuple[tuple[tuple[str, int], ...], ...] = ()
    confidence: float | None = None
    likelihoods: dict[str, float] = {}
    usage: Usage | None = None


class StepRecord(BaseModel):
    """metrics.jsonl: the metrics of one update; their names depend on the method."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, float]

    step: int


class CurvePoint(Record):
    """curve.jsonl (``--curve-every``): accuracy on the scored items after so many updates; never fed back.

    ``outcomes`` has a letter per item in the order of the run: r right, w a wrong option, u unreadable, x not scored.
    """

    step: int
    accuracy: float | None
    unparsable: float
    outcomes: str = ""


class Sitting(Record):
    """sessions.jsonl: the seconds of one sitting of a run, from its start or ``resume`` to its end or interruption.

    ``earlier_seconds`` are those that its votes took in an earlier run of the same command, which had drawn them.
    ``audio_seconds`` is the audio that the model was given meanwhile, to sample and to score.
    """

    seconds: float
    earlier_seconds: float = 0.0
    audio_seconds: float = 0.0

    @property
    def charged(self) -> float:
        """What the sitting would have taken by itself."""
        return self.seconds + self.earlier_seconds


class LabelRecord(Record):
    """adapt/labels.jsonl: a pseudo-label, the votes (or probabilities) by option text, and how sure the label is."""

    id: str
    choice: int | None
    label: str | None
    confidence: Finite
    tally: dict[str, int | Finite]
    unparsable: int
    entropy: Finite
    agreement: Finite


class RelabelRecord(LabelRecord):
    """adapt/relabels.jsonl: a label that a step voted anew; ``indices`` are its votes by the place of an option."""

    step: int
    indices: dict[int, int | Finite]


class RolloutRecord(Record):
    """adapt/rollouts.jsonl: what a step sampled of a question. A completion is its text, how often it was sampled, how
    often it was trained on, and how right it was taken to be.
    """

    step: int
    id: str
    choices: tuple[str, ...]
    label: str | None
    completions: tuple[tuple[str, Annotated[int, Field(ge=1)], Annotated[int, Field(ge=0)], Finite | None], ...]


class Reported(Record):
    """reported.json: what the benchmark's server said of a run whose answers are hidden; percents are 0 to 100.

    It was not measured here: ``source`` and ``date`` say where it is from.
    """

    accuracy: float = Field(ge=0, le=100, allow_inf_nan=False)
    groups: dict[str, Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]] = {}
    source: str = Field(min_length=1)
    date: datetime.date


class Imported(Record):
    """imported.json: a run that came as an archive. ``verified``: its scores were recomputed from its responses here,
    and are the same; otherwise ``reason`` says why they were not recomputed. Neither says whose responses they are.
    """

    archive_sha256: str
    date: datetime.date
    verified: bool
    reason: str = ""

    @property
    def tag(self) -> str:
        """What every table must say of it."""
        return IMPORTED_TAGS[self.verified]


class Notes(BaseModel):
    """notes.json: facts about the adaptation and the items, for the result; a method may add its own.

    ``trained_parameters`` is None for models that cannot be trained.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Any]

    adapt_samples: int | None = None
    adapt_usage: Usage | None = None
    trained_parameters: int | None = None
    truncated: list[str] = []
    unreadable: dict[str, str] = {}
    missing: list[str] = []
    unknown: list[str] = []
    stray_golds: list[str] = []
