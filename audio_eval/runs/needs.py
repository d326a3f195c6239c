"""Memory and disk that a run needs, by arithmetic, beside what is there; and settings with which it needs less."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import torch

from audio_eval.errors import NotHere
from audio_eval.models.backends import choose
from audio_eval.models.hf.dimensions import Dimensions, of_source
from audio_eval.models.hf.needs import Needs, Sampled, Work, needs
from audio_eval.models.hf.room import LEAST
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.models.policy import Training
from audio_eval.registry import method_class
from audio_eval.rl.checkpoints import due, interval, room
from audio_eval.runlog.spec import RunSpec

GB = 1e9
# Where the items are not known: recordings of half a minute, a question with options, and as many items as MMAU's test.
SECONDS, PROMPT, ITEMS = 30.0, 900, 1000
# What makes a run smaller, in the order in which it is given up: the first three change no result but for rounding.
SMALLER: tuple[dict[str, Any], ...] = (
    {"checkpointing": True, "token_budget": LEAST}, {"optimizer": "adamw_offloaded"}, {"logits_chunk": 256},
    {"train_tower": False}, {"tune": "lora", "lr": 1e-5},
)  # fmt: skip


def run_needs(
    spec: RunSpec, gpu: bool, prompt: int = PROMPT, seconds: float = SECONDS, clips: int = ITEMS,
    dimensions: Dimensions | None = None,
) -> tuple[Needs, int]:  # fmt: skip
    """What the run needs of device and host, and bytes of disk while it writes checkpoints.

    ``prompt`` and ``seconds`` are those of the longest prompt and recording, ``clips`` the number of recordings.
    ``NotHere`` for a model whose dimensions are not known, and for one that another backend runs.
    """
    chosen = choose(spec.model, spec.backend, spec.model_args)
    if not isinstance(chosen.config, EngineSettings):
        raise NotHere(f"backend '{chosen.backend.name}' keeps the model elsewhere")
    method = method_class(spec.method)
    built = method(method.Config(**spec.method_args))
    config: Any = built.config
    cost = built.cost(ITEMS, ITEMS, ITEMS)
    step, steps = getattr(config, "batch_size", 0), cost.steps
    training = config if isinstance(config, Training) and steps else None
    each = steps * step * getattr(config, "max_attempts", 1)
    sampled = [Sampled("answers", spec.batch_size, max(1, cost.answers // ITEMS), training is not None)]
    if cost.votes:
        sampled.append(Sampled("votes", spec.batch_size, max(1, cost.votes // ITEMS)))
    if training is not None and cost.rollouts:
        sampled.append(Sampled("rollouts", step, max(1, cost.rollouts // each), True))
    work = Work(
        sampled, prompt, getattr(config, "max_tokens", None) or spec.max_tokens, seconds, clips,
        step=min(step, getattr(config, "mini_batch", None) or step),
        group=max(1, cost.trained // (steps * step)) if training is not None else 0,
    )  # fmt: skip
    found = needs(dimensions or of_source(chosen.entry.source), work, chosen.config, training, gpu)
    disk = 0
    if training is not None:
        last = due(0, steps, spec.save_every or interval(found.checkpoint))
        disk = room([found.weights if weights_only else found.checkpoint for weights_only in last])
    return found, disk


def smaller(spec: RunSpec, limit: float) -> tuple[dict[str, Any], RunSpec] | None:
    """Settings with which the run fits into ``limit`` bytes of a GPU: the fewest changes, and those first that change
    no result. None where it fits as it is, or not at all.
    """
    dimensions = of_source(choose(spec.model, spec.backend, spec.model_args).entry.source)

    def changed(changes: Mapping[str, Any]) -> RunSpec:
        return spec.model_copy(update={"method_args": {**spec.method_args, **changes}})

    def fits(changes: Mapping[str, Any]) -> bool:
        return run_needs(changed(changes), gpu=True, dimensions=dimensions)[0].device <= limit

    taken: list[dict[str, Any]] = []
    for change in SMALLER:
        if fits(_merged(taken)):
            break
        taken.append({key: value for key, value in change.items() if spec.method_args.get(key) != value})
    if not taken or not fits(_merged(taken)):
        return None
    for change in list(taken):
        without = [other for other in taken if other is not change]
        if fits(_merged(without)):
            taken = without
    return _merged(taken), changed(_merged(taken))


def _merged(changes: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: value for change in changes for key, value in change.items()}


def on_gpu(spec: RunSpec) -> bool:
    """Whether the run would be on a GPU of this machine."""
    return spec.device != "cpu" and torch.cuda.is_available()


def lacking(spec: RunSpec, found: Needs, disk: int, free: Mapping[str, float]) -> list[str]:
    """What is needed and not there, one line each; of a GPU with the settings that would do."""
    needed = {"device": float(found.device), "host": float(found.host), "disk": float(disk)}
    names = {"device": "the GPU's memory" if on_gpu(spec) else "the machine's memory", "host": "host memory"}
    lines = []
    for name, size in needed.items():
        if size > free[name] and (name != "host" or on_gpu(spec)):
            text = f"{size / GB:.1f} GB of {names.get(name, name)}, and {free[name] / GB:.1f} GB are free"
            less = smaller(spec, free["device"]) if name == "device" and on_gpu(spec) else None
            settings = ",".join(f"{key}={str(value).lower()}" for key, value in less[0].items()) if less else ""
            lines.append(text + (f": --method-args {settings} would fit" if settings else ""))
    return lines


def there(gpu: bool, output: Path) -> dict[str, float]:
    """Bytes that are free: of the device, of the host, of the disk where ``output`` is."""
    host = float(psutil.virtual_memory().available)
    folder = next(path for path in (output.absolute(), *output.absolute().parents) if path.exists())
    device = float(torch.cuda.mem_get_info()[0]) if gpu else host
    return {"device": device, "host": host, "disk": float(shutil.disk_usage(folder).free)}
