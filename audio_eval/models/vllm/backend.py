"""The vllm backend: transformers checkpoints in vLLM; what trains beside it, for methods that do, is hf."""

from __future__ import annotations

import logging
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from audio_eval.errors import UserError
from audio_eval.models.backends import Limits
from audio_eval.models.catalog import ModelEntry
from audio_eval.models.hf.backend import HF
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.models.vllm.settings import VLLMSettings

if TYPE_CHECKING:
    from audio_eval.models.hf.handover import HandoverPolicy
    from audio_eval.models.policy import Policy
    from audio_eval.models.split import Sampler

log = logging.getLogger(__name__)


class VLLM:
    """A Backend. It reads the same checkpoints as ``HF``, and makes the same prompts of questions."""

    name = "vllm"
    Config = VLLMSettings
    can_train = True
    heeds_training = True
    takes_adapter = True
    takes_long_audio = HF.takes_long_audio

    def locate(self, entry: ModelEntry) -> str:
        """The checkpoint's folder."""
        return HF().locate(entry)

    def digests(self, entry: ModelEntry) -> dict[str, str]:
        """The sha256 of the files of the checkpoint, and of the adapter's."""
        return HF().digests(entry)

    def identity(self, entry: ModelEntry, config: VLLMSettings) -> dict[str, str]:
        """The digests of the files; and of a server that runs, what the api backend knows of it."""
        if config.base_url is None:
            return self.digests(entry)
        from audio_eval.models.vllm.connect import known_of_server

        return self.digests(entry) | known_of_server(entry, config)

    def load(self, entry: ModelEntry, config: VLLMSettings, limits: Limits) -> Policy:
        """The model in vLLM, in this process or behind a server; one that trains, if a method will."""
        if find_spec("vllm") is None and config.base_url is None:
            raise UserError(
                "backend 'vllm': vLLM is not installed. On a machine with a GPU: pip install 'audio-eval[vllm]'; "
                "docs/vllm.md says how it is installed on a CPU."
            )
        from audio_eval.models.split import SplitPolicy

        sampler: Sampler
        if config.server or config.base_url:
            from audio_eval.models.vllm.connect import connect

            sampler = connect(entry, config, limits)
        else:
            from audio_eval.models.vllm.policy import VLLMPolicy

            sampler = VLLMPolicy(entry, config, limits)
        if limits.training is None:
            return sampler
        if config.gpu_memory_utilization is None and config.base_url is None and limits.device != "cpu":
            _say_share(config.beside(limits.training))
        return SplitPolicy(sampler, partial(_trainer, entry, config, limits), config.merge)


def _say_share(settings: VLLMSettings) -> None:
    import torch

    if torch.cuda.is_available():
        share = settings.gpu_memory_utilization
        log.warning(
            "vLLM takes %s of the GPU's memory, and leaves the rest to the trainer (gpu_memory_utilization).", share
        )


def _trainer(entry: ModelEntry, config: VLLMSettings, limits: Limits) -> HandoverPolicy:
    """The same checkpoint in the hf engine, in the same precision."""
    from audio_eval.models.hf.handover import HandoverPolicy

    return HandoverPolicy(
        entry.name, entry.source, limits.device, limits.batch_size, limits.max_tokens, entry.revision,
        EngineSettings(dtype=config.dtype), entry.adapter, limits.long_audio,
    )  # fmt: skip
