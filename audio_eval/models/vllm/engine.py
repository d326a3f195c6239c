"""vLLM in this process: started with its own chatter off, asked, and given weights. Its errors are one line."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open

from audio_eval.errors import UserError
from audio_eval.models.hf.files import TWICE, read_settings
from audio_eval.models.vllm.settings import VLLMSettings

# transformers 5.19 saves Audio Flamingo 3 and its like under the first name; 5.23, the hub and vLLM have the second
DOUBLED = ("language_model.model.model.", "language_model.model.")
_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # of LoRA, that vLLM has kernels for
_CPU_GB = 2.0  # for keys and values; vLLM would take its share of the machine's memory
_QUIET = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",  # it would report the model to its makers
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # else it pins the threads of this process to cores
}


class Engine:
    """A loaded model. ``takes_adapters``: vLLM has LoRA for its class, and ``lora_rank`` asks for it."""

    def __init__(self, source: str, folder: Path, settings: VLLMSettings, device: str | None = None) -> None:
        """``UserError`` where vLLM has no such class, the model does not fit, or ``device`` is not vLLM's."""
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = (
            "0"  # the engine in this process: weights are handed over as such
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from vllm import LLM
            from vllm import __version__ as version
            from vllm.platforms import current_platform

        self._version = version
        self.on_cpu = bool(current_platform.is_cpu())
        if device is not None and (device == "cpu") != self.on_cpu:
            raise UserError(
                f"vLLM {version} runs on {'the CPU' if self.on_cpu else 'GPUs'} here, and --device says {device}."
            )
        self.takes_adapters = has_lora(source, folder) and bool(settings.lora_rank)
        self._files = sorted(str(file) for file in folder.glob("*.safetensors") if not file.match(TWICE))
        doubled = any(name.startswith(DOUBLED[0]) for file in self._files for name in _names(file))
        given = arguments(settings, self.on_cpu, self.takes_adapters)
        try:
            with _random_numbers_kept():
                self._llm = LLM(str(folder), load_format="dummy" if doubled else "safetensors", **given)
        except (ValueError, RuntimeError, NotImplementedError, ImportError) as error:  # torch.OutOfMemoryError is one
            reason = " ".join(str(error).split())[:400].rstrip(".")
            raise UserError(
                f"vLLM {version} cannot serve '{source}' with these settings ({reason}). What takes memory: "
                "--model-args gpu_memory_utilization, kv_cache_gb, max_model_len, tensor_parallel."
            ) from error
        if doubled:
            self.read_weights()
        self.max_model_len, self.dtype = int(self._llm.model_config.max_model_len), self._llm.model_config.dtype
        self._adapters, self._lora = 0, None  # how many were taken, and the one in use

    @property
    def device(self) -> str:
        """The device in words, and what runs on it."""
        if self.on_cpu:
            return f"cpu ({torch.get_num_threads()} threads), vLLM {self._version}"
        cards = self._llm.get_world_size()
        return f"cuda ({torch.cuda.get_device_name()}{f' x {cards}' if cards > 1 else ''}), vLLM {self._version}"

    def run(self, prompts: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], seed: int = 0) -> list[Any]:
        """A ``RequestOutput`` for each prompt, or the reason why vLLM refuses it (a text), such as its length.

        vLLM's random numbers start anew with ``seed``. A seed of its own for each request fails on CPUs, and on GPUs
        makes it draw row by row. Where vLLM fails, each prompt is tried once more by itself; the reason of one that
        fails again is what vLLM failed with.
        """
        try:
            return self._seeded(prompts, settings, seed)
        except Exception:  # whatever its scheduler or a kernel stumbles over
            return [self._alone(prompt, settings, seed) for prompt in prompts]

    def _alone(self, prompt: Mapping[str, Any], settings: Mapping[str, Any], seed: int) -> Any:
        try:
            return self._seeded([prompt], settings, seed)[0]
        except Exception as error:
            return f"vLLM failed at it ({type(error).__name__}: {' '.join(str(error).split())[:300]})"

    def _seeded(self, prompts: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], seed: int) -> list[Any]:
        with _random_numbers_kept():
            self._llm.collective_rpc("seed_draws", args=(seed,))
            return self._run(prompts, settings)

    def _run(self, prompts: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> list[Any]:
        from vllm import SamplingParams
        from vllm.exceptions import VLLMValidationError

        refused: dict[int, str] = {}
        added: list[str] = []
        try:
            for place, prompt in enumerate(prompts):
                try:
                    added += self._llm.enqueue(
                        prompt, SamplingParams(**settings), lora_request=self._lora, use_tqdm=False
                    )
                except (ValueError, VLLMValidationError) as error:
                    refused[place] = f"vLLM refuses it: {' '.join(str(error).split())[:300]}"
            outputs = iter(self._llm.wait_for_completion(use_tqdm=False))
        except BaseException:  # what was added would be answered with the next call
            self._llm.llm_engine.abort_request(added, internal=True)
            raise
        return [refused[place] if place in refused else next(outputs) for place in range(len(prompts))]

    # --- weights ---------------------------------------------------------------------------------------------------

    def take_adapter(self, folder: Path) -> None:
        """Run this LoRA adapter from now on. ``UserError`` if a module of its is unknown, as vLLM ignores such."""
        from vllm.lora.request import LoRARequest

        self.drop_adapter()
        self._adapters += 1
        # vLLM knows an adapter by its number, and prefixes of prompts by its name
        adapter = LoRARequest(f"adapter-{self._adapters}", self._adapters, str(folder))
        self._llm.llm_engine.add_lora(adapter)
        [unknown, *_] = self._llm.collective_rpc("unknown_to_model", args=(self._adapters,))
        if unknown:
            self._llm.llm_engine.remove_lora(self._adapters)
            raise UserError(
                f"'{folder}' has weights for {len(unknown)} modules that vLLM's model has not, {unknown[0]} first: it "
                "would leave them out without a word."
            )
        self._lora = adapter
        self._llm.reset_prefix_cache()

    def drop_adapter(self) -> None:
        """Run the weights alone."""
        if self._lora is not None:
            self._llm.llm_engine.remove_lora(self._lora.lora_int_id)
            self._lora = None
            self._llm.reset_prefix_cache()

    def replace_weights(self, tensors: Mapping[str, torch.Tensor], tower_changed: bool) -> None:
        """Write ``tensors``, by vLLM's names, over the model's."""
        beside = self._llm.get_world_size() > 1  # workers in processes of their own, which are sent copies
        self._write("replace_weights", {name: t.cpu() if beside else t for name, t in tensors.items()})
        self._forget(tower_changed)

    def read_weights(self) -> None:
        """The checkpoint's own weights."""
        self._write("read_checkpoint", self._files, DOUBLED)
        self._forget(tower_changed=True)

    def _write(self, method: str, *what: Any) -> None:
        [wrong, *_] = self._llm.collective_rpc(method, args=what)
        if wrong:
            raise UserError(f"these weights cannot be handed over to vLLM: {wrong}.")

    def _forget(self, tower_changed: bool) -> None:
        """Empty the caches that hold what the old weights made; vLLM does not, when weights are written."""
        self._llm.reset_prefix_cache()
        if tower_changed:
            self._llm.llm_engine.reset_encoder_cache()


@contextmanager
def _random_numbers_kept() -> Iterator[None]:
    """Undo the seeding of all generators of the process by vLLM: lm-eval, for one, tells a model its seed by them."""
    python, numpy_state = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)


def has_lora(source: str, folder: Path) -> bool:
    """Whether vLLM has LoRA for the checkpoint's class; ``UserError`` where it has no such class."""
    from vllm import ModelRegistry, __version__
    from vllm.model_executor.models import supports_lora

    named = read_settings(folder / "config.json").get("architectures") or ["?"]
    found = next((ModelRegistry.models[name] for name in named if name in ModelRegistry.models), None)
    if found is None:
        raise UserError(f"'{source}' is a {named[0]}, which vLLM {__version__} has no class for; --backend hf runs it.")
    return bool(supports_lora(found.load_model_cls()))


def arguments(settings: VLLMSettings, on_cpu: bool, lora: bool) -> dict[str, Any]:
    """What ``LLM`` is given besides the checkpoint."""
    space = settings.kv_cache_gb or (_CPU_GB if on_cpu else None)
    given: dict[str, Any] = {
        "dtype": settings.dtype if settings.dtype != "auto" else "float32" if on_cpu else "bfloat16",
        "tensor_parallel_size": settings.tensor_parallel,
        "gpu_memory_utilization": settings.gpu_memory_utilization,
        "kv_cache_memory_bytes": int(space * (1 << 30)) if space else None,
        "max_model_len": settings.max_model_len,
        "enforce_eager": on_cpu if settings.enforce_eager is None else settings.enforce_eager,
        "enable_prefix_caching": settings.prefix_caching,
        "limit_mm_per_prompt": {"image": 0, "video": 0},
        "generation_config": "vllm",  # not the sampling settings that a checkpoint recommends
        "worker_extension_cls": "audio_eval.models.vllm.worker.WorkerExtension",
        "use_tqdm_on_load": False,
    }
    if lora:
        rank = next((known for known in _RANKS if known >= (settings.lora_rank or 0)), None)
        if rank is None:
            raise UserError(f"backend 'vllm': lora_rank {settings.lora_rank} is above {_RANKS[-1]}, vLLM's largest.")
        given |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": rank}
    return given


def _names(file: str) -> list[str]:
    with safe_open(file, framework="pt") as opened:
        return list(opened.keys())
