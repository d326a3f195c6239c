"""Named models, registered by entry point ``audio_eval.models``; light enough for ``audio-eval ls``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from audio_eval.errors import UserError
from audio_eval.plugins import named


class ModelEntry(BaseModel):
    """A named model: where its backend finds it, and which preset of each method suits it, if the method has one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str  # a folder, a hub id, or whatever else its backend takes
    summary: str
    backend: str = "hf"
    preset: str | None = None
    revision: str | None = None  # commit, branch or tag; None: the latest
    name: str = ""  # the name it was asked for by, filled in by ``find_model``
    adapter: str | None = None  # a folder of trained weights to evaluate the model with (--adapter)

    def usual(self, presets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Of a method's presets, the settings of the one for this model; empty where the method has none."""
        return dict(presets.get(self.preset or "", {}))


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
    folder = Path(model).expanduser()
    if "/" in model or folder.is_dir():
        name = folder.resolve().name if folder.is_dir() else model
        return ModelEntry(source=model, summary="given by path or hub id", name=name)
    entry = named("models", "model", model)
    if not isinstance(entry, ModelEntry):
        raise UserError(f"model '{model}' is registered, but not as an audio_eval.models.catalog.ModelEntry.")
    return entry.model_copy(update={"name": model})
