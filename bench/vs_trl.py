"""A GRPO step against TRL's GRPOTrainer, with the same text model, prompts, samples, answer length, loss and optimizer.

    python bench/vs_trl.py --n 16 [--prompts 8] [--tokens 300] [--steps 5] [--peaked]

TRL trains no audio models, so the prompts are text of 300 tokens, and answers have 8. TRL gets a Qwen2ForCausalLM, we
use the Omni thinker with the same weights (the script checks that their logits are equal). Both train all weights with
AdamW, sample at temperature 1 and normalise rewards by group; loss_type "grpo", no KL, one update per batch, float32.
TRL has the settings of a CPU user: transformers' generate, the whole batch at once, no gradient checkpointing.

With random weights almost every sample differs, which is the worst case for computing equal samples once. ``--peaked``
scales the head so that a group has few distinct answers, like trained models on multiple-choice questions.

Needs the extra [peers]. The last line is one JSON object; ``ratio`` is TRL's seconds per step over ours, both medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from random_checkpoint import build_omni, save_omni, text_model, tokenizer
from transformers import TrainerCallback

from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import Sampling, Training
from audio_eval.questions import Question
from audio_eval.rl.advantages import group_advantages

ANSWER = 8
LR = 1e-6


def questions(count: int, tokens: int, encode: Any) -> tuple[list[Question], list[str]]:
    """Questions whose prompt, chat template included, has at most ``tokens`` tokens; and these prompts as text."""
    names = tokenizer()
    asked, texts = [], []
    rng = np.random.default_rng(0)
    words = ["loud", "dog", "piano", "rises", "three", "before", "the", "music", "speech", "what"]
    for i in range(count):
        body = ""
        while True:
            longer = f"{body} {words[int(rng.integers(len(words)))]}"
            text = names.apply_chat_template(
                [{"role": "user", "content": [{"type": "text", "text": longer}]}],
                tokenize=False,
                add_generation_prompt=True,
            )
            if len(encode(text)) > tokens:
                break
            body, whole = longer, text
        asked.append(Question(f"q{i}", None, body, (), body))
        texts.append(whole)
    return asked, texts


def reward(text: str) -> float:
    """An arbitrary reward that differs between answers."""
    return len(set(text)) / 10.0


class Clock(TrainerCallback):
    """Seconds of each step of the trainer, sampling included."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Start."""
        self.began = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Stop."""
        self.seconds.append(time.perf_counter() - self.began)


def time_trl(model: Any, texts: list[str], n: int, steps: int, folder: Path) -> list[float]:
    """Seconds of each step of TRL's GRPOTrainer."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    clock, names = Clock(), tokenizer()
    config = GRPOConfig(
        output_dir=str(folder), use_cpu=True, per_device_train_batch_size=len(texts) * n, num_generations=n,
        max_completion_length=ANSWER, max_steps=steps, learning_rate=LR, beta=0.0, loss_type="grpo", temperature=1.0,
        gradient_checkpointing=False, report_to="none", save_strategy="no", logging_strategy="no", bf16=False,
        num_iterations=1, disable_tqdm=True, lr_scheduler_type="constant",
    )  # fmt: skip
    trainer = GRPOTrainer(
        model=model, args=config, processing_class=names, train_dataset=Dataset.from_dict({"prompt": texts}),
        reward_funcs=lambda completions, **_: [reward(text) for text in completions], callbacks=[clock],
    )  # fmt: skip
    trainer.train()
    return clock.seconds


def time_ours(policy: HFPolicy, asked: list[Question], n: int, steps: int) -> tuple[list[float], float]:
    """Seconds of each of our steps, and the mean number of distinct answers per group."""
    policy.begin_training(Training(tune="full", lr=LR), seed=0)
    seconds, distinct = [], []
    for step in range(steps):
        began = time.perf_counter()
        groups = policy.generate(asked, Sampling(n=n, temperature=1.0, max_tokens=ANSWER, stream=f"step{step}"))
        advantages = [
            group_advantages(np.array([reward(c.text) for c in group.completions]), np.array(group.counts))
            for group in groups
        ]
        policy.train_step(groups, advantages)
        seconds.append(time.perf_counter() - began)
        distinct += [len(group.completions) for group in groups]
    return seconds, statistics.mean(distinct)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=16, help="samples per prompt")
    parser.add_argument("--prompts", type=int, default=8, help="prompts per step")
    parser.add_argument("--tokens", type=int, default=300, help="tokens per prompt")
    parser.add_argument("--steps", type=int, default=5, help="timed steps, after one warm-up step")
    parser.add_argument("--dims", default="small", help="a row of random_checkpoint.DIMENSIONS")
    parser.add_argument("--peaked", action="store_true", help="few distinct answers per group, as with trained models")
    args = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    omni = build_omni(args.dims)
    if args.peaked:
        with torch.no_grad():
            omni.lm_head.weight *= 30
    text = text_model(omni)
    with tempfile.TemporaryDirectory() as name:
        policy = HFPolicy("random", str(save_omni(omni, Path(name) / "model")), device="cpu", batch_size=args.prompts)
        asked, texts = questions(args.prompts, args.tokens, policy.tokenizer.encode)
        ids = torch.tensor([policy.tokenizer.encode(texts[0])])
        with torch.no_grad():
            hidden = policy.model.model.language_model(input_ids=ids).last_hidden_state
            assert torch.allclose(policy.model.lm_head(hidden), text(ids).logits, atol=1e-4), "not the same model"
        theirs = time_trl(text, texts, args.n, args.steps + 1, Path(name) / "trl")[1:]
        ours, distinct = time_ours(policy, asked, args.n, args.steps + 1)
    import trl

    slow, fast = statistics.median(theirs), statistics.median(ours[1:])
    print(f"{args.prompts} prompts of {ids.shape[1]} tokens, {args.n} answers of {ANSWER}, {distinct:.1f} distinct")
    print(f"TRL {trl.__version__}: {slow:.3f} s per step ({args.prompts / slow:.2f} prompts/s)")
    print(f"audio-eval: {fast:.3f} s per step ({args.prompts / fast:.2f} prompts/s)")
    print(json.dumps({
        "benchmark": "vs_trl", "n": args.n, "ratio": round(slow / fast, 2), "ours_s": round(fast, 4),
        "trl_s": round(slow, 4), "distinct": round(distinct, 2), "peaked": args.peaked, "prompts": args.prompts,
        "prompt_tokens": int(ids.shape[1]), "answer_tokens": ANSWER, "dims": args.dims, "trl": trl.__version__,
        "torch": torch.__version__, "threads": torch.get_num_threads(),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
