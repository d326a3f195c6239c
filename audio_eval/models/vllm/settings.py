"""Settings of the vllm backend (``--model-args``)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from audio_eval.models.backends import BackendConfig


class VLLMSettings(BackendConfig):
    """``dtype``, ``revision`` and ``max_model_len`` may decide what is answered; all others change speed and memory."""

    gpu_memory_utilization: float = Field(
        default=0.9, gt=0, le=1,
        description="share of a GPU's memory that vLLM takes for weights, activations and keys; less, if others use it",
    )  # fmt: skip
    kv_cache_gb: float | None = Field(
        default=None, gt=0,
        description="GiB for keys and values, whatever the share says; null: the share's rest, on a CPU 2",
    )  # fmt: skip
    tensor_parallel: int = Field(default=1, ge=1, description="GPUs that each layer is divided over")
    max_model_len: int | None = Field(
        default=None, ge=1, description="tokens of a prompt and its completion together; null: the model's own limit"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="precision of the weights; auto: bfloat16 on a GPU, float32 on a CPU"
    )
    enforce_eager: bool | None = Field(
        default=None, description="run without compiled code and CUDA graphs; null: on a CPU alone"
    )
    prefix_caching: bool = Field(default=True, description="keep the keys of prompts for questions that begin alike")
    lora_rank: int = Field(
        default=0, ge=0, description="the largest rank of adapters that a trainer may hand over; 0: none are taken"
    )
    revision: str | None = Field(default=None, description="commit, branch or tag on the hub; null: the latest")
