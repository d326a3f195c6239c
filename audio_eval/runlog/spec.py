"""spec.json: everything that decides a run's numbers. Equal specs on equal code give equal results."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# What the model hears instead of the recordings: see audio_eval.runs.ablation.
AudioAblation = Literal["silence", "shuffled", "none"]
NO_TRAIN_TASK = (
    "method '{}' learns from labels: name a training task, as in --train-task synth_aqa:train "
    "(--train-task same takes the scored items' own answers, and every table will say so)."
)


class RunSpec(BaseModel):
    """One (model, method, task, seed), fully resolved, as it stands in ``spec.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(description="a named model, a hub id or a folder")
    method: str = Field(description="a registered method, or path/to/file.py:Class")
    method_args: dict[str, Any] = Field(description="the method's resolved settings")
    task: str = Field(description="a task, or task:split")
    seed: int = 0
    limit: int | None = Field(None, ge=1, description="first items of the task only")
    prompt: str | None = Field(None, description="named prompt template, or a Jinja file's; default: the task's own")
    prompt_source: str | None = Field(None, description="what the Jinja file held when the run was planned")
    permute_choices: int | None = Field(None, description="seed for another order of each item's options")
    data_dir: str | None = Field(None, description="folder that holds one folder a benchmark")
    source: str | None = Field(None, description="where the items are read from: official, or a hub data set")
    include_path: str | None = Field(None, description="folder with further tasks")
    audio: AudioAblation | None = Field(None, description="what is heard instead of the recordings; default: they are")
    adapt_task: str | None = Field(None, description="task whose questions are adapted on; default: the scored one")
    train_task: str | None = Field(
        None, description="labelled task for methods that need one; 'same' is the scored one"
    )
    train_data_dir: str | None = Field(None, description="data_dir of the training task alone; default: data_dir")
    train_audio: AudioAblation | None = Field(None, description="the same for the training task")
    train_limit: int = Field(1000, ge=1, description="first items of the training task")
    batch_size: int = Field(32, ge=1, description="questions sampled together")
    max_tokens: int = Field(64, ge=1, description="longest completion")
    device: str | None = Field(None, description="cpu, cuda; default: what there is")
    save_every: int = Field(1, ge=1, description="steps from one checkpoint to the next; the last step has one anyway")
    holdout: float = Field(0.0, ge=0, lt=1, description="share of the items kept from adaptation; only they are scored")
    judge: str | None = Field(None, description="URL of an OpenAI-compatible server that judges open answers")
    judge_model: str | None = Field(None, description="its model")
    similarity: str | None = Field(None, description="sentence-transformers model for the similarity of open answers")
    curve_every: int = Field(0, ge=0, description="also score every so many steps; an oracle's view, never fed back")


class ResponsesSpec(BaseModel):
    """Responses that were produced elsewhere and scored by ``audio-eval score``; ``responses`` is the file's sha256."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    name: str
    responses: str
    data: str
    prompt: str | None = None
    permute_choices: int | None = None
    judge: str | None = None
    similarity: str | None = None
