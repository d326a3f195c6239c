"""The parts of gpu_check: what each of them runs, and the figures that it returns."""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_bound import against, card
from gpu_exact import PROMPT, SECONDS, advantages, comparisons, questions
from random_checkpoint import build_omni, save_omni

from audio_eval.models.hf.dimensions import Dimensions, of_model
from audio_eval.models.hf.needs import Sampled, Work, needs
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.models.policy import Sampling, Training

BATCH = 64  # questions that are sampled together


class Check:
    """The parts, and what they share: the policy, which ``load`` makes."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args, self.folder, self.cuda = args, folder, args.device == "cuda"
        self.policy: HFPolicy | None = None
        self.dimensions: Dimensions | None = None
        self.name = torch.cuda.get_device_name() if self.cuda else "cpu"
        self.card = card(self.name)
        self.parameters = 0  # of the layers

    def load(self) -> dict[str, Any]:
        """Build, save and load the checkpoint; the time is that of loading."""
        dtype = torch.bfloat16 if self.cuda else torch.float32
        began = time.perf_counter()
        save_omni(build_omni(self.args.dims, dtype, self.args.device), self.folder)
        self.clear()
        made = time.perf_counter() - began
        seconds, _ = self.timed(self.open)
        size = sum(path.stat().st_size for path in self.folder.glob("*.safetensors"))
        return {"s": seconds, "built_and_saved_s": made, "gb": size / 1e9, "gb_per_s": size / 1e9 / seconds}

    def open(self, **engine: Any) -> HFPolicy:
        """The policy, in the place of one that is there."""
        self.policy = None
        self.clear()
        policy = HFPolicy(
            f"random-{self.args.dims}", str(self.folder), self.args.device, batch_size=BATCH,
            max_tokens=self.args.answer, engine=EngineSettings(**engine),
        )  # fmt: skip
        policy._end_ids = frozenset()  # every answer has the same length
        checkpoint = policy.checkpoint
        self.dimensions = of_model(checkpoint.family, checkpoint.model)
        self.parameters = sum(p.numel() for p in checkpoint.language_model.layers.parameters())
        self.policy = policy
        return policy

    def tower(self) -> dict[str, Any]:
        """Features of noise, clip by clip as a run encodes them."""
        policy, clips = self.there(), 64 if self.cuda else 4
        checkpoint = policy.checkpoint
        noise = np.random.default_rng(0).normal(0, 0.1, SECONDS * 16_000).astype(np.float32)
        made = checkpoint.extractor(noise, sampling_rate=16_000, return_attention_mask=True, padding=False)
        mel = np.asarray(made["input_features"][0])

        def encode() -> None:
            with torch.no_grad(), policy._precision():
                for _ in range(clips):
                    checkpoint.family.encode(checkpoint.model, [mel], [mel.shape[1]])

        encode()
        seconds, _ = self.timed(encode)
        weights = sum(p.numel() for module in checkpoint.family.audio_modules(checkpoint.model)
                      for p in module.parameters())  # fmt: skip
        found = {"s": seconds, "clips": clips, "clips_per_s": clips / seconds}
        bound = self.card and self.card.multiplying(weights, clips * SECONDS * 50)
        return found | against(seconds, bound)

    def greedy(self) -> dict[str, Any]:
        """Greedy answers of all items."""
        return self.sampled(Sampling(max_tokens=self.args.answer), self.args.items)

    def eager(self) -> dict[str, Any]:
        """The same without CUDA graphs."""
        if "cuda_graphs" not in EngineSettings.model_fields:
            return {"skipped": "there is no setting cuda_graphs"}
        self.open(cuda_graphs=False)
        try:
            return self.sampled(Sampling(max_tokens=self.args.answer), self.args.items)
        finally:
            self.open()

    def votes(self) -> dict[str, Any]:
        """Samples at temperature 1."""
        return self.sampled(Sampling(self.args.votes, 1.0, max_tokens=self.args.answer), self.args.voted)

    def sampled(self, sampling: Sampling, items: int) -> dict[str, Any]:
        """Time sampling, after a batch to warm up."""
        policy, asked = self.there(), questions(items)
        policy.generate(asked[:BATCH], sampling)
        policy._prefills.drop()
        self.forget_peak()
        seconds, groups = self.timed(lambda: policy.generate(asked, sampling))
        drawn = sum(sum(group.counts) for group in groups)
        assert drawn == items * sampling.n and all(group.error is None for group in groups)
        return {
            "s": seconds, "items_per_s": items / seconds, "samples_per_s": drawn / seconds,
            "tokens_per_s": drawn * self.args.answer / seconds,
            "distinct": sum(len(group.counts) for group in groups) / items,
            **self.graphs(), **against(seconds, self.sampling_bound(items, sampling.n)),
            **self.memory(Sampled("votes", min(BATCH, items), sampling.n), None),
        }  # fmt: skip

    def lora(self) -> dict[str, Any]:
        """Three steps with adapters, after one to warm up."""
        return self.steps(Training(tune="lora", lora_r=16), 3)

    def full(self) -> dict[str, Any]:
        """One step with all weights, after none: it includes what is done once."""
        return self.steps(Training(tune="full", lr=1e-6), 1, warm=0)

    def steps(self, training: Training, number: int, warm: int = 1) -> dict[str, Any]:
        """Time rollouts and updates apart; medians."""
        policy, asked = self.there(), questions(self.args.step)
        policy.reset()
        policy._end_ids = frozenset()
        policy.begin_training(training, seed=0)
        self.forget_peak()
        found: dict[str, list[float]] = {"rollouts": [], "update": []}
        retries = 0.0
        for step in range(number + warm):
            sampling = Sampling(self.args.group, 1.0, stream=f"step{step}", max_tokens=self.args.answer)
            seconds, groups = self.timed(lambda sampling=sampling: policy.generate(asked, sampling))
            found["rollouts"].append(seconds)
            seconds, update = self.timed(lambda groups=groups: policy.train_step(groups, advantages(groups)))
            found["update"].append(seconds)
            retries += update.metrics["oom_retries"]
        rollouts, update_s = (statistics.median(seconds[warm:]) for seconds in found.values())
        tokens = self.args.step * (PROMPT + self.args.group * (self.args.answer - 1))
        bound = self.card and self.card.multiplying(self.parameters, tokens, 2 if training.tune == "lora" else 3)
        return {
            "s": rollouts + update_s, "rollouts_s": rollouts, "update_s": update_s, "oom_retries": retries,
            "chosen": dict(getattr(policy, "chosen", {})), "tokens": tokens,
            "update": against(update_s, bound),
            **self.memory(Sampled("rollouts", self.args.step, self.args.group, True), training),
        }  # fmt: skip

    def exact(self) -> dict[str, Any]:
        """Each comparison by itself."""
        folder = save_omni(build_omni("small"), self.folder.parent / "small")
        found = comparisons(folder, self.args.device)
        return found | {"ok": all(one["ok"] for one in found.values() if isinstance(one, dict))}

    # --- what the parts use ----------------------------------------------------------------------------------------

    def there(self) -> HFPolicy:
        """The policy that ``load`` made."""
        if self.policy is None:
            raise RuntimeError("no model was loaded")
        return self.policy

    def timed(self, work: Callable[[], Any]) -> tuple[float, Any]:
        """Seconds of ``work``, the device's own included, and its result."""
        self.wait()
        began = time.perf_counter()
        result = work()
        self.wait()
        return time.perf_counter() - began, result

    def wait(self) -> None:
        """Until the device is done."""
        if self.cuda:
            torch.cuda.synchronize()

    def clear(self) -> None:
        """Free what nothing refers to on the GPU."""
        if self.cuda:
            gc.collect()
            torch.cuda.empty_cache()

    def forget_peak(self) -> None:
        """Begin to look for the peak of memory."""
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()

    def graphs(self) -> dict[str, Any]:
        """Why there were no CUDA graphs; nothing where the engine knows none."""
        decoding = getattr(self.policy, "decoding", None)
        return {} if decoding is None else {"without_graphs": decoding.without_graphs}

    def sampling_bound(self, items: int, samples: int) -> float | None:
        """Prefill and token steps, batch by batch."""
        if self.card is None:
            return None
        assert self.dimensions is not None
        lengths = [len(question.tokens or ()) for question in questions(items)]
        batches = [lengths[start : start + BATCH] for start in range(0, items, BATCH)]
        return self.card.multiplying(self.parameters, sum(lengths)) + sum(
            self.card.token_steps(self.dimensions, self.parameters, batch, samples, self.args.answer)
            for batch in batches
        )

    def memory(self, sampled: Sampled, training: Training | None) -> dict[str, Any]:
        """The peak of the part, and what the arithmetic says with the settings that were chosen."""
        assert self.dimensions is not None and self.policy is not None
        chosen = getattr(self.policy, "chosen", {}) if training else {}
        used = training.model_copy(update=dict(chosen)) if training else None
        step, group = (self.args.step, self.args.group) if training else (0, 0)
        work = Work([sampled], PROMPT, self.args.answer, SECONDS, 0, step, group)
        said = needs(self.dimensions, work, self.policy._engine, used, self.cuda)
        peak = torch.cuda.max_memory_allocated() if self.cuda else None
        return {
            "peak_gb": peak and peak / 1e9, "needs_gb": said.device / 1e9,
            "needs_over_peak": peak and said.device / peak, "largest": said.largest,
        }  # fmt: skip
