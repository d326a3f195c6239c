"""spec.json: everything that decides a run's numbers. Equal specs on equal code give equal results."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from audio_eval.json_text import fault
from audio_eval.models.backends import LongAudio
from audio_eval.plain_numbers import decimal
from audio_eval.redact import redacted
from audio_eval.runlog.result import MAX_NAME, MAX_SHOWN

# What is heard in place of the recordings in an audio ablation: see audio_eval.runs.ablation.
AudioAblation = Literal["silence", "shuffled", "none"]
NO_TRAIN_TASK = (
    "method '{}' learns from labels: name a training task, as in --train-task synth_aqa:train "
    "(--train-task same takes the scored items' own answers, and every table will say so)."
)


_CHANGES_NOTHING = {"save_every": None, "max_errors": None}  # settings on which no number of a run depends


MAX_ERRORS = "1%"  # where the user says nothing


def errors_allowed(text: str, items: int) -> int:
    """How many of ``items`` may fail by ``--max-errors``: a number, or a share as ``1%`` or ``0.01``, rounded down.

    ``ValueError`` for another text.
    """
    percent, digits = text.endswith("%"), text.removesuffix("%")
    try:
        number = decimal(digits.strip()) / (100 if percent else 1)
    except ArgumentTypeError:
        number = -1.0
    share = percent or 0 < number < 1
    if not 0 <= number <= (1 if share else 1e9) or not (share or number.is_integer()):
        raise ValueError("give a number of items, or a share of them as 1% or 0.01")
    return int(number * items + 1e-9) if share else int(number)


def _max_errors(given: Any) -> str | None:
    """The setting as a text; YAML reads it as a number."""
    if given is None:
        return None
    errors_allowed(text := str(given).strip(), 1)
    return text


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*")
    @classmethod
    def _can_be_read_again(cls, value: Any, info: ValidationInfo) -> Any:
        """A run is resumed from what it wrote down, so nothing is taken that no JSON file can give back."""
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            raise ValueError("must be numbers, texts, lists and mappings, none of them infinite") from None
        most = MAX_NAME if isinstance(value, str) else MAX_SHOWN  # else the result could not hold it
        if info.field_name != "prompt_source" and len(str(value)) > most:
            raise ValueError(f"takes more than {most} characters")
        has_nul = isinstance(value, str) and "\0" in value
        if reason := "it holds a NUL character" if has_nul else fault(value, texts=False):
            raise ValueError(reason)
        return value


class RunSpec(_Spec):
    """One (model, method, task, seed), fully resolved, as it stands in ``spec.json``."""

    model: str = Field(description="a named model, a hub id or a folder")
    backend: str | None = Field(None, description="what runs the model; default: the model's own, hf")
    model_args: dict[str, Any] = Field({}, description="settings of the backend: key=value,...")
    adapter: str | None = Field(
        None, description="trained weights that the model is evaluated with: an adapter's folder, or a run directory"
    )
    method: str = Field(description="a registered method, or path/to/file.py:Class")
    method_args: dict[str, Any] = Field(description="the method's resolved settings")
    task: str = Field(description="a task, or task:split")
    seed: int = Field(0, description="seed of everything that is random")
    limit: int | None = Field(None, ge=1, description="only the first N items of each task")
    prompt: str | None = Field(None, description="a named prompt, or a Jinja file; default: the task's own")
    prompt_source: str | None = Field(None, description="what the Jinja file held when the run was planned")
    permute_choices: int | None = Field(
        None, description="show the options of each item in another order, by this seed"
    )
    data_dir: str | None = Field(None, description="folder that holds one folder per benchmark, as published")
    source: str | None = Field(None, description="official (files below --data-dir), or a hub data set")
    include_path: str | None = Field(None, description="folder with tasks of your own")
    audio: AudioAblation | None = Field(None, description="what is heard in place of the recordings (audio ablation)")
    adapt_task: str | None = Field(None, description="adapt on the questions of this task; default: the scored one")
    train_task: str | None = Field(
        None, description="task with labels for methods that need one, as synth_aqa:train; same: the scored one"
    )
    train_data_dir: str | None = Field(None, description="--data-dir of the training task; default: --data-dir")
    train_audio: AudioAblation | None = Field(None, description="what is heard in the training task")
    train_limit: int = Field(1000, ge=1, description="only the first N items of the training task")
    batch_size: int = Field(32, ge=1, description="questions sampled in one batch; more on a GPU of 40 GB and more")
    max_tokens: int = Field(64, ge=1, description="longest completion, in tokens")
    long_audio: LongAudio = Field(
        "cut",
        description="recordings longer than the model's window: cut (it hears the beginning, and the item is named; "
        "default), chunk (it hears all, in parts one after another) or skip (not asked, counted as wrong)",
    )
    device: str | None = Field(
        None, pattern=r"^(cpu|cuda(:\d{1,3})?)$", description="cpu or cuda; default: cuda where there is one"
    )
    deterministic: bool = Field(
        False,
        description="the same command gives the same bytes on the same GPU, more slowly, or stops where it cannot; on "
        "a CPU it does so anyway",
    )
    save_every: int | None = Field(
        None,
        ge=1,
        description="steps between checkpoints; the last step always has one; default: by their size, 1 below 1 GiB",
    )
    max_errors: Annotated[str | None, BeforeValidator(_max_errors)] = Field(
        None,
        description="how many items may fail before the run stops: a number, or a share of them as 1% or 0.01; those "
        "that fail count as wrong; default: 1%, with --long-audio skip any number",
    )
    holdout: float = Field(0.0, ge=0, lt=1, description="score only this share of the items, and adapt on the rest")
    judge: str | None = Field(None, description="URL of an OpenAI-compatible server that judges open answers")
    judge_model: str | None = Field(None, description="model of the judge; its key is read from OPENAI_API_KEY")
    similarity: str | None = Field(None, description="sentence-transformers model that compares open answers")
    curve_every: int = Field(0, ge=0, description="also score every N steps; nothing learns from it")


class ResponsesSpec(_Spec):
    """Responses that were produced elsewhere and scored by ``audio-eval score``; ``responses`` is the file's sha256."""

    task: str
    name: str
    responses: str
    prompt: str | None = None
    permute_choices: int | None = None
    judge: str | None = None
    similarity: str | None = None


def same_run(one: RunSpec | ResponsesSpec, other: RunSpec | ResponsesSpec) -> bool:
    """Whether two specs give the same numbers: how often a checkpoint is written changes none."""
    a, b = (s.model_copy(update=_CHANGES_NOTHING) if isinstance(s, RunSpec) else s for s in (one, other))
    return type(a) is type(b) and redacted(a.model_dump()) == redacted(b.model_dump())  # as one of them was written


def settings_of(spec: RunSpec | ResponsesSpec) -> dict[str, Any]:
    """The settings on which numbers depend, by name, as they are written; those of method and backend under names of
    their own.
    """
    flat: dict[str, Any] = {}
    for key, value in redacted(spec.model_dump(mode="json", exclude=set(_CHANGES_NOTHING))).items():
        flat |= {f"{key}.{inner}": v for inner, v in value.items()} if isinstance(value, dict) else {key: value}
    return flat


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is not the same in two ``settings_of``, in words."""
    return [
        f"{key} was {before.get(key)!s:.200} and is {now.get(key)!s:.200}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
