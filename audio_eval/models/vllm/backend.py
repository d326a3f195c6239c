"""The vllm backend: transformers checkpoints in vLLM. It takes weights from a trainer, but trains none."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from audio_eval.errors import UserError
from audio_eval.models.backends import Limits
from audio_eval.models.catalog import ModelEntry
from audio_eval.models.hf.backend import HF
from audio_eval.models.vllm.settings import VLLMSettings

if TYPE_CHECKING:
    from audio_eval.models.vllm.policy import VLLMPolicy


class VLLM:
    """A Backend. It reads the same checkpoints as ``HF``, and makes the same prompts of questions."""

    name = "vllm"
    Config = VLLMSettings
    can_train = False
    takes_adapter = True
    takes_long_audio = HF.takes_long_audio

    def locate(self, entry: ModelEntry) -> str:
        """The checkpoint's folder."""
        return HF().locate(entry)

    def digests(self, entry: ModelEntry) -> dict[str, str]:
        """The sha256 of the files of the checkpoint, and of the adapter's."""
        return HF().digests(entry)

    def load(self, entry: ModelEntry, config: VLLMSettings, limits: Limits) -> VLLMPolicy:
        """The model in this process, on the GPUs or the CPU that vLLM was built for."""
        if find_spec("vllm") is None:
            raise UserError(
                "backend 'vllm': vLLM is not installed. On a machine with a GPU: pip install 'audio-eval[vllm]'; "
                "docs/vllm.md says how it is installed on a CPU."
            )
        from audio_eval.models.vllm.policy import VLLMPolicy

        return VLLMPolicy(entry, config, limits)
