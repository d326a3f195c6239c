"""The hf backend's door: its settings, where its checkpoints are, and how it loads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from audio_eval.errors import NotHere
from audio_eval.models.backends import BackendConfig, Limits
from audio_eval.models.catalog import ModelEntry
from audio_eval.models.policy import TrainablePolicy


class HFConfig(BackendConfig):
    """Settings of the hf backend. All but ``dtype`` and ``revision`` change speed and memory, never a result."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="number type of the weights; auto: bfloat16 on a GPU, float32 on a CPU"
    )
    revision: str | None = Field(None, description="commit, tag or branch of a hub repository")
    cache_gb: float = Field(2.0, ge=0, description="encoded clips kept, in gigabytes; 10 s of a 3B model are 1 MB")
    cache_on: Literal["device", "host"] = Field("device", description="where they are kept; host: pinned beside a GPU")
    cache_dir: str | None = Field(None, description="folder for clips beyond cache_gb; none: they are encoded again")
    prefill_tokens: int = Field(8192, ge=0, description="prompt tokens of the last batch kept until a weight changes")
    token_budget: int = Field(32768, ge=1, description="prompt tokens of a batch, padding included")
    threads: int | None = Field(None, ge=0, description="threads that decode audio ahead; none: 2 beside a GPU, else 0")
    ahead_seconds: float = Field(900.0, gt=0, description="seconds of audio decoded ahead; 900 s are 100 MB")


class HF:
    """transformers checkpoints that generate and train in this process."""

    name: ClassVar[str] = "hf"
    Config: ClassVar[type[BackendConfig]] = HFConfig
    can_train: ClassVar[bool] = True

    def locate(self, entry: ModelEntry) -> str:
        """The checkpoint's folder, its own or a hub snapshot in the local cache that has every weight file."""
        source = Path(entry.source).expanduser()
        if source.is_dir():
            return str(source)
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            folder = Path(snapshot_download(entry.source, revision=entry.revision, local_files_only=True))
        except (LocalEntryNotFoundError, HFValidationError):
            raise NotHere(f"{entry.source} is not on this machine: a dry run downloads no model") from None
        index = folder / "model.safetensors.index.json"
        weights = (
            set(json.loads(index.read_text())["weight_map"].values()) if index.is_file() else {"model.safetensors"}
        )
        if absent := sorted(name for name in weights if not (folder / name).is_file()):
            raise NotHere(f"{entry.source} is incomplete on this machine ({absent[0]} is missing)")
        return str(folder)

    def load(self, name: str, entry: ModelEntry, config: HFConfig, limits: Limits) -> TrainablePolicy:
        """The policy; a hub repository is downloaded where it is not in the cache."""
        from audio_eval.models.hf.cache import CacheSettings
        from audio_eval.models.hf.policy import HFPolicy
        from audio_eval.models.hf.settings import EngineSettings

        cache = CacheSettings(
            int(config.cache_gb * 2**30), config.cache_on, Path(config.cache_dir) if config.cache_dir else None
        )
        engine = EngineSettings(cache, config.prefill_tokens, config.token_budget, config.threads, config.ahead_seconds)
        return HFPolicy(
            name,
            entry.source,
            device=limits.device,
            batch_size=limits.batch_size,
            max_tokens=limits.max_tokens,
            revision=config.revision or entry.revision,
            engine=engine,
            dtype=config.dtype,
        )
