"""What is done inside vLLM's worker processes, which hold the model: called by name through ``LLM.collective_rpc``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open


class WorkerExtension:
    """Mixed into vLLM's worker class (``worker_extension_cls``); each name below must not be one of vLLM's."""

    model_runner: Any
    model_config: Any

    def seed_draws(self, seed: int) -> None:
        """Start the random numbers of sampling anew."""
        from vllm.utils.torch_utils import set_random_seed

        set_random_seed(seed)

    def replace_weights(self, tensors: Mapping[str, torch.Tensor]) -> str | None:
        """Write these weights, by vLLM's names for checkpoints, over the model's. What is wrong with them, if anything;
        then the model is good for nothing.
        """
        return self._reload(iter(tensors.items()))

    def read_checkpoint(self, files: list[str], renamed: tuple[str, str]) -> str | None:
        """Write the weights of safetensors files, in whose names the first text of ``renamed`` is the second."""
        return self._reload(_read(files, *renamed))

    def _reload(self, weights: Iterator[tuple[str, torch.Tensor]]) -> str | None:
        """As vLLM's own ``reload_weights``, which in addition empties caches of the worker, but not the scheduler's."""
        from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding
        from vllm.model_executor.model_loader.reload.layerwise import (
            finalize_layerwise_reload,
            get_layerwise_info,
            initialize_layerwise_reload,
        )

        model, wrong = self.model_runner.get_model(), None
        initialize_layerwise_reload(model)
        try:
            model.load_weights(weights)
            for name, layer in model.named_modules():
                info = get_layerwise_info(layer)
                # embeddings have rows of padding, which no checkpoint fills
                if 0 < info.load_numel < (info.load_numel_total or 0) and not isinstance(layer, VocabParallelEmbedding):
                    wrong = f"'{name}' was given in part: all parameters of a layer come together"
        except ValueError as error:
            wrong = f"vLLM has no place for one of them ({' '.join(str(error).split())[:150]})"
        finalize_layerwise_reload(model, self.model_config)
        return wrong

    def unknown_to_model(self, adapter: int) -> list[str]:
        """The modules that a loaded LoRA adapter has weights for and the model has not: vLLM leaves them out silently.

        Modules that vLLM joins (``qkv_proj``) have their joint name by then.
        """
        manager = self.model_runner.lora_manager._adapter_manager
        return sorted(set(manager.get_adapter(adapter).loras) - set(manager.modules))


def _read(files: list[str], old: str, new: str) -> Iterator[tuple[str, torch.Tensor]]:
    for file in files:
        with safe_open(Path(file), framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - it is no dict
                yield name.replace(old, new), opened.get_tensor(name)
