"""Settings of the hf backend (``--model-args``)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from audio_eval.models.backends import BackendConfig


class EngineSettings(BackendConfig):
    """``dtype`` and ``revision`` decide what the model computes; all others change speed and memory only, and
    ``merge_rollouts``, ``cuda_graphs`` and ``static_shapes`` the last bits of what it computes when it samples.
    """

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="precision of the weights; auto: bfloat16 on a GPU, float32 on a CPU"
    )
    revision: str | None = Field(default=None, description="commit, branch or tag on the hub; null: the latest")
    cache_gb: float = Field(default=2.0, ge=0, description="GiB of encoded clips that are kept to be used again")
    cache_on: Literal["device", "host"] = Field(
        default="device", description="where these clips are kept; host: CPU memory"
    )
    cache_dir: str | None = Field(
        default=None,
        description="folder for encoded clips that do not fit; null: they are encoded again",
    )
    prefetch_threads: int | None = Field(
        default=None, ge=0, description="threads that decode audio ahead of the model; null: 2 with a GPU, 0 on a CPU"
    )
    prefetch_seconds: float = Field(default=900.0, gt=0, description="seconds of audio decoded ahead (900: 100 MB)")
    token_budget: int = Field(default=32768, ge=1, description="prompt tokens of a generation batch, with padding")
    prefill_tokens: int = Field(
        default=8192,
        ge=0,
        description="prompt tokens whose keys and values are kept for the next call (8192 of a 3B: 300 MB)",
    )
    merge_rollouts: Literal["auto"] | bool = Field(
        default="auto", description="sample with LoRA adapters merged into the weights; auto: on a GPU"
    )
    cuda_graphs: Literal["auto"] | bool = Field(
        default="auto", description="launch a token step as one CUDA graph; auto: where that is possible"
    )
    static_shapes: bool = Field(
        default=False, description="pad token steps as for CUDA graphs where there are none, as on a CPU (slower)"
    )
