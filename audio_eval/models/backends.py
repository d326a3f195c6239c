"""Backends: what turns a model entry into a policy; registered by entry point ``audio_eval.backends``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from audio_eval.errors import UserError, explain, unknown
from audio_eval.models.catalog import ModelEntry, find_model
from audio_eval.models.policy import Policy
from audio_eval.plugins import named


class BackendConfig(BaseModel):
    """Base of every backend's settings (``--model-args``); an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Limits:
    """What a run asks of any backend: questions sampled together, longest completion, device (None: it chooses)."""

    batch_size: int = 32
    max_tokens: int = 64
    device: str | None = None


class Backend(Protocol):
    """Makes policies. Importing a backend must be cheap: ``load`` imports what is heavy."""

    name: ClassVar[str]
    Config: ClassVar[type[BackendConfig]]
    can_train: ClassVar[bool]

    def locate(self, entry: ModelEntry) -> str:
        """What ``load`` will read (a folder, a URL), nothing fetched; ``NotHere`` where it is not on this machine."""
        ...

    def load(self, name: str, entry: ModelEntry, config: Any, limits: Limits) -> Policy:
        """The policy; ``name`` is what results call it, ``config`` an instance of ``Config``."""
        ...


def find_backend(name: str) -> Backend:
    """A registered backend; ``UserError`` where it is unknown or cannot be loaded."""
    found = named("backends", "backend", name)
    backend: Backend = found() if isinstance(found, type) else found
    missing = [part for part in ("name", "Config", "can_train", "locate", "load") if not hasattr(backend, part)]
    if missing:
        raise UserError(f"backend '{name}' is none: it lacks {', '.join(missing)} (see audio_eval.models.backends).")
    return backend


def configure(backend: Backend, settings: Mapping[str, Any]) -> BackendConfig:
    """``--model-args`` as the backend's checked settings."""
    for key in settings:
        if key not in backend.Config.model_fields:
            raise unknown("setting", key, backend.Config.model_fields, f" of backend '{backend.name}' (--model-args)")
    try:
        return backend.Config(**settings)
    except ValidationError as error:
        raise UserError(f"--model-args of backend '{backend.name}': {explain(error)}") from None


def load_policy(
    model: str, limits: Limits | None = None, backend: str | None = None, model_args: Mapping[str, Any] | None = None
) -> Policy:
    """Load a named model, a hub id or a folder as a policy, by its entry's backend unless another is named."""
    entry = find_model(model)
    chosen = find_backend(backend or entry.backend)
    name = Path(model).name if Path(model).is_dir() else model
    return chosen.load(name, entry, configure(chosen, model_args or {}), limits or Limits())
