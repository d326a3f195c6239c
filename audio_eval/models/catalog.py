"""Named models, registered by entry point ``audio_eval.models``; light enough for ``audio-eval ls``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from audio_eval.errors import UserError
from audio_eval.plugins import named


class ModelEntry(BaseModel):
    """A named model: where its backend finds it, and which preset of each method suits it, if the method has one.

    What is not recorded here (None) is said to be so; nothing is guessed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str  # a folder, a hub id, or whatever else its backend takes
    summary: str
    parameters: str | None = None  # how many, in words
    window: float | None = None  # seconds of audio; a longer recording is cut, or as --long-audio says
    licence: str | None = None  # of the weights
    backend: str = "hf"
    since: str | None = None  # the first transformers that it works with; None: any that this package allows
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
    parameters="1.6 M",
    window=300,
    licence="Apache-2.0",
    preset="small",
)
QWEN25_OMNI_3B = ModelEntry(
    source="Qwen/Qwen2.5-Omni-3B", summary="thinker of Qwen2.5-Omni-3B (hub)", parameters="3 B", window=300
)
QWEN25_OMNI_7B = ModelEntry(
    source="Qwen/Qwen2.5-Omni-7B", summary="thinker of Qwen2.5-Omni-7B (hub)", parameters="7 B", window=300
)
QWEN2_AUDIO = ModelEntry(
    source="Qwen/Qwen2-Audio-7B-Instruct", summary="Qwen2-Audio-7B-Instruct (hub)", parameters="7 B", window=30
)
VOXTRAL_MINI = ModelEntry(
    source="mistralai/Voxtral-Mini-3B-2507", summary="Voxtral-Mini-3B-2507 (hub)", parameters="3 B", window=2400,
    licence="Apache-2.0",
)  # fmt: skip
PHI4_MULTIMODAL = ModelEntry(
    source="microsoft/Phi-4-multimodal-instruct",
    summary="Phi-4-multimodal-instruct with its speech adapter (hub)",
    parameters="5.6 B",
    window=1800,
    licence="MIT",
    revision="refs/pr/70",  # the layout of transformers' class; main has its makers' own code
)
GRANITE_SPEECH_2B = ModelEntry(
    source="ibm-granite/granite-speech-3.3-2b", summary="granite-speech-3.3-2b with its adapter (hub)",
    parameters="2 B", window=500, licence="Apache-2.0",
)  # fmt: skip
GRANITE_SPEECH_8B = ModelEntry(
    source="ibm-granite/granite-speech-3.3-8b", summary="granite-speech-3.3-8b with its adapter (hub)",
    parameters="8 B", window=500, licence="Apache-2.0",
)  # fmt: skip
GRANITE_SPEECH_PLUS = ModelEntry(
    source="ibm-granite/granite-speech-4.1-2b-plus", summary="granite-speech-4.1-2b-plus (hub)",
    parameters="2 B", window=500, licence="Apache-2.0",
)  # fmt: skip
GEMMA_3N_E2B = ModelEntry(
    source="google/gemma-3n-E2B-it", summary="Gemma 3n E2B, instruction-tuned (hub)", parameters="6 B, 2 B effective",
    window=30, licence="Gemma",
)  # fmt: skip
GEMMA_3N_E4B = ModelEntry(
    source="google/gemma-3n-E4B-it", summary="Gemma 3n E4B, instruction-tuned (hub)", parameters="8 B, 4 B effective",
    window=30, licence="Gemma",
)  # fmt: skip
GEMMA_4_E2B = ModelEntry(
    source="google/gemma-4-E2B-it", summary="Gemma 4 E2B, instruction-tuned (hub)", parameters="2 B effective",
    window=30, licence="Apache-2.0",
)  # fmt: skip
GEMMA_4_E4B = ModelEntry(
    source="google/gemma-4-E4B-it", summary="Gemma 4 E4B, instruction-tuned (hub)", parameters="4 B effective",
    window=30, licence="Apache-2.0",
)  # fmt: skip
GEMMA_4_12B = ModelEntry(
    source="google/gemma-4-12B-it", summary="Gemma 4 12B, instruction-tuned (hub)", parameters="12 B",
    licence="Apache-2.0",
)  # fmt: skip
GLM_ASR_NANO = ModelEntry(
    source="zai-org/GLM-ASR-Nano-2512", summary="GLM-ASR-Nano, trained to transcribe (hub)", parameters="1.5 B",
    window=630, licence="MIT",
)  # fmt: skip

QWEN3_OMNI_INSTRUCT = ModelEntry(
    source="Qwen/Qwen3-Omni-30B-A3B-Instruct",
    summary="thinker of Qwen3-Omni-30B-A3B-Instruct, a mixture of experts (hub)",
    parameters="30 B, 3 B active",
)
QWEN3_OMNI_THINKING = ModelEntry(
    source="Qwen/Qwen3-Omni-30B-A3B-Thinking",
    summary="thinker of Qwen3-Omni-30B-A3B-Thinking, a mixture of experts (hub)",
    parameters="30 B, 3 B active",
)
AUDIO_FLAMINGO_3 = ModelEntry(source="nvidia/audio-flamingo-3-hf", summary="Audio Flamingo 3 (hub)", window=600)
MUSIC_FLAMINGO = ModelEntry(source="nvidia/music-flamingo-2601-hf", summary="Music Flamingo (hub)", window=1200)
MELLOW = ModelEntry(
    source="soham97/mellow/v0.ckpt", summary="Mellow v0, through its own package", parameters="167 M", window=10,
    backend="mellow",
)  # fmt: skip
MELLOW_V0_S = ModelEntry(
    source="soham97/mellow/v0_s.ckpt", summary="Mellow v0_s (more audio), through its own package", parameters="167 M",
    window=10, backend="mellow",
)  # fmt: skip


def find_model(model: str) -> ModelEntry:
    """A folder, else a named model or a hub id (anything with a slash), either with ``@revision`` behind it."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return ModelEntry(source=model, summary="given by path", name=folder.resolve().name)
    base, at, revision = model.rpartition("@")
    if at and base and (Path(base).expanduser().is_dir() or not model.startswith((".", "/", "~"))):
        if not revision:
            raise UserError(f"model '{model}': a commit, branch or tag is missing behind the '@'.")
        entry = find_model(base)
        if Path(entry.source).is_dir():
            raise UserError(f"model '{model}': it is in a folder, which has no revisions; leave '@{revision}' out.")
        return entry.model_copy(update={"name": model, "revision": revision})
    if "/" in model:
        return ModelEntry(source=model, summary="given by hub id", name=model)
    entry = named("models", "model", model)
    if not isinstance(entry, ModelEntry):
        raise UserError(f"model '{model}' is registered, but not as an audio_eval.models.catalog.ModelEntry.")
    return entry.model_copy(update={"name": model})
