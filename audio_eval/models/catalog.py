"""Named models, registered by entry point ``audio_eval.models``; what is light enough for ``audio-eval ls``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from audio_eval.models.policy import Policy
from audio_eval.plugins import named


class ModelEntry(BaseModel):
    """A named model. ``method_args`` are the settings a method takes with this model unless told otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    summary: str
    backend: str = "hf"
    method_args: dict[str, dict[str, Any]] = {}


# chosen on synth_aqa:validation, docs/results.md; a model of this size learns at rates that would ruin a large one
_TINY = {"tune": "full", "lr": 3e-4, "batch_size": 16}
_STEPPING = (
    "aqa_ttrl", "view_ttrl", "ttrl", "op_ttrl", "grpo", "sari", "random_reward", "format_reward", "wrong_majority",
)  # fmt: skip
TINY_OMNI = ModelEntry(
    source=str(Path(__file__).parent / "tiny_omni" / "checkpoint"),
    summary="embedded, 1.6 M parameters, the Qwen2.5-Omni thinker class; for demos and tests",
    method_args={"sft": _TINY, "xs_cot": _TINY, **{name: {**_TINY, "steps": 100} for name in _STEPPING}},
)
QWEN25_OMNI_3B = ModelEntry(source="Qwen/Qwen2.5-Omni-3B", summary="thinker of Qwen2.5-Omni-3B (hub)")
QWEN25_OMNI_7B = ModelEntry(source="Qwen/Qwen2.5-Omni-7B", summary="thinker of Qwen2.5-Omni-7B (hub)")
QWEN2_AUDIO = ModelEntry(source="Qwen/Qwen2-Audio-7B-Instruct", summary="Qwen2-Audio-7B-Instruct (hub)")


def find_model(model: str) -> ModelEntry:
    """A named model, or an entry for a folder or a hub id (anything with a slash)."""
    if "/" in model or Path(model).expanduser().is_dir():
        return ModelEntry(source=model, summary="given by path or hub id")
    entry = named("models", "model", model)
    assert isinstance(entry, ModelEntry)
    return entry


def load_policy(model: str, batch_size: int = 32, max_tokens: int = 64, device: str | None = None) -> Policy:
    """Load a model as a policy; the backend is imported here and not before."""
    entry = find_model(model)
    from audio_eval.models.hf.policy import HFPolicy

    name = Path(model).name if Path(model).is_dir() else model
    return HFPolicy(name, entry.source, device, batch_size, max_tokens)
