"""Settings of the vllm backend (``--model-args``)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from audio_eval.models.backends import BackendConfig
from audio_eval.models.policy import Training

_ALONE, _BESIDE_LORA, _BESIDE_FULL = 0.9, 0.4, 0.25  # shares of a GPU's memory


class VLLMSettings(BackendConfig):
    """``dtype``, ``revision`` and ``max_model_len`` may decide what is answered; all others change speed and memory."""

    gpu_memory_utilization: float | None = Field(
        default=None, gt=0, le=1,
        description="share of a GPU's memory that vLLM takes for weights, activations and keys; null: 0.9, where a "
        "method trains beside it 0.4, with tune=full 0.25",
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
    lora_rank: int | None = Field(
        default=None, ge=0,
        description="the largest rank of adapters that a trainer may hand over; null: the method's; 0: none are taken",
    )  # fmt: skip
    merge: bool = Field(
        default=False, description="a trained adapter is handed over merged into the weights: more at each step, less "
        "for each token"
    )  # fmt: skip
    server: bool = Field(default=False, description="true: vLLM runs as a server of its own, not in this process")
    base_url: str | None = Field(
        default=None, description="a vLLM server that runs, as http://localhost:8000/v1; docs/vllm-training.md"
    )
    server_wait: float = Field(default=900.0, gt=0, description="seconds that a server of its own may take to start")
    seed: bool = Field(
        default=True, description="send a seed with every request to a server; false for one on a CPU, which fails then"
    )
    concurrency: int | None = Field(
        default=None, ge=1, le=1024, description="requests to a server under way at once; null: as many as --batch-size"
    )
    revision: str | None = Field(default=None, description="commit, branch or tag on the hub; null: the latest")

    def beside(self, training: Training | None) -> VLLMSettings:
        """The settings for sampling beside this training, with what was left open decided."""
        share, rank = _ALONE, 0
        if training is not None:
            lora = training.tune == "lora"
            share, rank = (_BESIDE_LORA, 0 if self.merge else training.lora_r) if lora else (_BESIDE_FULL, 0)
        return self.model_copy(
            update={
                "gpu_memory_utilization": self.gpu_memory_utilization or share,
                "lora_rank": rank if self.lora_rank is None else self.lora_rank,
            }
        )
