"""Backends: what loads a model as a Policy. Registered by entry point ``audio_eval.backends``; "hf" is the first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, ValidationError

from audio_eval.errors import UserError, explain, unknown
from audio_eval.models.catalog import ModelEntry, find_model
from audio_eval.models.policy import Policy, Training
from audio_eval.plugins import named

# What becomes of a recording that is longer than the model's window: its beginning is heard, it is heard in parts one
# after another, or the item fails.
LongAudio = Literal["cut", "chunk", "skip"]


class BackendConfig(BaseModel):
    """Base class of a backend's settings (``--model-args``). Every field has a default and a description."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Limits:
    """What a run allows its policy."""

    batch_size: int = 32  # questions that are sampled together
    max_tokens: int = 64  # longest completion, where the sampling does not say
    device: str | None = None  # "cpu", "cuda"; None: the backend chooses
    long_audio: LongAudio = "cut"  # of a recording longer than the model's window; skip: it fails with the reason
    deterministic: bool = False  # the same call gives the same bits on the same device
    training: Training | None = None  # of the method that will train the policy, for a backend that ``heeds_training``


@runtime_checkable
class Backend(Protocol):
    """The registered class is instantiated without arguments. Importing it loads nothing heavy.

    Of ``Config``, a field ``revision`` has a meaning to all: it replaces the model entry's. A backend may also have
    ``takes_adapter = True``, if ``load`` heeds ``entry.adapter``; ``takes_long_audio``, where its policies know their
    window, the ``limits.long_audio`` that they heed besides "cut"; ``can_be_deterministic = True``, if ``load`` heeds
    ``limits.deterministic``; ``heeds_training = True``, if ``load`` needs to know
    of the method's training (``limits.training``, None where none follows); and ``digests(entry)``, the sha256 by name
    of the files that decide what the model says, which tell a run of these weights from one of others (``NotHere`` as
    for ``locate``), or, where no file can be read, ``identity(entry, config)``, what else is known of them. Without
    either the policy's ``info.revision`` has to tell them apart. ``batch_size(device)`` is the number of questions per
    batch where the user gives none; it goes into the run's spec. With ``entry(model)`` the backend names its models
    itself, and the catalog is not asked.
    """

    name: str
    Config: type[BackendConfig]
    can_train: bool  # whether its policies are TrainablePolicy

    def locate(self, entry: ModelEntry) -> str:
        """What ``load`` would read, such as a folder. ``NotHere`` if that is not on this machine; no download."""
        ...

    def load(self, entry: ModelEntry, config: Any, limits: Limits) -> Policy:
        """The model as a policy called ``entry.name``. ``config`` is a ``Config``."""
        ...


@dataclass(frozen=True)
class Chosen:
    """A model with the backend that loads it, and the backend's settings."""

    entry: ModelEntry
    backend: Backend
    config: BackendConfig

    def locate(self) -> str:
        """``Backend.locate`` of the model."""
        return self.backend.locate(self.entry)

    def digests(self) -> dict[str, str]:
        """The sha256 by name of the files that decide what the model says; empty where the backend does not tell."""
        if known := getattr(self.backend, "identity", None):
            return known(self.entry, self.config)
        found = getattr(self.backend, "digests", None)
        return found(self.entry) if found else {}

    def batch_size(self, device: str | None) -> int | None:
        """Questions per batch where the user gives none; None: the usual number."""
        found = getattr(self.backend, "batch_size", None)
        return found(device) if found else None

    def load(self, limits: Limits) -> Policy:
        """``Backend.load`` of the model."""
        check_long_audio(self.backend, limits.long_audio)
        check_deterministic(self.backend, limits.deterministic)
        return self.backend.load(self.entry, self.config, limits)


def find_backend(name: str) -> Backend:
    """A registered backend; what cannot work as one is a ``UserError``."""
    try:
        found = named("backends", "backend", name)()
    except TypeError as error:
        raise UserError(f"backend '{name}' cannot be made: {error}.") from error
    config = getattr(found, "Config", None)
    if not (isinstance(found, Backend) and isinstance(config, type) and issubclass(config, BackendConfig)):
        raise UserError(f"backend '{name}' does not have what audio_eval.models.backends.Backend asks for.")
    if found.name != name:
        raise UserError(f"backend '{name}' is registered under this name but its class says name = '{found.name}'.")
    return found


def choose(
    model: str, backend: str | None = None, model_args: Mapping[str, Any] | None = None, adapter: str | None = None
) -> Chosen:
    """Resolve a model's name, backend (None: the model entry's) and settings; nothing is loaded."""
    found = find_backend(backend) if backend else None
    named = getattr(found, "entry", find_model)  # a server has names of its own
    entry = named(model)
    found = found or find_backend(entry.backend)
    config = configure(found, model_args or {})
    if revision := getattr(config, "revision", None):
        if entry.revision not in (None, revision) and model.endswith(f"@{entry.revision}"):
            raise UserError(f"--model '{model}' and --model-args revision={revision} name two revisions: give one.")
        entry = entry.model_copy(update={"revision": revision})
    if adapter:
        if not getattr(found, "takes_adapter", False):
            raise UserError(f"backend '{found.name}' takes no --adapter.")
        entry = entry.model_copy(update={"adapter": adapter})
    return Chosen(entry, found, config)


def check_long_audio(backend: Backend, how: str) -> None:
    """``UserError`` if ``backend`` does not heed ``--long-audio how``."""
    known = getattr(backend, "takes_long_audio", ())
    if how == "cut" or how in known:
        return
    if not known:
        raise UserError(f"backend '{backend.name}' does not know its models' windows: leave --long-audio out.")
    raise UserError(f"backend '{backend.name}' does not take --long-audio {how}: give {' or '.join(('cut', *known))}.")


def check_deterministic(backend: Backend, wanted: bool) -> None:
    """``UserError`` if ``wanted`` and ``backend`` cannot promise the same bits."""
    if wanted and not getattr(backend, "can_be_deterministic", False):
        raise UserError(
            f"backend '{backend.name}' computes in another program, and cannot promise the same bytes: leave "
            "--deterministic out, or take --backend hf."
        )


def configure(backend: Backend, model_args: Mapping[str, Any]) -> BackendConfig:
    """The backend's settings, checked."""
    for key in model_args:
        if key not in backend.Config.model_fields:
            raise unknown("setting", str(key), backend.Config.model_fields, f" of backend '{backend.name}'")
    try:
        return backend.Config(**model_args)
    except ValidationError as error:
        raise UserError(f"backend '{backend.name}': {explain(error)}") from None


def load_policy(
    model: str, limits: Limits | None = None, backend: str | None = None, model_args: Mapping[str, Any] | None = None,
    adapter: str | None = None,
) -> Policy:  # fmt: skip
    """Load a model, given by name, hub id or folder, as a policy."""
    return choose(model, backend, model_args, adapter).load(limits or Limits())
