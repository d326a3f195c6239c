"""What a GPU makes of the engine, against the bound of the card: times, peak memory, exactness, in one JSON.

    python bench/gpu_check.py [--dims 3b|7b|small] [--device cuda|cpu] [--out gpu_check.json]

Nothing is downloaded: the Omni thinker is built at the published dimensions with random weights, saved, and loaded like
any other. With random weights no answer ends by itself and nearly all samples differ, which is the worst case. Prompts
are as long as those of a question about 10 s of audio; recordings are features of noise. In order, each part by itself
and within a time limit, all together below ten minutes on an H100:

    load     the checkpoint, from a file that the page cache holds
    tower    64 recordings of 10 s through the audio tower
    greedy   200 items; eager: the same without CUDA graphs
    votes    64 items x 64 samples
    lora     three steps: rollouts of 8 questions x 4, and the update
    full     one such step with tune=full
    exact    at small dimensions in float32: GPU against CPU, merged against unmerged adapters, graphs against none

A part that fails is recorded, and the next one runs. Beside its seconds stands the bound: bytes that must be read over
the card's bandwidth for each token step, multiplications over its peak for prefill and update; beside its peak memory
what audio_eval/models/hf/needs.py says. Cards that are not in the table have no bound.

Where no network is: copy the repository and carry wheels of torch, transformers, peft, safetensors, numpy, pydantic and
huggingface_hub, with what they depend on (accelerate, filelock, jinja2, psutil and pyyaml among it). That is all: not
lm-eval, datasets, librosa, soundfile, scipy and the others of pyproject.toml, and nothing has to be installed.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
import transformers
from gpu_bound import against, card
from gpu_exact import PROMPT, SECONDS, advantages, comparisons, questions
from random_checkpoint import build_omni, save_omni
from time_limit import at_most

from audio_eval.models.hf.dimensions import Dimensions, of_model
from audio_eval.models.hf.needs import Sampled, Work, needs
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.models.policy import Sampling, Training

LIMITS = {"load": 120, "tower": 20, "greedy": 50, "eager": 60, "votes": 70, "lora": 70, "full": 120, "exact": 60}
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


def rounded(value: Any) -> Any:
    """Figures to four digits, in whatever holds them."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def run(args: argparse.Namespace) -> dict[str, Any]:
    """All parts, each with its result or its error."""
    parts: dict[str, Any] = {}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        check = Check(args, Path(name) / "model")
        for part, limit in LIMITS.items():
            if part not in args.parts:
                continue
            start = time.perf_counter()
            try:
                with at_most(limit):
                    parts[part] = getattr(check, part)()
            except Exception as error:  # one part less; the card's figures of the others are worth having
                parts[part] = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
            parts[part] = rounded(parts[part] | {"all_s": time.perf_counter() - start})
            print(f"{part:8} {json.dumps(parts[part])}", file=sys.stderr, flush=True)
            check.clear()
        return {
            "benchmark": "gpu_check", "card": check.name, "dims": args.dims, "parameters": check.parameters,
            "memory_gb": rounded(torch.cuda.get_device_properties(0).total_memory / 1e9) if check.cuda else None,
            "peaks": check.card and vars(check.card),
            "versions": {"python": platform.python_version(), "cuda": torch.version.cuda}
            | {name: version(name) for name in ("torch", "transformers", "peft", "safetensors")},
            "settings": {k: v for k, v in vars(args).items() if k not in ("folder", "out", "parts")}
            | {"prompt": PROMPT, "engine": EngineSettings().model_dump()},
            "parts": parts, "ok": all("error" not in part and part.get("ok", True) for part in parts.values()),
            "all_s": rounded(time.perf_counter() - began),
        }  # fmt: skip


def main() -> int:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dims", default="3b", help="small, wide, 3b, 7b")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--items", type=int, help="greedy answers (200; small: 8)")
    parser.add_argument("--voted", type=int, help="items with votes (64; small: 4)")
    parser.add_argument("--votes", type=int, help="votes for each (64; small: 8)")
    parser.add_argument("--step", type=int, help="questions of a step (8; small: 4)")
    parser.add_argument("--group", type=int, default=4, help="rollouts for each")
    parser.add_argument("--answer", type=int, default=8, help="tokens of an answer")
    parser.add_argument("--parts", default=",".join(LIMITS), help="only these parts, with commas")
    parser.add_argument("--folder", help="where the checkpoint is written (3b: 9 GB); default: the temporary folder")
    parser.add_argument("--out", help="a file for the JSON")
    args = parser.parse_args()
    small = args.dims == "small"
    args.items, args.voted = args.items or (8 if small else 200), args.voted or (4 if small else 64)
    args.votes, args.step = args.votes or (8 if small else 64), args.step or (4 if small else 8)
    args.parts = args.parts.split(",")
    if args.device == "cuda" and not torch.cuda.is_available():
        print("no GPU that torch can use: --device cpu --dims small tries the script", file=sys.stderr)
        return 1
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    found = json.dumps(run(args))
    if args.out:
        Path(args.out).write_text(found + "\n")
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
