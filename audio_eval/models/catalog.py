"""Named models, registered by entry point ``audio_eval.models``; light enough for ``audio-eval ls``."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from audio_eval.plugins import named


class ModelEntry(BaseModel):
    """A named model. ``preset`` names the preset that methods take with it unless told otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    summary: str
    backend: str = "hf"
    preset: str | None = None
    revision: str | None = None


TINY_OMNI = ModelEntry(
    source=str(Path(__file__).parent / "tiny_omni" / "checkpoint"),
    summary="embedded, 1.6 M parameters, the Qwen2.5-Omni thinker class; for demos and tests",
    preset="small",
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
